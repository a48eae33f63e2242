//! Where a view keeps what: keys, names and marks of its rows.

use super::{
    ViewError,
    share::{Mark, RowName},
};
use crate::{
    record::{Image, RawRecord},
    sink::table::{AttributeValue, Decimal, Item, item, text},
};

/// The attribute that all rows of all views carry: the name of the view.
pub const MARKER: &str = "anabranchView";
/// How many items contribute to a row.
pub(super) const ITEMS: &str = "anabranchItems";
/// How often the extremes of a row were decided.
pub(super) const REVISION: &str = "anabranchRevision";
/// Which candidate each extreme of a row is.
pub(super) const BEST: &str = "anabranchBest";
/// The value that a candidate stands for.
pub(super) const VALUE: &str = "anabranchValue";
/// The item that a projected row comes from.
pub(super) const OWNER: &str = "anabranchOwner";
/// What an item has in the view, in its ledger row.
pub(super) const SHARES: &str = "anabranchShares";

/// What all names of the toolkit's own begin with.
const OWN: &str = "anabranch";
/// The most bytes that DynamoDB takes in a partition key.
const PARTITION_KEY_BYTES: usize = 2048;
/// The sort key of ledger rows.
const LEDGER: &str = "ledger";

/// How the rows of one view look.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) view: String,
    pub(super) partition_key: String,
    pub(super) sort_key: String,
    pub(super) shards: u16,
    /// Over how many rows one was spread before, as long as some of those are there.
    pub(super) shards_before: u16,
    /// An attribute and its value that tell all rows of the view from those of other entity types.
    pub(super) entity: Option<(String, String)>,
}

impl Layout {
    pub(super) fn new(view: impl Into<String>) -> Self {
        Self {
            view: view.into(),
            partition_key: "PK".into(),
            sort_key: "SK".into(),
            shards: 1,
            shards_before: 1,
            entity: None,
        }
    }

    /// The keys of the row, or of the shard of it, that an item contributes to.
    pub(super) fn row_name(&self, partition: String, sort: String, source: &str) -> RowName {
        let shard = fnv(source.as_bytes()) % u64::from(self.shards.max(1));
        let sort = if self.shards > 1 { sharded(&sort, shard) } else { sort };
        RowName { partition, sort }
    }

    /// The keys of all that a row may be spread over: itself as well, from when it had no shards.
    pub(super) fn shard_names(&self, partition: &str, sort: &str) -> Vec<RowName> {
        let shards = (0..self.most_shards()).map(|shard| sharded(sort, shard.into()));
        let sorts = [sort.to_owned()].into_iter().chain(shards);
        sorts.map(|sort| RowName { partition: partition.to_owned(), sort }).collect()
    }

    /// How many shards a row has or had; none if it was always one.
    pub(super) fn most_shards(&self) -> u16 {
        Some(self.shards.max(self.shards_before)).filter(|most| *most > 1).unwrap_or_default()
    }

    pub(super) fn row_key(&self, row: &RowName) -> Item {
        self.key(&row.partition, &row.sort)
    }

    pub(super) fn ledger_key(&self, source: &str) -> Item {
        self.key(&self.ledger_partition(source), LEDGER)
    }

    /// Whether the ledger can have a row for an item: a key that cannot be would take its neighbours with it when they
    /// are read together.
    pub(super) fn check_source(&self, source: &str) -> Result<(), ViewError> {
        let bytes = self.ledger_partition(source).len();
        if bytes > PARTITION_KEY_BYTES { Err(ViewError::LongKey { bytes, limit: PARTITION_KEY_BYTES }) } else { Ok(()) }
    }

    fn ledger_partition(&self, source: &str) -> String {
        format!("{OWN}#{}#{source}", escape(&self.view))
    }

    /// The partition in which the candidates for one attribute of one row stand in order.
    pub(super) fn candidates(&self, row: &RowName, name: &str) -> Item {
        let [view, name, partition, sort] = [&self.view, name, &row.partition, &row.sort].map(escape);
        item([(&self.partition_key, text(format!("{OWN}#{view}#{name}#{partition}#{sort}")))])
    }

    pub(super) fn candidate_key(&self, row: &RowName, name: &str, place: &str) -> Item {
        let mut key = self.candidates(row, name);
        key.insert(self.sort_key.clone(), text(place));
        key
    }

    fn key(&self, partition: &str, sort: &str) -> Item {
        item([(&self.partition_key, text(partition)), (&self.sort_key, text(sort))])
    }

    /// What all rows of the view carry.
    pub(super) fn marks(&self) -> impl Iterator<Item = (String, AttributeValue)> {
        let entity = self.entity.clone().map(|(name, value)| (name, text(value)));
        [(MARKER.to_owned(), text(self.view.clone()))].into_iter().chain(entity)
    }

    /// Whether an attribute is the view's own, so that a function cannot use it.
    pub(super) fn is_own(&self, name: &str) -> bool {
        name == self.partition_key || name == self.sort_key || self.is_marked(name)
    }

    /// Whether an attribute is the view's own and no key.
    pub(super) fn is_marked(&self, name: &str) -> bool {
        name.starts_with(OWN) || self.entity.as_ref().is_some_and(|(entity, _)| entity == name)
    }

    /// The item that a row is the ledger row of, if it is one of this view.
    pub(super) fn ledger_source(&self, row: &Item) -> Option<String> {
        let (Some(AttributeValue::S(partition)), Some(AttributeValue::S(sort))) =
            (row.get(&self.partition_key), row.get(&self.sort_key))
        else {
            return None;
        };
        let source = partition.strip_prefix(&format!("{OWN}#{}#", escape(&self.view)))?;
        (sort == LEDGER && !source.contains('#')).then(|| source.to_owned())
    }
}

/// Whether a record is about a row that a view wrote, this one or another.
pub(super) fn is_of_a_view(record: &RawRecord) -> bool {
    let marked = |image: Image<'_>| matches!(image.attribute(MARKER), Ok(Some(_)));
    record.new_image().or(record.old_image()).is_some_and(marked) || has_own_key(record)
}

/// Without an image, ledger rows and candidates are still known by their keys.
fn has_own_key(record: &RawRecord) -> bool {
    let own = |value: &AttributeValue| matches!(value, AttributeValue::S(key) if key.starts_with("anabranch#"));
    record.new_image().is_none() && record.keys().item().is_ok_and(|keys| keys.values().any(own))
}

/// The item that keys name, as one text in which no `#` stands.
pub(super) fn source(keys: &Item) -> String {
    let mut names: Vec<_> = keys.keys().collect();
    names.sort_unstable();
    let parts: Vec<_> = names.into_iter().map(|name| part(&keys[name])).collect();
    parts.join(",")
}

fn part(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(key) => format!("S{}", escape(key)),
        AttributeValue::N(number) => {
            format!("N{}", number.parse::<Decimal>().map_or(escape(number), |n| n.to_string()))
        }
        AttributeValue::B(bytes) => bytes.iter().fold("B".to_owned(), |text, byte| text + &format!("{byte:02x}")),
        // No table has such a key.
        other => format!("?{}", escape(&serde_json::to_string(other).unwrap_or_default())),
    }
}

/// The place of a candidate in its order, as DynamoDB sorts texts: by order, then by item. No two items have the same.
///
/// What separates the two sorts below all that an order may have at its place, so that `2026-11-21` stands before
/// `2026-11-21 08:00`: sources begin with a letter or a question mark, and what begins as the separator does is made to go on above them.
pub(super) fn place(mark: &Mark, source: &str) -> String {
    let order = mark.order.replace('\u{1}', "\u{1}\u{7f}").replace('\0', "\u{1}\u{7e}");
    format!("{order}\u{1}{source}")
}

fn sharded(sort: &str, shard: u64) -> String {
    format!("{sort}#shard-{shard:03}")
}

fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('#', "%23").replace(',', "%2C")
}

/// FNV-1a: the same in every process and every version, unlike the standard library's hashes.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place_of(order: &str, source: &str) -> String {
        place(&Mark { name: "last".into(), order: order.into() }, source)
    }

    #[test]
    fn a_shorter_order_stands_before_a_longer_one() {
        for longer in ["2026-11-21 08:00", "2026-11-21!", "2026-11-21#", "2026-11-21\0", "2026-11-21\u{1}"] {
            assert!(place_of("2026-11-21", "Sz") < place_of(longer, "Sa"), "{longer:?}");
        }
    }

    proptest! {
        #[test]
        fn places_sort_as_orders_do_and_then_as_items(
            one in "[\0\u{1}\u{7e} !#A~\u{7f}é]{0,4}",
            other in "[\0\u{1}\u{7e} !#A~\u{7f}é]{0,4}",
            sources in ("[SNB?][a-c,%\0\u{1}]{0,3}", "[SNB?][a-c,%\0\u{1}]{0,3}"),
        ) {
            let places = place_of(&one, &sources.0).cmp(&place_of(&other, &sources.1));
            prop_assert_eq!(places, (one, sources.0).cmp(&(other, sources.1)));
        }
    }

    #[test]
    fn sources_are_told_apart() {
        let keys = [
            item([("PK", text("a#b")), ("SK", text("c"))]),
            item([("PK", text("a")), ("SK", text("b#c"))]),
            item([("PK", text("a,Sb")), ("SK", text("c"))]),
            item([("PK", text("a")), ("SK", text("b,Sc"))]),
            item([("PK", text("a%23b")), ("SK", text("c"))]),
            item([("PK", text("1"))]),
            item([("PK", AttributeValue::N("1".into()))]),
            item([("PK", AttributeValue::B(b"1".to_vec()))]),
        ];
        let sources: std::collections::HashSet<_> = keys.iter().map(source).collect();
        assert_eq!(sources.len(), keys.len());
        assert!(sources.iter().all(|source| !source.contains('#')));
        assert_eq!(source(&item([("PK", AttributeValue::N("1.0".into()))])), "N1");
    }

    #[test]
    fn ledger_rows_know_their_item_and_their_view() {
        let (one, other) = (Layout::new("one#two"), Layout::new("one"));
        let key = one.ledger_key("Sa,Sb");
        assert_eq!(one.ledger_source(&key).as_deref(), Some("Sa,Sb"));
        assert_eq!(other.ledger_source(&key), None);
        let row = RowName { partition: "Sa".into(), sort: "Sb".into() };
        assert_eq!(one.ledger_source(&one.candidate_key(&row, "name", "ledger")), None);
    }

    #[test]
    fn a_key_that_cannot_be_is_refused_before_it_is_read() {
        let layout = Layout::new("v");
        assert!(layout.check_source(&"k".repeat(2_000)).is_ok());
        assert!(matches!(layout.check_source(&"k".repeat(2_048)), Err(ViewError::LongKey { bytes: 2_060, .. })));
    }

    #[test]
    fn shards_are_all_named() {
        let layout = Layout { shards: 4, ..Layout::new("v") };
        let names = layout.shard_names("p", "s");
        let used: std::collections::BTreeSet<_> =
            (0..100).map(|n| layout.row_name("p".into(), "s".into(), &format!("item {n}"))).collect();
        assert_eq!(used.into_iter().collect::<Vec<_>>(), names[1..]);
        let count =
            |shards, shards_before| Layout { shards, shards_before, ..Layout::new("v") }.shard_names("p", "s").len();
        assert_eq!([count(1, 1), count(4, 1), count(4, 8), count(1, 8)], [1, 5, 9, 9]);
    }
}
