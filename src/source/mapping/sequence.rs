//! Sequence numbers, in their order.

use std::{cmp::Ordering, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// The sequence number of a record: 1 to 40 digits, compared as a number, within one shard.
///
/// No integer type holds 40 digits, and strings of different lengths do not sort as numbers do.
///
/// ```
/// use anabranch::source::mapping::Sequence;
///
/// assert!(Sequence::from("9") < Sequence::from("10"));
/// assert_eq!(Sequence::from("007"), Sequence::from("7"));
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Sequence(Arc<str>);

impl Sequence {
    /// The number as the stream writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Length first: among numbers without leading zeros, the longer one is the greater.
    fn rank(&self) -> (usize, &str) {
        let digits = self.0.trim_start_matches('0');
        (digits.len(), digits)
    }
}

impl From<&str> for Sequence {
    fn from(digits: &str) -> Self {
        Self(digits.into())
    }
}

impl From<String> for Sequence {
    fn from(digits: String) -> Self {
        Self(digits.into())
    }
}

impl From<Sequence> for String {
    fn from(sequence: Sequence) -> Self {
        sequence.0.as_ref().to_owned()
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for Sequence {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Sequence {}

impl PartialOrd for Sequence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sequence {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_as_numbers_up_to_forty_digits() {
        let forty = Sequence::from("9".repeat(40));
        assert!(Sequence::from("9".repeat(39)) < forty);
        assert!(Sequence::from("100000000000000000001") > Sequence::from("99999999999999999999"));
        assert!(Sequence::from("0000000000000000000009") < Sequence::from("10"));
        assert_eq!(Sequence::from("000"), Sequence::from("0"));
    }
}
