//! The order of the states of one item.

use std::fmt;

use super::{Origin, RawRecord, wire::micros};

/// Sequence numbers are padded to this many digits: DynamoDB documents at most 40.
const SEQUENCE_DIGITS: usize = 40;
/// Every generation of 32 bits has as many digits or fewer.
const GENERATION_DIGITS: usize = 10;
/// And every time of 64 bits.
const SNAPSHOT_DIGITS: usize = 20;
/// Stands behind the version of a change that an item joined its entity type by: above the change, below the next one.
const JOINED: char = '+';
/// Stands behind a version whose row was put right by what was read later: above all of that version, below the next change.
pub(crate) const PUT_RIGHT: char = '~';

/// A place in the order of one item's states, as one string that sorts in that order.
///
/// The order is (generation, snapshot before stream, then the snapshot's time or the stream's label and
/// sequence number). Sequence numbers have up to 40 digits, more than a DynamoDB number (38) or a `u128` (39)
/// holds, and are compared as numbers: here they are padded with zeros so that plain string order, and
/// therefore a DynamoDB condition `stored < :version`, is their order.
///
/// A change by which an item leaves one entity type and joins another has two places, where different routes handle the two
/// sides: the insert to the new type comes just above the remove from the old one, and below the next change. So does the modify as
/// it is, where a route is for both types.
///
/// Versions compare states of **one item of one table**. Sequence numbers of different regions never compare.
///
/// ```
/// use anabranch::record::Version;
///
/// let label = "2026-11-21T02:40:00.000";
/// let nine = Version::stream(0, label, "9");
/// let ten = Version::stream(0, label, "10");
/// assert!(nine < ten);
/// assert!(Version::snapshot(0, 1_763_692_800_000_000) < nine, "live changes win over a scan");
/// assert!(ten < Version::snapshot(1, 0), "a rebuild wins over all before it");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(String);

impl Version {
    /// The version of a change read from a stream: `label` is the last part of the stream's ARN.
    ///
    /// Enabling a stream again makes a new label, a later ISO time, which sorts after the old one.
    pub fn stream(generation: u32, label: &str, sequence_number: &str) -> Self {
        let digits = sequence_number.trim_start_matches('0');
        Self(format!("{generation:0GENERATION_DIGITS$}#t#{label}#{digits:0>SEQUENCE_DIGITS$}"))
    }

    /// The version of a record as a whole, in generation 0: of a change of a stream, or of a row of a snapshot.
    pub fn of(record: &RawRecord) -> Self {
        if let Origin::Snapshot { read_at } = record.origin() {
            return Self::snapshot(0, micros(read_at));
        }
        let label = record.source_arn().and_then(|arn| arn.split_once("/stream/")).map_or("", |(_, label)| label);
        Self::stream(0, label, record.sequence_number())
    }

    /// The version of a row read from the table itself, at a time in microseconds since 1970.
    pub fn snapshot(generation: u32, micros: u64) -> Self {
        Self(format!("{generation:0GENERATION_DIGITS$}#s#{micros:0SNAPSHOT_DIGITS$}"))
    }

    /// The place of the same change for all but those who see an item leave.
    pub(super) fn joined(mut self) -> Self {
        self.0.push(JOINED);
        self
    }

    /// What sorts below all changes of a stream in the generation of a version, and above all else that is below them.
    pub(crate) fn first_change(version: &str) -> String {
        format!("{}#t#", version.get(..GENERATION_DIGITS).unwrap_or_default())
    }

    /// A version as a sink has stored it, or none if it is no version.
    pub fn parse(stored: &str) -> Option<Self> {
        let version = stored.trim_end_matches(PUT_RIGHT);
        let (generation, place) =
            version.strip_suffix(JOINED).unwrap_or(version).split_at_checked(GENERATION_DIGITS)?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let known = match place.split_at_checked(3)? {
            ("#s#", micros) => micros.len() == SNAPSHOT_DIGITS && digits(micros),
            ("#t#", place) => place.rsplit_once('#').is_some_and(|(_, n)| n.len() == SEQUENCE_DIGITS && digits(n)),
            _ => false,
        };
        (known && digits(generation)).then(|| Self(stored.to_owned()))
    }

    /// The same place in another generation.
    ///
    /// A generation is a matter of the target, which is built anew, and not of the record: whoever raises it raises it for
    /// changes and snapshots alike.
    #[must_use]
    pub fn in_generation(&self, generation: u32) -> Self {
        Self(format!("{generation:0GENERATION_DIGITS$}{}", &self.0[GENERATION_DIGITS..]))
    }

    /// The sortable string, as sinks store it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the version of a row of a scan or an export rather than of a stream record; or of a row that was put right
    /// since, by what its table was read to hold.
    pub fn is_snapshot(&self) -> bool {
        self.0.as_bytes().get(GENERATION_DIGITS + 1) == Some(&b's') || self.0.ends_with(PUT_RIGHT)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_forty_digit_number_is_above_a_thirty_nine_digit_one() {
        let low = Version::stream(0, "l", &"9".repeat(39));
        let high = Version::stream(0, "l", &format!("1{}", "0".repeat(39)));
        assert!(low < high);
    }

    #[test]
    fn leading_zeros_do_not_count() {
        assert_eq!(Version::stream(0, "l", "000042"), Version::stream(0, "l", "42"));
    }

    #[test]
    fn a_new_stream_label_is_above_every_sequence_of_the_old_one() {
        let old = Version::stream(0, "2026-01-01T00:00:00.000", &"9".repeat(40));
        assert!(old < Version::stream(0, "2026-01-02T00:00:00.000", "1"));
    }

    #[test]
    fn a_generation_is_raised_in_place() {
        assert_eq!(Version::stream(0, "label", "7").in_generation(12), Version::stream(12, "label", "7"));
        assert_eq!(Version::snapshot(3, 9).in_generation(u32::MAX), Version::snapshot(u32::MAX, 9));
    }

    #[test]
    fn what_was_stored_is_read_and_nothing_else() {
        for version in
            [Version::stream(7, "2026-11-21T02:40:00.000", "9"), Version::stream(0, "", "1"), Version::snapshot(1, 2)]
        {
            assert_eq!(Version::parse(version.as_str()), Some(version.clone()));
            let joined = version.joined();
            assert_eq!(Version::parse(joined.as_str()), Some(joined.clone()));
            for put_right in [format!("{joined}~"), format!("{joined}~~")] {
                assert_eq!(Version::parse(&put_right).as_ref().map(Version::as_str), Some(&*put_right));
            }
        }
        for other in [
            "",
            "1",
            "0000000000#t#label#7",
            "0000000000#x#label#7",
            "0000000000#s#2",
            "0000000000#s#00000000000000000001++",
            "0000000000#s#00000000000000000001~+",
            "0000000000#s#~",
            "~",
            "é000000000#s#00000000000000000001",
        ] {
            assert_eq!(Version::parse(other), None, "{other}");
        }
    }

    #[test]
    fn snapshots_say_so() {
        assert!(Version::snapshot(7, 1).is_snapshot());
        let stream = Version::stream(7, "l", "1");
        let put_right = Version::parse(&format!("{stream}{PUT_RIGHT}")).expect("a version");
        assert!(!stream.is_snapshot() && put_right.is_snapshot());
    }

    proptest! {
        #[test]
        fn string_order_is_numeric_order(a: u128, b: u128) {
            let (x, y) = (Version::stream(0, "l", &a.to_string()), Version::stream(0, "l", &b.to_string()));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }

        #[test]
        fn a_joined_type_comes_between_its_change_and_the_next(a in 0..u128::MAX, gap in 1_u128..1000) {
            let version = |n: u128| Version::stream(3, "l", &n.to_string());
            let (change, next) = (version(a), version(a.saturating_add(gap)));
            prop_assert!(change < change.clone().joined() && change.clone().joined() < next);
            prop_assert!(change.joined() < next.joined());
        }

        #[test]
        fn generation_is_first(a: u32, b: u32, t: u64, s: u128) {
            prop_assume!(a < b);
            prop_assert!(Version::stream(a, "l", &s.to_string()) < Version::snapshot(b, t));
        }
    }
}
