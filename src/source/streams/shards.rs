//! Which shards there are, which may be read, and how far each was read.

use std::collections::HashMap;

use aws_sdk_dynamodbstreams::types::Shard;

/// Where to go on in a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Position {
    /// At the oldest record.
    Oldest,
    /// Again at a record.
    At(String),
    /// Behind a record.
    After(String),
    /// With the iterator of the last page; if it expires, behind that page's last record.
    Iterator { iterator: String, last: Option<String> },
}

#[derive(Debug)]
struct Known {
    id: String,
    parent: Option<String>,
    position: Position,
    finished: bool,
}

/// The shards of a stream, in the order in which they were seen.
#[derive(Debug, Default)]
pub(super) struct Shards {
    known: Vec<Known>,
    index: HashMap<String, usize>,
}

impl Shards {
    /// Takes note of shards; those known already stay as they are.
    pub(super) fn add(&mut self, shards: Vec<Shard>) {
        for shard in shards {
            let Some(id) = shard.shard_id.filter(|id| !self.index.contains_key(id)) else { continue };
            self.index.insert(id.clone(), self.known.len());
            let parent = shard.parent_shard_id;
            self.known.push(Known { id, parent, position: Position::Oldest, finished: false });
        }
    }

    /// Shards that are not finished and whose parent is, or is not there any more (ESM-56).
    pub(super) fn readable(&self) -> impl Iterator<Item = &str> {
        self.known.iter().filter(|shard| !shard.finished && self.is_released(shard)).map(|shard| shard.id.as_str())
    }

    fn is_released(&self, shard: &Known) -> bool {
        let parent = shard.parent.as_ref().and_then(|parent| self.index.get(parent));
        parent.is_none_or(|parent| self.known[*parent].finished)
    }

    pub(super) fn position(&self, shard: &str) -> Position {
        self.index.get(shard).map_or(Position::Oldest, |at| self.known[*at].position.clone())
    }

    /// The last record that was passed, as far as the position tells.
    pub(super) fn last(&self, shard: &str) -> Option<String> {
        match self.position(shard) {
            Position::Iterator { last, .. } => last,
            Position::After(last) => Some(last),
            Position::Oldest | Position::At(_) => None,
        }
    }

    pub(super) fn set(&mut self, shard: &str, position: Position) {
        if let Some(at) = self.index.get(shard) {
            self.known[*at].position = position;
        }
    }

    /// Falls back from an iterator to what it stood for.
    pub(super) fn forget_iterator(&mut self, shard: &str) {
        let position = self.last(shard).map_or(Position::Oldest, Position::After);
        self.set(shard, position);
    }

    pub(super) fn finish(&mut self, shard: &str) {
        if let Some(at) = self.index.get(shard) {
            self.known[*at].finished = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parent: Option<&str>) -> Shard {
        Shard::builder().shard_id(id).set_parent_shard_id(parent.map(str::to_owned)).build()
    }

    fn readable(shards: &Shards) -> Vec<&str> {
        shards.readable().collect()
    }

    #[test]
    fn a_child_waits_for_its_parent() {
        let mut shards = Shards::default();
        shards.add(vec![shard("child", Some("parent")), shard("parent", None)]);
        assert_eq!(readable(&shards), ["parent"]);
        shards.finish("parent");
        assert_eq!(readable(&shards), ["child"]);
    }

    #[test]
    fn a_parent_that_is_gone_counts_as_finished() {
        let mut shards = Shards::default();
        shards.add(vec![shard("child", Some("trimmed"))]);
        assert_eq!(readable(&shards), ["child"]);
    }

    #[test]
    fn an_expired_iterator_falls_back_to_the_last_record() {
        let mut shards = Shards::default();
        shards.add(vec![shard("s", None)]);
        shards.set("s", Position::Iterator { iterator: "i".into(), last: Some("7".into()) });
        shards.forget_iterator("s");
        assert_eq!(shards.position("s"), Position::After("7".into()));
        shards.set("s", Position::Iterator { iterator: "i".into(), last: None });
        shards.forget_iterator("s");
        assert_eq!(shards.position("s"), Position::Oldest);
    }

    #[test]
    fn seeing_a_shard_again_changes_nothing() {
        let mut shards = Shards::default();
        shards.add(vec![shard("s", None)]);
        shards.finish("s");
        shards.add(vec![shard("s", None)]);
        assert!(readable(&shards).is_empty());
    }
}
