//! A range of a shard, read again.

use super::RedriveError;
use crate::source::mapping::{FaultKind, Position, Sequence, ShardId, StreamFault, StreamRecord, Streams};

/// Pages may be empty although later data exists (ESM-58); so many in a row are the end.
const PATIENCE: u32 = 100;
/// The most records that one page may hold.
const PAGE: usize = 1000;

/// Records of a shard, from the first to the last.
pub(super) struct Range<'a> {
    pub(super) stream: &'a str,
    pub(super) shard: ShardId,
    pub(super) first: &'a Sequence,
    pub(super) last: &'a Sequence,
}

impl Range<'_> {
    /// Reads all of it, or none.
    pub(super) async fn read(&self, streams: &(impl Streams + ?Sized)) -> Result<Vec<StreamRecord>, RedriveError> {
        let at = Position::At(self.first.clone());
        let mut next = Some(streams.iterator(&self.shard, &at).await.map_err(|fault| self.fault(fault))?);
        let (mut found, mut empty) = (Vec::new(), 0);
        while let Some(iterator) = next.filter(|_| empty < PATIENCE) {
            let page = streams.records(&iterator, PAGE).await.map_err(|fault| self.fault(fault))?;
            empty = if page.records.is_empty() { empty + 1 } else { 0 };
            for record in page.records {
                if record.sequence() > self.last {
                    return self.whole(found);
                }
                found.push(record);
            }
            if found.last().is_some_and(|record| record.sequence() == self.last) {
                return self.whole(found);
            }
            next = page.next;
        }
        self.whole(found)
    }

    /// Both ends are there, or something was trimmed or is of another table.
    fn whole(&self, found: Vec<StreamRecord>) -> Result<Vec<StreamRecord>, RedriveError> {
        let is = |record: Option<&StreamRecord>, end| record.is_some_and(|record| record.sequence() == end);
        match (is(found.first(), self.first), is(found.last(), self.last)) {
            (true, true) => Ok(found),
            (false, _) => Err(self.trimmed()),
            (true, false) => Err(RedriveError::Incomplete {
                shard: self.shard.clone(),
                first: self.first.clone(),
                last: self.last.clone(),
                found: found.len(),
            }),
        }
    }

    fn trimmed(&self) -> RedriveError {
        let (first, last) = (self.first.clone(), self.last.clone());
        RedriveError::Trimmed { shard: self.shard.clone(), first, last }
    }

    /// A shard that is not known any more has been trimmed as a whole.
    fn fault(&self, fault: StreamFault) -> RedriveError {
        match fault.kind {
            FaultKind::Trimmed | FaultKind::NotFound => self.trimmed(),
            _ => RedriveError::Stream { stream: self.stream.to_owned(), source: fault },
        }
    }
}
