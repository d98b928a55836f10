//! The numbers of tests that passed and failed, read from the output of the test runners.

/// The counts of the test runners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// Whether a test program did not compile or crashed. Such a program reports no counts, and counts as one
    /// failure.
    pub(super) crashed: bool,
}

impl Counts {
    /// The counts after the runner has ended, successfully or not.
    pub(super) fn concluded(self, all_passed: bool) -> Self {
        let crashed = !all_passed && self.failed == 0;
        Self { failed: self.failed + u64::from(crashed), crashed, ..self }
    }

    /// The sum of the counts of two runners.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            crashed: self.crashed || other.crashed,
        }
    }

    /// Adds the counts in a summary line, which can be coloured: `test result: ok. 3 passed; 0 failed; …` of
    /// cargo, or `Summary [ 1.2s] 5 tests run: 3 passed (1 slow), 1 failed, 1 timed out, …` of nextest.
    pub(super) fn add(&mut self, line: &str) {
        let line = without_colors(line);
        // Indented it is part of the output of a test that failed, which nextest shows.
        let result = line.strip_prefix("test result: ").or_else(|| {
            let summary = line.trim_start().strip_prefix("Summary [")?;
            summary.split_once(" run: ").map(|(_, result)| result)
        });
        let Some(result) = result else { return };
        let number_before = |word: &str| -> u64 {
            let before = result.split_once(word).map_or("", |(before, _)| before);
            before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        self.passed += number_before(" passed");
        self.failed += number_before(" failed") + number_before(" timed out") + number_before(" exec failed");
    }
}

/// The text without colour sequences.
fn without_colors(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic());
        rest = end.map_or("", |end| &after[end + 1..]);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_over_test_programs() {
        let mut counts = Counts::default();
        counts.add("test result: ok. 14 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        counts.add("test result: \u{1b}[31mFAILED\u{1b}(B\u{1b}[m. 3 passed; 2 failed; 0 ignored");
        counts.add("test some::test_with 9 passed; in it ... ok");
        assert_eq!(counts.concluded(false), Counts { passed: 17, failed: 2, crashed: false });
    }

    #[test]
    fn the_summary_of_nextest_is_counted() {
        let mut counts = Counts::default();
        counts.add("     Summary [   3.106s] 12 tests run: 12 passed (1 slow), 3 skipped");
        counts.add("\u{1b}[31;1m     Summary\u{1b}[0m [   3.106s] \u{1b}[1m7\u{1b}[0m tests run: \u{1b}[1m4\u{1b}[0m \
                    \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m2\u{1b}[0m \u{1b}[31;1mfailed\u{1b}[0m, 1 timed out, 0 skipped");
        counts.add("    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 124 filtered out");
        assert_eq!(counts.concluded(false), Counts { passed: 16, failed: 3, crashed: false });
    }

    #[test]
    fn a_test_program_that_reports_nothing_counts_as_a_failure() {
        let counts = Counts { passed: 3, ..Counts::default() };
        assert_eq!(counts.concluded(true), counts);
        assert_eq!(counts.concluded(false), Counts { passed: 3, failed: 1, crashed: true });
    }
}
