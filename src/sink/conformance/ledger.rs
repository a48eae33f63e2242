//! What every ledger keeps.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::join_all;

use crate::sink::ledger::{Claim, Fence, KEY_BYTES, Ledger, Owner, Term};

/// Holds a ledger to the promises of [`Ledger`].
///
/// The ledger is empty. The suite says itself what time it is, all of it in the year 2100.
///
/// # Panics
/// If a promise does not hold.
pub async fn ledger(ledger: &dyn Ledger) {
    let suite = Suite { ledger };
    suite.a_key_goes_through_its_states().await;
    suite.a_lease_that_is_over_can_be_taken_over().await;
    suite.a_late_owner_changes_nothing().await;
    suite.a_late_owner_may_complete_what_nobody_took().await;
    suite.what_is_done_stays_so_for_its_retention().await;
    suite.repetitions_do_no_harm().await;
    suite.keys_are_told_apart().await;
    suite.keys_that_do_not_fit_are_rejected_alone().await;
    suite.one_of_many_workers_gets_the_key().await;
    suite.histories_end_as_the_rules_say().await;
}

struct Suite<'a> {
    ledger: &'a dyn Ledger,
}

const LEASE: u64 = 60;
const RETENTION: u64 = 1000;

fn term(now: u64, length: u64) -> Term {
    let time: SystemTime = UNIX_EPOCH + Duration::from_secs(4_102_444_800 + now);
    Term::new(time, Duration::from_secs(length))
}

impl Suite<'_> {
    async fn claim(&self, key: &str, owner: &Owner, now: u64) -> Claim {
        let keys = [key.to_owned()];
        one(self.ledger.claim(&keys, owner, term(now, LEASE)).await)
    }

    async fn complete(&self, key: &str, owner: &Owner, now: u64) -> Fence {
        let keys = [key.to_owned()];
        one(self.ledger.complete(&keys, owner, term(now, RETENTION)).await)
    }

    async fn release(&self, key: &str, owner: &Owner) -> Fence {
        let keys = [key.to_owned()];
        one(self.ledger.release(&keys, owner).await)
    }

    async fn a_key_goes_through_its_states(&self) {
        let (first, second, third) = (Owner::unique(), Owner::unique(), Owner::unique());
        assert_eq!(self.claim("states", &first, 0).await, Claim::Granted);
        assert_eq!(self.claim("states", &second, 1).await, Claim::Busy);
        assert_eq!(self.release("states", &first).await, Fence::Held);
        assert_eq!(self.claim("states", &second, 2).await, Claim::Granted, "a released key is free at once");
        assert_eq!(self.complete("states", &second, 3).await, Fence::Held);
        assert_eq!(self.claim("states", &third, 4).await, Claim::Done);
    }

    async fn a_lease_that_is_over_can_be_taken_over(&self) {
        let (first, second) = (Owner::unique(), Owner::unique());
        assert_eq!(self.claim("over", &first, 100).await, Claim::Granted);
        assert_eq!(self.claim("over", &second, 100 + LEASE - 1).await, Claim::Busy, "not a second early");
        assert_eq!(self.claim("over", &second, 100 + LEASE).await, Claim::Granted, "not a second late");
    }

    async fn a_late_owner_changes_nothing(&self) {
        let (late, current, next) = (Owner::unique(), Owner::unique(), Owner::unique());
        self.claim("late", &late, 0).await;
        assert_eq!(self.claim("late", &current, LEASE).await, Claim::Granted);
        assert_eq!(self.complete("late", &late, LEASE + 1).await, Fence::Lost);
        assert_eq!(self.release("late", &late).await, Fence::Lost);
        assert_eq!(self.claim("late", &next, LEASE + 2).await, Claim::Busy, "the current owner still holds it");
        assert_eq!(self.complete("late", &current, LEASE + 3).await, Fence::Held);
        assert_eq!(self.release("late", &late).await, Fence::Lost);
        assert_eq!(self.complete("late", &late, LEASE + 3).await, Fence::Lost);
        assert_eq!(self.claim("late", &next, LEASE + 4).await, Claim::Done);
    }

    async fn a_late_owner_may_complete_what_nobody_took(&self) {
        let (late, next) = (Owner::unique(), Owner::unique());
        self.claim("alone", &late, 0).await;
        assert_eq!(self.complete("alone", &late, 5 * LEASE).await, Fence::Held);
        assert_eq!(self.claim("alone", &next, 5 * LEASE + 1).await, Claim::Done);
        self.claim("freed", &late, 0).await;
        self.release("freed", &late).await;
        assert_eq!(self.complete("freed", &late, 1).await, Fence::Held, "what has happened has happened");
        assert_eq!(self.claim("freed", &next, 2).await, Claim::Done);
    }

    async fn what_is_done_stays_so_for_its_retention(&self) {
        let (first, second) = (Owner::unique(), Owner::unique());
        self.claim("retained", &first, 0).await;
        self.complete("retained", &first, 10).await;
        assert_eq!(self.release("retained", &first).await, Fence::Lost, "done is done, even for its owner");
        assert_eq!(self.claim("retained", &second, 10 + RETENTION - 1).await, Claim::Done);
        assert_eq!(self.claim("retained", &second, 10 + RETENTION).await, Claim::Granted);
    }

    async fn repetitions_do_no_harm(&self) {
        let (owner, other) = (Owner::unique(), Owner::unique());
        for now in [0, 30] {
            assert_eq!(self.claim("again", &owner, now).await, Claim::Granted, "the answer may have been lost");
        }
        assert_eq!(self.claim("again", &other, 30 + LEASE - 1).await, Claim::Busy, "a repetition counts from its time");
        for now in [40, 41] {
            assert_eq!(self.complete("again", &owner, now).await, Fence::Held);
        }
        assert_eq!(self.claim("again", &owner, 42).await, Claim::Done, "not even for the owner");
        self.claim("freed again", &owner, 0).await;
        assert_eq!(self.release("freed again", &owner).await, Fence::Held);
        assert_eq!(self.release("freed again", &owner).await, Fence::Lost, "there is nothing left to release");
    }

    async fn keys_are_told_apart(&self) {
        let owner = Owner::unique();
        let longest = "k".repeat(KEY_BYTES);
        let keys = ["a", "a ", "A", "a#b", "a#", "#", "\u{1f415}", "\u{0}", &longest[1..], &longest].map(str::to_owned);
        let answers = self.ledger.claim(&keys, &owner, term(0, LEASE)).await;
        assert_eq!(answers.len(), keys.len(), "one result per key");
        assert!(answers.iter().all(|answer| matches!(answer, Ok(Claim::Granted))), "{answers:?}");
        let every_second: Vec<_> = keys.iter().step_by(2).cloned().collect();
        self.ledger.complete(&every_second, &owner, term(1, RETENTION)).await;
        let answers = self.ledger.claim(&keys, &Owner::unique(), term(2, LEASE)).await;
        for (at, answer) in answers.into_iter().enumerate() {
            let expected = if at % 2 == 0 { Claim::Done } else { Claim::Busy };
            assert_eq!(answer.expect("an answer"), expected, "key {at}, in the order of the keys");
        }
        assert!(self.ledger.claim(&[], &owner, term(0, LEASE)).await.is_empty());
    }

    async fn keys_that_do_not_fit_are_rejected_alone(&self) {
        let owner = Owner::unique();
        let keys = ["fits".to_owned(), String::new(), "k".repeat(KEY_BYTES + 1), "fits too".to_owned()];
        let claimed = self.ledger.claim(&keys, &owner, term(0, LEASE)).await;
        let completed = self.ledger.complete(&keys, &owner, term(0, RETENTION)).await;
        let fits: Vec<_> = claimed.iter().map(Result::is_ok).collect();
        assert_eq!(fits, [true, false, false, true]);
        assert_eq!(completed.iter().map(Result::is_ok).collect::<Vec<_>>(), fits);
        let errors = claimed.into_iter().filter_map(Result::err).chain(completed.into_iter().filter_map(Result::err));
        assert!(errors.into_iter().all(|error| error.is_reject()), "no repetition helps");
    }

    async fn one_of_many_workers_gets_the_key(&self) {
        let workers: Vec<_> = (0..12).map(|_| Owner::unique()).collect();
        for now in [0, LEASE] {
            let claims = join_all(workers.iter().map(|owner| self.claim("contended", owner, now))).await;
            let granted = claims.iter().filter(|claim| **claim == Claim::Granted).count();
            assert_eq!(granted, 1, "at {now}: {claims:?}");
            assert!(claims.iter().all(|claim| *claim != Claim::Done));
        }
        let completed = join_all(workers.iter().map(|owner| self.complete("contended", owner, LEASE + 1))).await;
        assert_eq!(completed.iter().filter(|fence| **fence == Fence::Held).count(), 1);
    }

    /// Random steps of a few workers on a few keys, against the rules applied by hand.
    async fn histories_end_as_the_rules_say(&self) {
        let mut noise = super::Noise::new(11);
        let workers: Vec<_> = (0..3).map(|_| Owner::unique()).collect();
        let mut rows: HashMap<usize, Row> = HashMap::new();
        let mut now = 0;
        for step in 0..200 {
            now += noise.below(40) as u64;
            let (key, worker) = (noise.below(3), noise.below(3));
            let (name, owner) = (format!("history {key}"), &workers[worker]);
            let row = rows.get(&key).copied();
            match noise.below(5) {
                0 | 1 => {
                    let expected = Row::claim(row, worker, now);
                    assert_eq!(self.claim(&name, owner, now).await, expected, "claim, step {step}");
                    if expected == Claim::Granted {
                        rows.insert(key, Row { owner: worker, done: false, until: now + LEASE });
                    }
                }
                2 | 3 => {
                    let held = row.is_none_or(|row| row.owner == worker);
                    assert_eq!(self.complete(&name, owner, now).await, fence(held), "complete, step {step}");
                    if held {
                        rows.insert(key, Row { owner: worker, done: true, until: now + RETENTION });
                    }
                }
                _ => {
                    let held = row.is_some_and(|row| row.owner == worker && !row.done);
                    assert_eq!(self.release(&name, owner).await, fence(held), "release, step {step}");
                    if held {
                        rows.remove(&key);
                    }
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Row {
    owner: usize,
    done: bool,
    until: u64,
}

impl Row {
    fn claim(row: Option<Self>, worker: usize, now: u64) -> Claim {
        match row.filter(|row| row.until > now) {
            Some(row) if row.done => Claim::Done,
            Some(row) if row.owner != worker => Claim::Busy,
            _ => Claim::Granted,
        }
    }
}

fn fence(held: bool) -> Fence {
    if held { Fence::Held } else { Fence::Lost }
}

fn one<R>(mut answers: Vec<Result<R, crate::sink::ledger::LedgerError>>) -> R {
    assert_eq!(answers.len(), 1, "one result per key");
    answers.remove(0).expect("a key that nothing speaks against")
}
