//! From rows of a view back to what they are of.

use std::collections::HashMap;

use super::{MARKER, layout::Layout, share::RowName};
use crate::sink::table::{AttributeValue, Item, text};

impl Layout {
    /// The keys of the row that a shard is of.
    pub(super) fn whole(&self, shard: &RowName) -> RowName {
        let whole = match shard.sort.rsplit_once("#shard-") {
            Some((sort, _)) if self.most_shards() > 0 => sort,
            _ => &shard.sort,
        };
        RowName { partition: shard.partition.clone(), sort: whole.to_owned() }
    }

    /// The keys of a row of this view that is neither ledger nor candidate.
    pub(super) fn row_of_view(&self, row: &Item) -> Option<RowName> {
        let (Some(AttributeValue::S(partition)), Some(AttributeValue::S(sort))) =
            (row.get(&self.partition_key), row.get(&self.sort_key))
        else {
            return None;
        };
        let marked = row.get(MARKER) == Some(&text(self.view.clone())) && !partition.starts_with("anabranch#");
        marked.then(|| RowName { partition: partition.clone(), sort: sort.clone() })
    }
}

/// The keys that [`source`](super::layout::source) made a text of, by their names; none if it is no such text.
pub(super) fn key_of_source(source: &str, names: &[String]) -> Option<Item> {
    let mut names: Vec<_> = names.iter().collect();
    names.sort_unstable();
    let parts: Vec<_> = source.split(',').collect();
    let values = (parts.len() == names.len()).then(|| parts.into_iter().map(value).collect::<Option<Vec<_>>>())??;
    let attributes: HashMap<_, _> = names.into_iter().cloned().zip(values).collect();
    Some(attributes.into())
}

fn value(part: &str) -> Option<AttributeValue> {
    let (kind, text) = part.split_at_checked(1)?;
    match kind {
        "S" => Some(AttributeValue::S(unescape(text))),
        "N" => Some(AttributeValue::N(unescape(text))),
        "B" => {
            let byte = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
            (0..text.len()).step_by(2).map(byte).collect::<Option<_>>().map(AttributeValue::B)
        }
        _ => None,
    }
}

fn unescape(text: &str) -> String {
    text.replace("%2C", ",").replace("%23", "#").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sink::table::item, view::layout::source};

    #[test]
    fn a_source_is_read_back_as_its_keys() {
        let keys = [
            item([("PK", text("a#b")), ("SK", text("c,d"))]),
            item([("PK", text("%23")), ("SK", text(""))]),
            item([("PK", AttributeValue::N("-1.5".into()))]),
            item([("PK", AttributeValue::B(b"\x00\xff".to_vec()))]),
        ];
        for key in keys {
            let names: Vec<_> = key.keys().cloned().collect();
            assert_eq!(key_of_source(&source(&key), &names), Some(key));
        }
        for no_source in ["", "X1", "Sa,Sb", "B1", "Bxy", "\u{e9}"] {
            assert_eq!(key_of_source(no_source, &["PK".to_owned()]), None, "{no_source}");
        }
    }

    #[test]
    fn a_shard_is_of_its_row() {
        let name = |sort: &str| RowName { partition: "p".into(), sort: sort.into() };
        let (one, some) = (Layout::new("v"), Layout { shards: 3, ..Layout::new("v") });
        let shard = some.row_name("p".into(), "s#shard-x".into(), "item");
        assert_eq!(some.whole(&shard), name("s#shard-x"));
        assert_eq!(one.whole(&name("s#shard-001")), name("s#shard-001"), "without shards it is only a key");
    }

    #[test]
    fn rows_of_a_view_are_told_from_its_books_and_from_others() {
        let layout = Layout::new("v");
        let row =
            |partition: &str, view: &str| item([("PK", text(partition)), ("SK", text("s")), (MARKER, text(view))]);
        assert!(layout.row_of_view(&row("p", "v")).is_some());
        assert!(layout.row_of_view(&row("p", "w")).is_none());
        assert!(layout.row_of_view(&row("anabranch#v#Sa", "v")).is_none());
        assert!(layout.row_of_view(&item([("PK", text("p")), ("SK", text("s"))])).is_none());
    }
}
