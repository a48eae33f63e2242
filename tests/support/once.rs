//! A ledger and a topic under watch: they fail, crash and hold workers up where a test wants it, and notice what must
//! never happen.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anabranch::sink::{
    ledger::{Claim, Fence, Ledger, LedgerError, Memory, Owner, Term},
    publisher::{Message, PublishError, Publisher},
};
use futures_util::{
    StreamExt,
    future::{BoxFuture, pending},
    stream::{self, BoxStream},
};
use tokio::sync::Notify;

/// What happens to one request of a ledger or a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It fails without effect.
    FailBefore,
    /// It has its effect, and its answer is lost.
    FailAfter,
    /// The worker is gone before it has its effect.
    CrashBefore,
    /// The worker is gone after it had its effect.
    CrashAfter,
    /// The worker stands still before it, and goes on much later.
    PauseBefore,
    /// The worker stands still after it, and goes on much later.
    PauseAfter,
    /// The topic rejects the message; nothing elsewhere.
    Reject,
    /// The handler panics; nothing elsewhere.
    Panic,
}

/// One invocation.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    /// It crashed, or stands still.
    pub(crate) stopped: Notify,
    /// It may go on.
    pub(crate) resume: Notify,
    state: Mutex<WorkerState>,
}

#[derive(Debug, Default)]
struct WorkerState {
    /// It is gone: nothing of it goes on.
    dead: bool,
    /// It stood still: what it holds may be somebody else's by now.
    stale: bool,
    /// Changes it has published and not yet noted.
    open: BTreeSet<usize>,
}

impl Worker {
    /// Whether it will never go on.
    pub(crate) fn is_dead(&self) -> bool {
        lock(&self.state).dead
    }
}

tokio::task_local! {
    /// The invocation that a task belongs to.
    pub(crate) static WORKER: Arc<Worker>;
}

/// What is shared by all workers.
#[derive(Debug, Default)]
pub(crate) struct World {
    faults: Mutex<VecDeque<Fault>>,
    now: Mutex<Duration>,
    seen: Mutex<Seen>,
    ledger: Memory,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Changes in the order in which they were published.
    pub(crate) published: Vec<usize>,
    /// Changes of which a crash, a late worker or a lost answer may have made a second message.
    pub(crate) excused: BTreeSet<usize>,
    /// What broke a promise.
    pub(crate) broken: Vec<String>,
    rows: HashMap<String, Row>,
}

#[derive(Debug, Clone)]
struct Row {
    owner: Owner,
    done: bool,
    until: u64,
}

/// A ledger of the world, whose keys are the numbers of changes.
#[derive(Clone)]
pub(crate) struct Watched(pub(crate) Arc<World>);

impl World {
    pub(crate) fn new(faults: impl IntoIterator<Item = Fault>) -> Arc<Self> {
        Arc::new(Self { faults: Mutex::new(faults.into_iter().collect()), ..Self::default() })
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    pub(crate) fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_763_692_800) + *lock(&self.now)
    }

    pub(crate) fn advance(&self, by: Duration) {
        *lock(&self.now) += by;
    }

    /// From now on nothing goes wrong.
    pub(crate) fn calm(&self) {
        lock(&self.faults).clear();
    }

    /// How often each change was published.
    pub(crate) fn counts(&self) -> BTreeMap<usize, usize> {
        let mut counts = BTreeMap::new();
        for n in &self.seen().published {
            *counts.entry(*n).or_default() += 1;
        }
        counts
    }

    fn fault(&self) -> Fault {
        lock(&self.faults).pop_front().unwrap_or_default()
    }

    /// Everything that the worker has published and not noted may happen again.
    fn excuse_open(&self, worker: &Worker) {
        self.seen().excused.extend(&lock(&worker.state).open);
    }

    async fn crash(&self) {
        let worker = WORKER.get();
        self.excuse_open(&worker);
        lock(&worker.state).dead = true;
        worker.stopped.notify_one();
        pending().await
    }

    /// What a crashed worker was about to do does not happen.
    async fn alive(&self) {
        if WORKER.get().is_dead() {
            pending::<()>().await;
        }
    }

    async fn pause(&self) {
        let worker = WORKER.get();
        self.excuse_open(&worker);
        lock(&worker.state).stale = true;
        worker.stopped.notify_one();
        worker.resume.notified().await;
    }

    async fn before(&self, fault: Fault) {
        match fault {
            Fault::CrashBefore => self.crash().await,
            Fault::PauseBefore => self.pause().await,
            _ => {}
        }
    }

    async fn after(&self, fault: Fault) {
        match fault {
            Fault::CrashAfter => self.crash().await,
            Fault::PauseAfter => self.pause().await,
            _ => {}
        }
    }

    /// Publishes the change, or fails as planned.
    pub(crate) async fn publish(&self, n: usize) -> Result<(), PublishError> {
        let fault = self.fault();
        tokio::task::yield_now().await;
        self.before(fault).await;
        self.alive().await;
        match fault {
            Fault::FailBefore => return Err(PublishError::other("planned failure")),
            Fault::Reject => return Err(PublishError::Unfit { topic: "planned".into(), reason: "planned reject" }),
            Fault::Panic => panic!("planned panic"),
            _ => {}
        }
        self.note_published(n, fault == Fault::FailAfter);
        self.after(fault).await;
        if fault == Fault::FailAfter { Err(PublishError::other("planned lost answer")) } else { Ok(()) }
    }

    fn note_published(&self, n: usize, answer_lost: bool) {
        let worker = WORKER.get();
        let mut state = lock(&worker.state);
        state.open.insert(n);
        let mut seen = self.seen();
        seen.published.push(n);
        if state.stale || answer_lost {
            seen.excused.insert(n);
        }
    }

    async fn ask<R>(
        &self,
        key: &str,
        act: impl Future<Output = Vec<Result<R, LedgerError>>>,
        note: impl FnOnce(&mut Seen, &R),
    ) -> Result<R, LedgerError> {
        let fault = self.fault();
        self.before(fault).await;
        self.alive().await;
        if fault == Fault::FailBefore {
            // If it was to note that the change is done, nobody knows now.
            self.seen().excused.extend(lock(&WORKER.get().state).open.get(&number(key)));
            return Err(LedgerError::other("planned failure"));
        }
        let answer = act.await.remove(0)?;
        // No other task has run since the ledger did its work.
        note(&mut self.seen(), &answer);
        self.after(fault).await;
        if fault == Fault::FailAfter { Err(LedgerError::other("planned lost answer")) } else { Ok(answer) }
    }

    async fn claim(&self, key: &str, owner: &Owner, lease: Term) -> Result<Claim, LedgerError> {
        let keys = [key.to_owned()];
        let note = |seen: &mut Seen, claim: &Claim| {
            let row = seen.rows.get(key).filter(|row| row.until > lease.now()).cloned();
            let right = match claim {
                Claim::Granted => row.as_ref().is_none_or(|row| row.owner == *owner && !row.done),
                Claim::Busy => row.as_ref().is_some_and(|row| row.owner != *owner && !row.done),
                Claim::Done => row.as_ref().is_some_and(|row| row.done),
            };
            seen.check(right, key, &format!("{claim:?} to {owner:?}"), row.as_ref());
            if *claim == Claim::Granted {
                let row = Row { owner: owner.clone(), done: false, until: lease.until() };
                seen.rows.insert(key.to_owned(), row);
            }
        };
        self.ask(key, self.ledger.claim(&keys, owner, lease), note).await
    }

    async fn complete(&self, key: &str, owner: &Owner, retention: Term) -> Result<Fence, LedgerError> {
        let keys = [key.to_owned()];
        let note = |seen: &mut Seen, fence: &Fence| {
            let row = seen.rows.get(key).cloned();
            let held = row.as_ref().is_none_or(|row| row.owner == *owner);
            seen.check(held == (*fence == Fence::Held), key, &format!("completion {fence:?}"), row.as_ref());
            if held {
                let row = Row { owner: owner.clone(), done: true, until: retention.until() };
                seen.rows.insert(key.to_owned(), row);
                lock(&WORKER.get().state).open.remove(&number(key));
            }
        };
        self.ask(key, self.ledger.complete(&keys, owner, retention), note).await
    }

    async fn release(&self, key: &str, owner: &Owner) -> Result<Fence, LedgerError> {
        let keys = [key.to_owned()];
        let note = |seen: &mut Seen, fence: &Fence| {
            let row = seen.rows.get(key).cloned();
            let held = row.as_ref().is_some_and(|row| row.owner == *owner && !row.done);
            seen.check(held == (*fence == Fence::Held), key, &format!("release {fence:?}"), row.as_ref());
            if held {
                seen.rows.remove(key);
            }
        };
        self.ask(key, self.ledger.release(&keys, owner), note).await
    }
}

impl Seen {
    fn check(&mut self, right: bool, key: &str, what: &str, row: Option<&Row>) {
        if !right {
            self.broken.push(format!("key {key}: {what}, while the row was {row:?}"));
        }
    }
}

/// The number of the change that a key stands for.
fn number(key: &str) -> usize {
    usize::from_str_radix(key, 16).expect("event ids of the small world are hexadecimal numbers")
}

impl Ledger for Watched {
    fn name(&self) -> &str {
        "watched"
    }

    fn claim<'a>(
        &'a self,
        keys: &'a [String],
        owner: &'a Owner,
        lease: Term,
    ) -> BoxFuture<'a, Vec<Result<Claim, LedgerError>>> {
        let one = move |key: &'a String| self.0.claim(key, owner, lease);
        Box::pin(stream::iter(keys.iter().map(one)).buffered(3).collect())
    }

    fn complete<'a>(
        &'a self,
        keys: &'a [String],
        owner: &'a Owner,
        retention: Term,
    ) -> BoxFuture<'a, Vec<Result<Fence, LedgerError>>> {
        let one = move |key: &'a String| self.0.complete(key, owner, retention);
        Box::pin(stream::iter(keys.iter().map(one)).buffered(3).collect())
    }

    fn release<'a>(&'a self, keys: &'a [String], owner: &'a Owner) -> BoxFuture<'a, Vec<Result<Fence, LedgerError>>> {
        let one = move |key: &'a String| self.0.release(key, owner);
        Box::pin(stream::iter(keys.iter().map(one)).buffered(3).collect())
    }
}

/// Messages are the numbers of changes.
impl Publisher for Watched {
    fn name(&self) -> &str {
        "watched"
    }

    fn publish<'a>(&'a self, messages: &'a [Message]) -> BoxStream<'a, (usize, Result<(), PublishError>)> {
        let start = (messages.iter().enumerate(), BTreeSet::<&str>::new());
        stream::unfold(start, async |(mut rest, mut held)| {
            let group = |message: &'a Message| message.group_id().expect("a group");
            let (at, message) = rest.find(|(_, message)| !held.contains(group(message)))?;
            let result = self.0.publish(message.body().parse().expect("a number")).await;
            match &result {
                Ok(()) => {}
                Err(error) if error.is_reject() => _ = held.insert(group(message)),
                Err(_) => rest = [].iter().enumerate(),
            }
            Some(((at, result), (rest, held)))
        })
        .boxed()
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
