//! How far a shard is done with, while its lanes run at their own pace.

use std::collections::BTreeMap;

use super::Sequence;

/// The records of a shard that are not done with, and the position behind the slowest of them (ESM-29).
#[derive(Debug, Default)]
pub(super) struct Progress {
    next: u64,
    /// By their order of arrival, each with the record before it.
    open: BTreeMap<u64, Option<Sequence>>,
    last: Option<Sequence>,
}

impl Progress {
    /// Begins behind a record.
    pub(super) fn behind(last: Option<Sequence>) -> Self {
        Self { last, ..Self::default() }
    }

    /// The next record, which is to be handled.
    pub(super) fn enter(&mut self, sequence: &Sequence) -> u64 {
        let index = self.next;
        self.next += 1;
        self.open.insert(index, self.last.replace(sequence.clone()));
        index
    }

    /// The next record, which is not wanted.
    pub(super) fn pass(&mut self, sequence: &Sequence) {
        self.last = Some(sequence.clone());
    }

    pub(super) fn done(&mut self, index: u64) {
        self.open.remove(&index);
    }

    /// The last record of which it and all before it are done with.
    pub(super) fn position(&self) -> Option<&Sequence> {
        match self.open.first_key_value() {
            Some((_, before)) => before.as_ref(),
            None => self.last.as_ref(),
        }
    }

    /// Whether everything that was read is done with.
    pub(super) fn is_clear(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn esm_29_the_position_stays_behind_the_slowest() {
        let mut progress = Progress::behind(Some("1".into()));
        let position = |progress: &Progress| progress.position().map(|it| it.as_str().to_owned());
        let (two, three) = (progress.enter(&"2".into()), progress.enter(&"3".into()));
        progress.pass(&"4".into());
        progress.done(three);
        assert_eq!(position(&progress).as_deref(), Some("1"));
        progress.done(two);
        assert_eq!(position(&progress).as_deref(), Some("4"));
        assert!(progress.is_clear());
    }

    #[test]
    fn nothing_is_done_at_the_beginning() {
        let mut progress = Progress::default();
        progress.enter(&"7".into());
        assert_eq!(progress.position(), None);
    }
}
