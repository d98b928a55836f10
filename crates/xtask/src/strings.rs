//! `cargo xtask strings`: writes all texts that users and readers of the documentation read into one file.

mod rust;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use flowmeter_stack::workspace_root;

/// The kind of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// The comment of a command, flag or value of the command line.
    Help,
    /// The comment of a public item, or of a module.
    Rustdoc,
    /// The comment of a method, message or field of the contract.
    Proto,
    /// A log message.
    Log,
    /// Any other text: an error, a line of an output, or a template.
    Text,
}

/// A text, and the line in which it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    line: usize,
    kind: Kind,
    text: String,
}

/// Writes all texts into `target/strings.txt`.
pub(crate) fn run() -> Result<ExitCode> {
    let root = workspace_root();
    let mut files = Vec::new();
    for directory in ["crates", "proto"] {
        files_below(&root.join(directory), &mut files)?;
    }
    files.sort();
    let mut out = String::new();
    let mut count = 0;
    for file in &files {
        let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(file).display();
        let found = if file.extension().is_some_and(|extension| extension == "proto") {
            comments(&text)
        } else {
            rust::strings(&text).with_context(|| format!("read {name}"))?
        };
        count += found.len();
        for Found { line, kind, text } in found {
            let _ = writeln!(out, "{name}:{line}: {}: {text}", format!("{kind:?}").to_lowercase());
        }
    }
    let target = root.join("target/strings.txt");
    fs::write(&target, out).with_context(|| format!("write {}", target.display()))?;
    println!("{count} texts of {} files are in {}", files.len(), target.display());
    Ok(ExitCode::SUCCESS)
}

/// The source files below a directory, without directories of tests and generated files.
fn files_below(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if name != "tests" && name != "target" {
                files_below(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}

/// The comments of a proto file, one for each block of lines.
fn comments(text: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut is_open = false;
    for (index, line) in text.lines().enumerate() {
        let comment =
            line.split_once("//").map(|(before, comment)| (before.trim().is_empty(), comment.trim()));
        match comment {
            Some((true, "")) | None => is_open = false,
            Some((alone, comment)) => {
                match found.last_mut() {
                    Some(last) if is_open && alone => {
                        last.text.push(' ');
                        last.text.push_str(comment);
                    }
                    _ => found.push(Found { line: index + 1, kind: Kind::Proto, text: comment.to_owned() }),
                }
                is_open = alone;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_of_several_lines_are_one_text() {
        let found = comments("// One\n// two.\n//\n// Three.\nint32 a = 1; // four\n");
        let texts: Vec<_> = found.iter().map(|found| (found.line, found.text.as_str())).collect();
        assert_eq!(texts, [(1, "One two."), (4, "Three."), (5, "four")]);
    }
}
