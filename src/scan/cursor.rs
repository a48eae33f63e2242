//! Where a scan stands: one cursor per segment.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_dynamo::Item;

/// Where the next page of one segment begins, and of what: small, and made to be stored.
///
/// As JSON: `{"table":"PetTracker","segment":3,"segments":64,"request":"9f86d081884c7d65","key":{"PK":{"S":".."}}}`, with `"index"`
/// where one is read. A cursor without `key` stands at the beginning of its segment. It stays valid when the item
/// that it names is deleted.
///
/// A cursor fits only the request that made it: the number of segments is pinned in it, and `request` is a hash of
/// filter and key condition with their names and values. Resuming anything else is refused with a
/// [`CursorMismatch`].
///
/// The key is the table's data: `Debug` and `Display` do not show it, serializing does.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    pub(super) table: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<String>,
    pub(super) segment: u32,
    pub(super) segments: u32,
    pub(super) request: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<Item>,
}

impl Cursor {
    /// The table.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The index, if one is read.
    pub fn index(&self) -> Option<&str> {
        self.index.as_deref()
    }

    /// The segment, from 0.
    pub fn segment(&self) -> u32 {
        self.segment
    }

    /// How many segments the table was divided into.
    pub fn segments(&self) -> u32 {
        self.segments
    }

    /// Behind which key reading goes on; nothing at the beginning of the segment.
    pub fn key(&self) -> Option<&Item> {
        self.key.as_ref()
    }

    /// The same segment behind another key.
    pub(super) fn at(&self, key: Item) -> Self {
        Self { key: Some(key), ..self.clone() }
    }

    /// Whether this cursor was made by the request that `start` begins; any segment of it.
    pub(super) fn fits(&self, start: &Self) -> Result<(), CursorMismatch> {
        let differ = |what, of: &dyn fmt::Display, here: &dyn fmt::Display| {
            Err(CursorMismatch { what, cursor: of.to_string(), here: here.to_string() })
        };
        let index = |cursor: &Self| cursor.index.clone().unwrap_or_else(|| "none".into());
        if self.table != start.table {
            return differ("table", &self.table, &start.table);
        }
        if self.index != start.index {
            return differ("index", &index(self), &index(start));
        }
        if self.segments != start.segments {
            return differ("number of segments", &self.segments, &start.segments);
        }
        if self.request != start.request {
            return differ("request (filter, key condition, names or values)", &self.request, &start.request);
        }
        if self.segment >= self.segments {
            return differ("segment", &self.segment, &format_args!("less than {}", self.segments));
        }
        Ok(())
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("table", &self.table)
            .field("index", &self.index)
            .field("segment", &self.segment)
            .field("segments", &self.segments)
            .field("begun", &self.key.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} of {} of table `{}`", self.segment, self.segments, self.table)
    }
}

/// A cursor that another request made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {what} of the cursor is {cursor}, of this scan {here}: resume what the cursor was made by, or begin anew")]
pub struct CursorMismatch {
    what: &'static str,
    cursor: String,
    here: String,
}

/// Where every segment of a scan stands, from the pages that were done with: what a later run has to resume.
///
/// ```
/// use anabranch::scan::Checkpoint;
///
/// let nothing_left = Checkpoint::new([]);
/// assert!(nothing_left.is_done());
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checkpoint {
    open: BTreeMap<u32, Cursor>,
}

impl Checkpoint {
    /// At these cursors: [`Read::cursors`](super::Read::cursors) for all segments of a scan.
    pub fn new(cursors: impl IntoIterator<Item = Cursor>) -> Self {
        Self { open: cursors.into_iter().map(|cursor| (cursor.segment, cursor)).collect() }
    }

    /// Takes note that a page is done with.
    pub fn advance(&mut self, page: &super::Page) {
        self.move_to(page.segment(), page.cursor().cloned());
    }

    pub(super) fn move_to(&mut self, segment: u32, cursor: Option<Cursor>) {
        match cursor {
            Some(cursor) => drop(self.open.insert(segment, cursor)),
            None => drop(self.open.remove(&segment)),
        }
    }

    /// Whether every segment was read to its end.
    pub fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    /// The segments that were not, in their order, for [`Read::resume`](super::Read::resume).
    pub fn cursors(&self) -> impl ExactSizeIterator<Item = &Cursor> {
        self.open.values()
    }

    /// The same, owned.
    pub fn into_cursors(self) -> Vec<Cursor> {
        self.open.into_values().collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashMap;

    use serde_dynamo::AttributeValue;

    use super::*;

    pub(in crate::scan) fn key(value: &str) -> Item {
        HashMap::from([("PK".to_owned(), AttributeValue::S(value.to_owned()))]).into()
    }

    pub(in crate::scan) fn cursor(segment: u32, segments: u32) -> Cursor {
        Cursor { table: "Pets".into(), index: None, segment, segments, request: "r".into(), key: None }
    }

    #[test]
    fn a_cursor_survives_being_stored() {
        let binary = AttributeValue::B(vec![0, 255, 7]);
        let number = AttributeValue::N("0.12345678901234567890123456789012345678".into());
        let key: Item = HashMap::from([("B".to_owned(), binary), ("N".to_owned(), number)]).into();
        let stored = cursor(3, 64).at(key);
        let json = serde_json::to_string(&stored).unwrap();
        assert!(json.contains(r#""segment":3,"segments":64"#) && json.contains(r#"{"B":"AP8H"}"#), "{json}");
        assert_eq!(serde_json::from_str::<Cursor>(&json).unwrap(), stored);
        let start = serde_json::to_string(&cursor(0, 1)).unwrap();
        assert_eq!(start, r#"{"table":"Pets","segment":0,"segments":1,"request":"r"}"#);
        assert_eq!(serde_json::from_str::<Cursor>(&start).unwrap(), cursor(0, 1));
    }

    #[test]
    fn a_cursor_fits_only_what_made_it() {
        let start = cursor(0, 64);
        assert_eq!(cursor(7, 64).at(key("secret")).fits(&start), Ok(()));
        let others = [
            (
                Cursor { table: "Owners".into(), ..start.clone() },
                "the table of the cursor is Owners, of this scan Pets",
            ),
            (
                Cursor { index: Some("byName".into()), ..start.clone() },
                "the index of the cursor is byName, of this scan none",
            ),
            (cursor(7, 8), "the number of segments of the cursor is 8, of this scan 64"),
            (Cursor { request: "s".into(), ..start.clone() }, "the request (filter, key condition"),
            (cursor(64, 64), "the segment of the cursor is 64, of this scan less than 64"),
        ];
        for (other, message) in others {
            let error = other.fits(&start).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let cursor = cursor(1, 2).at(key("secret"));
        assert!(!format!("{cursor:?} {cursor}").contains("secret"));
    }

    #[test]
    fn a_checkpoint_knows_what_is_left() {
        let mut checkpoint = Checkpoint::new([cursor(1, 2), cursor(0, 2)]);
        checkpoint.move_to(0, None);
        checkpoint.move_to(1, Some(cursor(1, 2).at(key("a"))));
        assert_eq!(checkpoint.cursors().collect::<Vec<_>>(), [&cursor(1, 2).at(key("a"))]);
        checkpoint.move_to(1, None);
        assert!(checkpoint.is_done());
    }
}
