//! What a listing means: shards that are found, begin, end, and are gone.

use std::time::Duration;

use super::Machine;
use crate::{
    record::Timestamp,
    source::mapping::{
        Checkpoint, Event, Sequence, ShardId, ShardInfo, StartingPosition, StreamFault, TrimPolicy,
        discovery::{Found, Listing},
        reader::{Doubt, is_safe},
        shard::{End, Shard},
        time,
    },
};

/// Finished shards are remembered for so long after they are not listed any more.
const MEMORY: Duration = Duration::from_secs(48 * 60 * 60);

/// A shard that is known and not begun.
#[derive(Debug)]
pub(super) struct Waiting {
    parent: Option<ShardId>,
    /// The listing during which it was found: only its end tells whether an unknown parent is gone.
    listing: u64,
    found: Timestamp,
    /// It was there when the mapping began: what came before it was never wanted.
    fresh: bool,
}

impl Machine {
    /// Records of a shard that nobody can read any more may be lost.
    fn missing(&mut self, shard: &ShardId, after: Option<Sequence>) {
        self.events.push(Event::Gap { shard: shard.clone(), after });
        if self.settings.trimmed == TrimPolicy::Fail {
            self.fail(shard);
        }
    }

    /// A shard that was not read to its end is not listed any more. It took no records for as long as they are kept, so
    /// nothing is lost if its tip was reached since.
    fn gone(&mut self, now: Timestamp, shard: &ShardId, (after, tip): (Option<Sequence>, Option<Timestamp>)) {
        self.events.push(Event::ShardGone { shard: shard.clone() });
        if !tip.is_some_and(|tip| is_safe(&self.settings, tip, now)) {
            self.missing(shard, after);
        }
    }

    pub(super) fn found(&mut self, now: Timestamp, found: Found) {
        self.note_stream(found.gone, found.failed);
        for shard in found.shards {
            self.note_shard(now, shard);
        }
        // Of a shard that is not known any more only the listing tells whether it can be read to its end.
        if let Some(parent) = found.parent.filter(|parent| !self.is_unknown(parent)) {
            self.close(now, &parent);
        }
        if let Some(listing) = found.listing {
            self.settle(now, &listing);
        }
        self.start_waiting();
        self.tell_end();
    }

    fn note_stream(&mut self, gone: bool, failed: Option<(StreamFault, Duration)>) {
        if gone && !self.stream_gone {
            self.events.push(Event::StreamGone);
        }
        if let Some((fault, wait)) = failed.filter(|_| !gone) {
            self.events.push(Event::ReadFailed { shard: None, reason: fault.to_string(), wait });
        }
        self.stream_gone = gone;
    }

    fn note_shard(&mut self, now: Timestamp, shard: ShardInfo) {
        let ShardInfo { id, parent, .. } = shard;
        let known = self.index.contains_key(&id) || self.finished.contains_key(&id) || self.waiting.contains_key(&id);
        if !known {
            self.events.push(Event::ShardFound { shard: id.clone(), parent: parent.clone() });
            let found = self.beginning.filter(|_| self.fresh).unwrap_or(now);
            let waiting = Waiting { parent, listing: self.discovery.begun, found, fresh: self.fresh };
            self.waiting.insert(id, waiting);
        }
    }

    /// A complete listing tells what was doubtful.
    fn settle(&mut self, now: Timestamp, listing: &Listing) {
        self.listed = listing.number;
        let settled: Vec<_> =
            self.doubts.iter().filter(|(_, begun)| **begun < listing.number).map(|(id, _)| id.clone()).collect();
        for id in settled {
            self.settle_end(now, &id, listing);
        }
        let begins = self.fresh && self.beginning.is_none();
        if begins && self.settings.starting_position == StartingPosition::Latest {
            self.begin_latest(now, listing);
        }
        if begins {
            self.beginning = Some(now);
        }
        self.fresh = false;
        self.forget(now, listing);
        self.disabled_stream = listing.disabled;
    }

    pub(super) fn tell_end(&mut self) {
        let ended = self.has_ended();
        if ended && !self.told_end {
            self.events.push(Event::StreamEnded);
        }
        self.told_end = ended;
    }

    fn settle_end(&mut self, now: Timestamp, id: &ShardId, listing: &Listing) {
        let Some(index) = self.index.get(id).copied() else { return };
        let End::Doubtful(doubt) = self.active[index].end else { return };
        let info = listing.shards.get(id);
        let ended = info.is_some_and(|info| info.ended) || listing.disabled || listing.has_children(id);
        match (info, doubt) {
            (None, doubt) => {
                if doubt == Doubt::Unknown || self.active[index].is_lost() {
                    let reached = self.active[index].reached();
                    self.gone(now, id, reached);
                }
                if self.failure.is_none() {
                    self.confirm_end(id);
                }
            }
            (Some(_), Doubt::NoIterator) if ended => self.close(now, id),
            (Some(_), doubt) => {
                self.doubts.remove(id);
                self.active[index].reopen(now, doubt);
                if doubt == Doubt::NoIterator {
                    self.events.push(Event::ShardReopened { shard: id.clone() });
                }
            }
        }
    }

    fn is_unknown(&self, id: &ShardId) -> bool {
        self.index.get(id).is_some_and(|index| self.active[*index].end == End::Doubtful(Doubt::Unknown))
    }

    fn close(&mut self, now: Timestamp, id: &ShardId) {
        self.doubts.remove(id);
        if let Some(index) = self.index.get(id) {
            self.active[*index].close(now);
        }
    }

    fn confirm_end(&mut self, id: &ShardId) {
        self.doubts.remove(id);
        if let Some(index) = self.index.get(id) {
            self.active[*index].confirm_end();
            self.dirty.insert(id.clone());
        }
    }

    /// The first listing of a mapping that begins at the newest record: what has children is history.
    fn begin_latest(&mut self, now: Timestamp, listing: &Listing) {
        let known: Vec<_> = self.waiting.keys().filter(|id| listing.shards.contains_key(*id)).cloned().collect();
        for id in known {
            self.waiting.remove(&id);
            if listing.has_children(&id) {
                self.skipped.push(skipped(&id, now));
                self.finished.insert(id, now);
            } else {
                self.begin(Shard::from_latest(id, &self.settings, now));
            }
        }
    }

    /// Shards that are gone are finished, unless the policy is to fail; those that were finished long ago are forgotten.
    fn forget(&mut self, now: Timestamp, listing: &Listing) {
        let is_listed = |id: &ShardId, _: &mut Checkpoint| listing.shards.contains_key(id);
        let gone: Vec<_> =
            self.kept.iter_mut().flat_map(|kept| kept.extract_if(.., |id, it| !is_listed(id, it))).collect();
        for (id, checkpoint) in gone {
            self.gone(now, &id, (checkpoint.sequence.clone(), checkpoint.idle_at()));
            if self.failure.is_none() {
                self.finish_gone(now, checkpoint);
            }
        }
        let is_fresh = |time: Timestamp| time::between(time, now) < MEMORY;
        self.finished.retain(|id, time| listing.shards.contains_key(id) || is_fresh(*time));
    }

    /// A window that is open in it gets its final invocation, as at the end of a shard that is read to it (ESM-55).
    fn finish_gone(&mut self, now: Timestamp, checkpoint: Checkpoint) {
        let id = checkpoint.shard.clone();
        if checkpoint.window.is_some() {
            self.activate(Shard::from_checkpoint(checkpoint, &self.settings));
            self.confirm_end(&id);
            return;
        }
        self.finished.insert(id, now);
        self.skipped.push(Checkpoint { finished: true, window: None, updated_at: now.as_nanos(), ..checkpoint });
    }

    /// Begins shards whose parent is finished, or gone (ESM-56).
    pub(super) fn start_waiting(&mut self) {
        let free: Vec<_> = self.waiting.iter().filter(|(_, it)| self.is_free(it)).map(|(id, _)| id.clone()).collect();
        for id in free {
            // What is begun is saved, and a gap before it forgotten.
            if self.failure.is_some() {
                return;
            }
            let Some(waiting) = self.waiting.remove(&id) else { continue };
            let kept = self.kept.as_mut().and_then(|kept| kept.remove(&id));
            if kept.is_none() && self.is_orphan(&waiting) {
                self.missing(&id, None);
                if self.failure.is_some() {
                    return;
                }
            }
            let shard = match kept {
                Some(checkpoint) => Shard::from_checkpoint(checkpoint, &self.settings),
                // Its first position was to be saved, and was not.
                None if waiting.fresh && self.settings.starting_position == StartingPosition::Latest => {
                    Shard::since(id, &self.settings, waiting.found)
                }
                None => Shard::from_horizon(id, &self.settings, self.unread_since(&waiting)),
            };
            self.begin(shard);
        }
    }

    /// Whether a shard waits that begins when the mapping began, and has no checkpoint that says so. From its oldest record it may begin
    /// at any time.
    pub(super) fn awaits_beginning(&self) -> bool {
        let is_kept = |id: &ShardId| self.kept.as_ref().is_some_and(|kept| kept.contains_key(id));
        self.settings.starting_position == StartingPosition::Latest
            && self.waiting.iter().any(|(id, waiting)| waiting.fresh && !is_kept(id))
    }

    /// Whether it came after a shard that was never seen.
    fn is_orphan(&self, waiting: &Waiting) -> bool {
        !waiting.fresh && waiting.parent.as_ref().is_some_and(|parent| !self.finished.contains_key(parent))
    }

    /// A time before which it had no records that were wanted, as far as is known.
    fn unread_since(&self, waiting: &Waiting) -> Timestamp {
        let ended = waiting.parent.as_ref().and_then(|parent| self.finished.get(parent));
        ended.map_or(waiting.found, |ended| waiting.found.min(*ended))
    }

    fn is_free(&self, waiting: &Waiting) -> bool {
        let known = |id: &ShardId| self.index.contains_key(id) || self.waiting.contains_key(id);
        let finished = waiting.parent.as_ref().is_some_and(|parent| self.finished.contains_key(parent));
        let unblocked = waiting.parent.as_ref().is_none_or(|parent| !known(parent));
        // Before the first listing has ended nobody knows where to begin; a parent that is not listed yet may still be.
        self.listed > 0 && (finished || (unblocked && self.listed >= waiting.listing))
    }

    fn begin(&mut self, shard: Shard) {
        let (id, position) = (shard.id().clone(), shard.position());
        self.events.push(Event::ShardStarted { shard: id, position });
        self.activate(shard);
    }

    fn activate(&mut self, shard: Shard) {
        let id = shard.id().clone();
        self.index.insert(id.clone(), self.active.len());
        self.active.push(shard);
        self.dirty.insert(id);
    }
}

fn skipped(shard: &ShardId, now: Timestamp) -> Checkpoint {
    Checkpoint {
        shard: shard.clone(),
        sequence: None,
        finished: true,
        since: None,
        idle_at: None,
        window: None,
        beginning: None,
        updated_at: now.as_nanos(),
    }
}
