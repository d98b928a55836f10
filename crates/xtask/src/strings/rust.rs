//! The texts in a Rust file, found in its tokens: comments that become documentation or help, and string literals
//! that read as sentences.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Literal, TokenStream, TokenTree};

use super::{Found, Kind};

/// The traits of clap that turn comments into help.
const CLAP: [&str; 4] = ["Args", "Parser", "Subcommand", "ValueEnum"];

/// The macros whose text is a log message.
const LOGS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// The attributes whose strings are not sentences.
const SILENT: [&str; 4] = ["allow", "expect", "cfg", "cfg_attr"];

/// All texts of the file, in order.
pub(super) fn strings(text: &str) -> Result<Vec<Found>> {
    let tokens: TokenStream = text.parse().map_err(|error| anyhow!("it is not Rust: {error}"))?;
    let mut found = Vec::new();
    walk(tokens, Kind::Text, false, &mut found);
    found.sort_by_key(|found| found.line);
    Ok(found)
}

/// Collects the texts of one level of tokens. `kind` is the kind of its literals. Within the types of clap,
/// comments are help.
fn walk(tokens: TokenStream, kind: Kind, in_clap: bool, found: &mut Vec<Found>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut doc: Option<Found> = None;
    let (mut is_test, mut is_clap) = (false, false);
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at..] {
            // `#![…]`: of the module itself.
            [TokenTree::Punct(hash), TokenTree::Punct(mark), TokenTree::Group(attribute), ..]
                if hash.as_char() == '#' && mark.as_char() == '!' =>
            {
                if let Some((line, text)) = doc_text(attribute.stream()) {
                    add_line(&mut doc, line, &text);
                    if let Some(doc) = &mut doc {
                        doc.kind = Kind::Rustdoc;
                    }
                }
                at += 3;
                // The module's comment ends where the attributes end.
                if !matches!(&tokens[at..], [TokenTree::Punct(hash), TokenTree::Punct(_), ..] if hash.as_char() == '#')
                {
                    found.extend(doc.take());
                }
            }
            [TokenTree::Punct(hash), TokenTree::Group(attribute), ..]
                if hash.as_char() == '#' && attribute.delimiter() == Delimiter::Bracket =>
            {
                if let Some((line, text)) = doc_text(attribute.stream()) {
                    add_line(&mut doc, line, &text);
                } else {
                    let words = words(attribute.stream());
                    is_test |= words.first().is_some_and(|word| word == "test")
                        || (words.first().is_some_and(|word| word == "cfg")
                            && words.iter().any(|word| word == "test"));
                    is_clap |= words.iter().any(|word| CLAP.contains(&word.as_str()));
                    if words.first().is_some_and(|word| !SILENT.contains(&word.as_str())) {
                        walk(attribute.stream(), Kind::Text, false, found);
                    }
                }
                at += 2;
            }
            [TokenTree::Ident(name), TokenTree::Punct(mark), TokenTree::Group(arguments), ..]
                if mark.as_char() == '!' =>
            {
                let is_log = LOGS.iter().any(|log| name == log);
                walk(arguments.stream(), if is_log { Kind::Log } else { Kind::Text }, false, found);
                at += 3;
            }
            [TokenTree::Group(group), ..] => {
                if !(is_test && group.delimiter() == Delimiter::Brace) {
                    walk(group.stream(), kind, in_clap || is_clap, found);
                }
                if group.delimiter() == Delimiter::Brace {
                    (is_test, is_clap) = (false, false);
                }
                at += 1;
            }
            [TokenTree::Literal(literal), ..] => {
                found.extend(sentence(literal, kind));
                at += 1;
            }
            [TokenTree::Ident(word), ..] => {
                if let Some(mut doc) = doc.take()
                    && (word == "pub" || in_clap || is_clap)
                {
                    doc.kind = if in_clap || is_clap { Kind::Help } else { Kind::Rustdoc };
                    found.push(doc);
                }
                at += 1;
            }
            [TokenTree::Punct(mark), ..] => {
                if mark.as_char() == ';' {
                    (is_test, is_clap) = (false, false);
                }
                at += 1;
            }
            [] => break,
        }
    }
}

/// Adds a line of a comment to those before it; `/` stands for an empty one.
fn add_line(doc: &mut Option<Found>, line: usize, text: &str) {
    match doc {
        Some(doc) => {
            doc.text.push(' ');
            doc.text.push_str(if text.is_empty() { "/" } else { text });
        }
        None => *doc = Some(Found { line, kind: Kind::Text, text: text.to_owned() }),
    }
}

/// The line and text of a `doc` attribute, which is what a comment of three slashes is.
fn doc_text(attribute: TokenStream) -> Option<(usize, String)> {
    let tokens: Vec<TokenTree> = attribute.into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(name), TokenTree::Punct(_), TokenTree::Literal(text)] if name == "doc" => {
            Some((text.span().start().line, unquoted(&text.to_string())?.trim().to_owned()))
        }
        _ => None,
    }
}

/// All identifiers of an attribute, in order.
fn words(attribute: TokenStream) -> Vec<String> {
    attribute
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Ident(word) => vec![word.to_string()],
            TokenTree::Group(group) => words(group.stream()),
            _ => Vec::new(),
        })
        .collect()
}

/// The text of a string literal, if it is a sentence: it has at least two words, and is not an SQL statement.
fn sentence(literal: &Literal, kind: Kind) -> Option<Found> {
    let text = unquoted(&literal.to_string())?;
    let words = text.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count();
    let is_sql = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH ", "CREATE ", "-- ", " AND "];
    if words < 2 || is_sql.iter().any(|start| text.starts_with(start)) {
        return None;
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(Found { line: literal.span().start().line, kind, text })
}

/// The content of a string literal, with its escapes as they are written.
fn unquoted(literal: &str) -> Option<String> {
    let inner = literal.trim_start_matches('r').trim_matches('#');
    let inner = inner.strip_prefix('"')?.strip_suffix('"')?;
    Some(inner.replace("\\n", "\n").replace("\\\"", "\"").replace("\\\n", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, Kind, String)> {
        strings(text).unwrap().into_iter().map(|found| (found.line, found.kind, found.text)).collect()
    }

    #[test]
    fn comments_of_public_items_and_of_the_command_line_are_found() {
        let text = "//! The module.\nuse a;\n/// A public\n/// type.\npub struct A;\n/// Private.\nstruct B;\n\
                    /// A command.\n#[derive(Args)]\nstruct C {\n    /// A flag.\n    d: u8,\n}\n";
        assert_eq!(
            found(text),
            [
                (1, Kind::Rustdoc, "The module.".to_owned()),
                (3, Kind::Rustdoc, "A public type.".to_owned()),
                (8, Kind::Help, "A command.".to_owned()),
                (11, Kind::Help, "A flag.".to_owned()),
            ]
        );
    }

    #[test]
    fn sentences_are_found_by_their_use() {
        let text = "fn f() {\n    warn!(at, \"the database is slow\");\n    a.context(\"read the file\")?;\n    b(\"word\");\n\
                    }\n#[error(\"no such thing\")]\nstruct E;\n#[cfg(test)]\nmod tests { const A: &str = \"not read by anyone\"; }\n";
        assert_eq!(
            found(text),
            [
                (2, Kind::Log, "the database is slow".to_owned()),
                (3, Kind::Text, "read the file".to_owned()),
                (6, Kind::Text, "no such thing".to_owned()),
            ]
        );
    }
}
