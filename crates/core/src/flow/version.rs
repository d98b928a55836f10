//! Versions of the data API of endpoints.

/// A version, MAJOR or MAJOR.MINOR. Versions are compared by number, so 3.10 comes after 3.9, and 3 equals 3.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataApiVersion {
    major: u16,
    minor: u16,
}

/// The text is not a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a version such as 3.0")]
pub struct NotAVersion;

impl DataApiVersion {
    /// The first version whose endpoints answer availability checks.
    pub const FIRST_CHECKED: Self = Self { major: 3, minor: 0 };

    /// Parses one or two numbers of 1 to 3 digits, separated by a dot.
    pub fn parse(text: &str) -> Result<Self, NotAVersion> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        Ok(Self { major: number(major)?, minor: number(minor)? })
    }

    /// Whether endpoints of this version answer availability checks.
    #[must_use]
    pub fn is_checked(self) -> bool {
        self >= Self::FIRST_CHECKED
    }
}

fn number(text: &str) -> Result<u16, NotAVersion> {
    let is_number = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or(NotAVersion)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let version = |text| DataApiVersion::parse(text).unwrap();
        let ascending = ["0.1", "2.9", "2.10", "2.999", "3.0", "3.1", "3.9", "3.10", "10.0", "999.999"];
        assert!(ascending.is_sorted_by(|a, b| version(a) < version(b)));
        for (same, other) in [("3", "3.0"), ("3.0", "03.00"), ("4", "4.000")] {
            assert_eq!(version(same), version(other));
        }
    }

    #[test]
    fn endpoints_answer_checks_since_version_3_0() {
        for (text, expected) in
            [("3.0", true), ("3", true), ("3.1", true), ("10.0", true), ("2.1", false), ("2.999", false)]
        {
            assert_eq!(DataApiVersion::parse(text).unwrap().is_checked(), expected, "{text}");
        }
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in
            ["", ".", "3.", ".0", "3.0.0", "3,0", "+3", "-3.0", " 3", "3.0 ", "v3", "1234", "3.1234", "٣"]
        {
            assert_eq!(DataApiVersion::parse(text), Err(NotAVersion), "{text:?}");
        }
        assert_eq!(NotAVersion.to_string(), "expected a version such as 3.0");
    }
}
