//! Which messages go into the next request.

use std::collections::{HashMap, HashSet, VecDeque};

use aws_sdk_sns::types::PublishBatchRequestEntry;

use super::{Draft, ENTRIES, Results};
use crate::sink::publisher::PublishError;

/// Messages by group, each group in order, and the groups that may go on.
pub(super) struct Schedule<'a> {
    drafts: Vec<Draft<'a>>,
    /// Of each message.
    group_of: Vec<usize>,
    /// What is left of each group.
    groups: Vec<VecDeque<usize>>,
    /// Groups with something left and nothing under way.
    ready: VecDeque<usize>,
    /// Whether a request may hold only one message of a group.
    one_by_one: bool,
    /// Bytes that a request may have.
    limit: usize,
}

impl<'a> Schedule<'a> {
    pub(super) fn new(drafts: Vec<Draft<'a>>, one_by_one: bool, limit: usize) -> Self {
        let mut names: HashMap<&str, usize> = HashMap::new();
        let (mut group_of, mut groups) = (Vec::with_capacity(drafts.len()), Vec::<VecDeque<usize>>::new());
        for (at, draft) in drafts.iter().enumerate() {
            let new = groups.len();
            let group = draft.message.group_id().map_or(new, |name| *names.entry(name).or_insert(new));
            if group == new {
                groups.push(VecDeque::new());
            }
            groups[group].push_back(at);
            group_of.push(group);
        }
        let ready = (0..groups.len()).collect();
        Self { drafts, group_of, groups, ready, one_by_one, limit }
    }

    /// The next request; empty if there is nothing to send, or everything left waits for what is under way.
    ///
    /// A message that does not fit any request is answered for when its turn comes, and ends its group.
    pub(super) fn request(
        &mut self,
        misfits: &mut VecDeque<(usize, Result<(), PublishError>)>,
    ) -> Vec<(usize, PublishBatchRequestEntry)> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < ENTRIES
            && let Some(group) = self.ready.pop_front()
        {
            if let Some(misfit) = self.misfit(group) {
                misfits.push_back(misfit);
                continue;
            }
            let before = taken.len();
            self.take(group, &mut taken, &mut bytes);
            if taken.len() == before {
                self.ready.push_front(group);
                break;
            }
        }
        taken.iter().enumerate().map(|(place, at)| (*at, self.drafts[*at].entry(place))).collect()
    }

    /// The first of the group, if it does not fit: the group ends there.
    fn misfit(&mut self, group: usize) -> Option<(usize, Result<(), PublishError>)> {
        let first = *self.groups[group].front()?;
        let misfit = self.drafts[first].misfit.take()?;
        self.groups[group].clear();
        Some((first, Err(misfit)))
    }

    /// Takes from a group what the request has room for.
    fn take(&mut self, group: usize, taken: &mut Vec<usize>, bytes: &mut usize) {
        while let Some(at) = self.groups[group].front().copied() {
            let draft = &self.drafts[at];
            if draft.misfit.is_some() || taken.len() == ENTRIES || *bytes + draft.bytes > self.limit {
                return;
            }
            self.groups[group].pop_front();
            *bytes += draft.bytes;
            taken.push(at);
            if self.one_by_one {
                return;
            }
        }
    }

    /// Lets the groups of a request go on, but for those that met a failure.
    pub(super) fn landed(&mut self, results: &Results) {
        let mut seen = HashSet::new();
        for (at, _) in results.iter().filter(|(_, result)| result.is_err()) {
            self.groups[self.group_of[*at]].clear();
        }
        for (at, _) in results {
            let group = self.group_of[*at];
            if seen.insert(group) && !self.groups[group].is_empty() {
                self.ready.push_back(group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::DEFAULT_LIMIT, *};
    use crate::sink::publisher::Message;

    fn bodies(request: &[(usize, PublishBatchRequestEntry)]) -> Vec<&str> {
        request.iter().map(|(_, entry)| entry.message()).collect()
    }

    fn messages(groups: &str) -> Vec<Message> {
        let message = |(at, group): (usize, char)| Message::new(format!("{group}{at}")).group(group);
        groups.chars().enumerate().map(message).collect()
    }

    fn schedule(messages: &[Message], one_by_one: bool) -> Schedule<'_> {
        let drafts = messages.iter().map(|message| Draft::of(message, &"t".into(), false, DEFAULT_LIMIT)).collect();
        Schedule::new(drafts, one_by_one, DEFAULT_LIMIT)
    }

    fn ok(request: &[(usize, PublishBatchRequestEntry)]) -> Results {
        request.iter().map(|(at, _)| (*at, Ok(()))).collect()
    }

    #[test]
    fn one_of_a_group_at_a_time() {
        let messages = messages("abaacb");
        let mut schedule = schedule(&messages, true);
        let mut none = VecDeque::new();
        let first = schedule.request(&mut none);
        assert_eq!(bodies(&first), ["a0", "b1", "c4"]);
        assert!(schedule.request(&mut none).is_empty(), "all groups are under way");
        schedule.landed(&ok(&first));
        let second = schedule.request(&mut none);
        assert_eq!(bodies(&second), ["a2", "b5"]);
        schedule.landed(&ok(&second));
        assert_eq!(bodies(&schedule.request(&mut none)), ["a3"]);
    }

    #[test]
    fn a_group_may_share_a_request_on_a_standard_topic() {
        let messages = messages("abaaaaaaaaaaaab");
        let mut schedule = schedule(&messages, false);
        let mut none = VecDeque::new();
        let first = schedule.request(&mut none);
        assert_eq!(bodies(&first), ["a0", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "a10"]);
        assert_eq!(bodies(&schedule.request(&mut none)), ["b1", "b14"], "not a: it is under way");
        schedule.landed(&ok(&first));
        assert_eq!(bodies(&schedule.request(&mut none)), ["a11", "a12", "a13"]);
    }

    #[test]
    fn a_failure_ends_its_group() {
        let messages = messages("abab");
        let mut schedule = schedule(&messages, true);
        let mut none = VecDeque::new();
        assert_eq!(schedule.request(&mut none).len(), 2);
        schedule.landed(&vec![(0, Err(PublishError::Interrupted)), (1, Ok(()))]);
        assert_eq!(bodies(&schedule.request(&mut none)), ["b3"]);
        assert!(schedule.request(&mut none).is_empty());
    }

    #[test]
    fn a_misfit_is_answered_when_its_turn_comes() {
        let mut messages = messages("abaa");
        messages[2] = Message::new("").group("a");
        let mut schedule = schedule(&messages, false);
        let mut misfits = VecDeque::new();
        let first = schedule.request(&mut misfits);
        assert_eq!((bodies(&first), misfits.len()), (vec!["a0", "b1"], 0));
        schedule.landed(&ok(&first));
        assert!(schedule.request(&mut misfits).is_empty());
        assert!(matches!(misfits.make_contiguous(), [(2, Err(error))] if error.is_reject()));
    }

    #[test]
    fn requests_keep_to_the_bytes() {
        let heavy: Vec<_> = (0..5).map(|_| Message::new("x".repeat(100_000))).collect();
        let mut schedule = schedule(&heavy, false);
        let mut none = VecDeque::new();
        let sizes = [0; 4].map(|_| schedule.request(&mut none).len());
        assert_eq!(sizes, [2, 2, 1, 0]);
    }
}
