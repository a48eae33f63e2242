//! Windows that follow each other.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{Export, ExportError};
use crate::record::Timestamp;

/// Clients ask for windows in whole seconds, whereas a time that DynamoDB chooses, for want of one, has more digits. What
/// begins within the last second of another is taken to follow it.
const GRAIN: i64 = 1_000_000_000;

/// The fewest of these incremental exports that follow each other until `until`, from the full one or, without it, from a
/// window that has `since`: the one that begins last.
pub(super) fn chain(
    full: Option<&Export>,
    windows: &[Export],
    since: Timestamp,
    until: Timestamp,
) -> Result<Vec<Export>, ExportError> {
    let needless = |export: &&Export| export.kind().until() <= since || export.kind().from() >= until;
    let windows: Vec<_> = windows.iter().filter(|export| !needless(export)).collect();
    let ways = Ways::of(&windows, until);
    let first = match full {
        Some(_) => ways.behind(since),
        None => ways.0.range(..=since).next_back(),
    };
    match first {
        Some((from, _)) => Ok(full.into_iter().cloned().chain(ways.from(*from)).collect()),
        None => Err(hindrance(full, windows, since, until)),
    }
}

/// The best way from the beginnings of windows to the end, if there is one from there.
struct Ways<'a>(BTreeMap<Timestamp, Way<'a>>);

struct Way<'a> {
    windows: usize,
    first: &'a Export,
    /// Where the next window begins.
    next: Option<Timestamp>,
}

impl<'a> Ways<'a> {
    fn of(windows: &[&'a Export], until: Timestamp) -> Self {
        let mut latest_first = windows.to_vec();
        latest_first.sort_by_key(|export| Reverse((export.kind().from(), export.kind().until())));
        let mut ways = Self(BTreeMap::new());
        for first in latest_first {
            let (from, end) = (first.kind().from(), first.kind().until());
            let way = match ways.behind(end) {
                _ if end >= until => Way { windows: 1, first, next: None },
                Some((next, way)) => Way { windows: 1 + way.windows, first, next: Some(*next) },
                None => continue,
            };
            if ways.0.get(&from).is_none_or(|other| way.windows < other.windows) {
                ways.0.insert(from, way);
            }
        }
        ways
    }

    /// The way on from an end.
    fn behind(&self, end: Timestamp) -> Option<(&Timestamp, &Way<'a>)> {
        self.0.range(..=end).next_back().filter(|(from, _)| !overlap(end, **from))
    }

    fn from(&self, from: Timestamp) -> impl Iterator<Item = Export> {
        let way = self.0.get(&from);
        std::iter::successors(way, |way| self.0.get(&way.next?)).map(|way| way.first.clone())
    }
}

/// Why no windows follow each other.
fn hindrance(full: Option<&Export>, windows: Vec<&Export>, since: Timestamp, until: Timestamp) -> ExportError {
    let (mut before, mut covered) = (full, since);
    for export in without_nested(windows) {
        let from = export.kind().from();
        match before {
            _ if from > covered => return ExportError::Gap { from: covered, until: from },
            Some(first) if overlap(covered, from) => return overlapping(first, export),
            _ => (before, covered) = (Some(export), export.kind().until()),
        }
    }
    ExportError::Gap { from: covered, until }
}

/// In the order of their beginnings, and so of their ends.
fn without_nested(mut windows: Vec<&Export>) -> Vec<&Export> {
    windows.sort_by_key(|export| (export.kind().from(), Reverse(export.kind().until())));
    let mut reached = None;
    windows.retain(|export| {
        let is_further = reached < Some(export.kind().until());
        reached = reached.max(Some(export.kind().until()));
        is_further
    });
    windows
}

fn overlap(end: Timestamp, from: Timestamp) -> bool {
    end.as_nanos() - from.as_nanos() >= GRAIN
}

fn overlapping(first: &Export, second: &Export) -> ExportError {
    ExportError::Overlap {
        first: first.arn().to_owned(),
        first_holds: first.kind(),
        second: second.arn().to_owned(),
        second_holds: second.kind(),
    }
}
