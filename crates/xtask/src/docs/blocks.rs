//! The console blocks of a Markdown file: commands after `$ `, each with the output that the file shows below it.

/// A command in a block, and its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The line of the file in which the command begins, counted from 1.
    pub(crate) line: usize,
    /// The command without its prompts. It can have several lines.
    pub(crate) command: String,
    /// The lines below the command, without blank lines at the end.
    pub(crate) expected: Vec<String>,
    /// The range of lines of `expected` in the file, counted from 0, which a new output replaces.
    pub(crate) output_lines: std::ops::Range<usize>,
    /// Whether the next command of the block prints the exit code of this one, so that this command can fail.
    pub(crate) may_fail: bool,
}

/// The command that prints the exit code of the previous command.
pub(crate) const SHOW_EXIT_CODE: &str = "echo $?";

/// All steps of a file, in order.
pub(crate) fn steps(markdown: &str) -> Result<Vec<Step>, String> {
    let lines: Vec<&str> = markdown.lines().collect();
    let mut steps = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let Some(fence) = Fence::open(lines[at]) else {
            at += 1;
            continue;
        };
        let start = at + 1;
        let length = lines[start..].iter().position(|line| fence.is_closed_by(line));
        let end = start + length.ok_or_else(|| format!("line {start}: the code block does not end"))?;
        if fence.language == "console" {
            steps.extend(steps_of_block(&lines[..end], start)?);
        }
        at = end + 1;
    }
    Ok(steps)
}

/// The line that opens a code block.
struct Fence<'a> {
    marks: &'a str,
    language: &'a str,
}

impl<'a> Fence<'a> {
    fn open(line: &'a str) -> Option<Self> {
        let line = line.trim_start();
        let marks = line.bytes().take_while(|byte| *byte == b'`').count();
        (marks >= 3).then(|| Self { marks: &line[..marks], language: line[marks..].trim() })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let line = line.trim();
        line.starts_with(self.marks) && line.bytes().all(|byte| byte == b'`')
    }
}

/// The steps of the block that begins at `start` and ends with the last of `lines`.
fn steps_of_block(lines: &[&str], start: usize) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut at = start;
    while at < lines.len() {
        let Some(first) = lines[at].strip_prefix("$ ") else {
            return Err(format!(
                "line {}: expected a command after `$ ` at the beginning of a console block, found `{}`",
                at + 1,
                lines[at]
            ));
        };
        let line = at + 1;
        let mut command = first.to_owned();
        at += 1;
        // The text of a heredoc may contain any quotes.
        let is_heredoc = command.contains("<<");
        while at < lines.len() && (if is_heredoc { lines[at].starts_with("> ") } else { is_open(&command) }) {
            command.push('\n');
            command.push_str(if is_heredoc { &lines[at][2..] } else { lines[at] });
            at += 1;
        }
        let output = at;
        while at < lines.len() && !lines[at].starts_with("$ ") {
            at += 1;
        }
        let shown = lines[output..at].iter().rposition(|line| !line.trim().is_empty());
        let output_lines = output..shown.map_or(output, |last| output + last + 1);
        if command == SHOW_EXIT_CODE
            && let Some(before) = steps.last_mut()
        {
            before.may_fail = true;
        }
        let expected = lines[output_lines.clone()].iter().map(|line| (*line).to_owned()).collect();
        steps.push(Step { line, command, expected, output_lines, may_fail: false });
    }
    Ok(steps)
}

/// Whether bash waits for more: after a `\` at the end of a line, or within quotes.
fn is_open(command: &str) -> bool {
    let mut quote = None;
    let mut characters = command.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            // What follows a backslash has no meaning of its own, unless the line ends there.
            (None | Some('"'), '\\') if characters.next().is_none() => return true,
            (None, '\'' | '"') => quote = Some(character),
            _ => {}
        }
    }
    quote.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(markdown: &str) -> Vec<(String, Vec<String>)> {
        steps(markdown).unwrap().into_iter().map(|step| (step.command, step.expected)).collect()
    }

    fn step(command: &str, expected: &[&str]) -> (String, Vec<String>) {
        (command.to_owned(), expected.iter().map(|line| (*line).to_owned()).collect())
    }

    #[test]
    fn a_block_is_commands_with_what_they_print() {
        let found = commands("text\n```console\n$ a --b\none\n\ntwo\n\n$ c\n```\n```sh\n$ not this\n```\n");
        assert_eq!(found, [step("a --b", &["one", "", "two"]), step("c", &[])]);
    }

    #[test]
    fn a_command_goes_on_after_a_backslash_within_quotes_and_in_a_heredoc() {
        let found = commands(
            "```console\n$ a \\\n    -d '{\n  \"b\": 1}' c\nout\n$ cat <<'END'\n> it's\n> END\nit's\n```\n",
        );
        assert_eq!(found[0], step("a \\\n    -d '{\n  \"b\": 1}' c", &["out"]));
        assert_eq!(found[1], step("cat <<'END'\nit's\nEND", &["it's"]));
        assert!(!is_open(r#"a "it's" \" b"#));
        assert!(!is_open(r"a 'b\'"));
    }

    #[test]
    fn a_command_whose_exit_code_is_shown_may_fail() {
        let found = steps("```console\n$ a\n$ echo $?\n1\n```\n").unwrap();
        assert_eq!(found.iter().map(|step| step.may_fail).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn the_lines_of_an_output_are_known() {
        let text = "```console\n$ a\none\ntwo\n\n```\n";
        let found = steps(text).unwrap();
        assert_eq!((found[0].line, found[0].output_lines.clone()), (2, 2..4));
    }

    #[test]
    fn output_without_a_command_is_a_mistake() {
        assert!(steps("```console\nout\n```\n").unwrap_err().contains("line 2"));
        assert!(steps("```console\n$ a\n").is_err());
    }
}
