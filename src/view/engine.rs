//! Brings changes into the view, round by round, until every one is written, stale or refused.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep};

use super::{
    ViewError,
    delta::{self, Delta, Projected},
    extremes::{self, State},
    layout::{ITEMS, Layout, OWNER},
    ledger,
    plan::{self, Ready, Transaction},
    share::{RowName, Shares},
};
use crate::{
    handler::{Outcome, Skip},
    sink::table::{
        Action, Cancellation, CancellationClass, Condition, DEFAULT_VERSION_ATTRIBUTE, Item, Limits, MAX_ROUNDS,
        TransactError, Transacts, Update, read_many, text, transact, wait_after,
    },
};

/// How often a projected row may be found in another item's hands before the function is to blame.
const MAX_TAKEN: u32 = 4;

/// One item as it is to be in the view.
pub(super) struct Change {
    pub(super) source: Arc<str>,
    pub(super) version: String,
    pub(super) shares: Shares,
}

/// Writes changes into the rows of one view.
#[derive(Clone)]
pub(super) struct Engine {
    pub(super) table: Arc<dyn Transacts>,
    pub(super) layout: Layout,
    pub(super) projects: bool,
    pub(super) generation: u32,
    pub(super) expiry_attribute: Arc<str>,
    pub(super) keep: Duration,
    pub(super) now: fn() -> SystemTime,
}

/// What became of a change; none as long as nothing has, also because nothing more is started behind a failure.
pub(super) type Ended = Option<Result<Outcome, ViewError>>;

/// What is known of a change between two rounds.
#[derive(Default)]
struct Progress {
    ended: Ended,
    /// It goes by itself from now on.
    alone: bool,
    /// How often another item had one of its projected rows.
    taken: u32,
    /// What the last transaction was cancelled for, if it was want of capacity.
    throttled: Option<TransactError>,
}

impl Engine {
    /// Brings changes of different items into the view.
    pub(super) async fn apply(&self, changes: &[Change], limits: Limits) -> Vec<Ended> {
        let mut progress: Vec<Progress> = changes.iter().map(|_| Progress::default()).collect();
        for round in 1.. {
            let halted = self.round(changes, &mut progress, limits).await;
            let pending = progress.iter().any(|change| change.ended.is_none());
            let wait = wait_after(round);
            let over = round >= MAX_ROUNDS || limits.until.is_some_and(|until| Instant::now() + wait >= until);
            if halted || !pending || over {
                if over && !halted {
                    contended(&mut progress, round);
                }
                break;
            }
            sleep(wait).await;
        }
        progress.into_iter().map(|change| change.ended).collect()
    }

    /// Tries whatever has not ended yet; answers whether nothing more is to be started.
    async fn round(&self, changes: &[Change], progress: &mut [Progress], limits: Limits) -> bool {
        let ready = match self.prepare(changes, progress, limits).await {
            Ok(ready) => ready,
            Err(error) => {
                let pending = progress.iter_mut().filter(|change| change.ended.is_none());
                pending.for_each(|change| change.ended = Some(Err(error.clone())));
                return true;
            }
        };
        for wave in plan::waves(ready) {
            let requests: Vec<_> = wave.into_iter().map(|one| self.commit(changes, one, limits)).collect();
            let results: Vec<_> = stream::iter(requests).buffer_unordered(limits.concurrency.max(1)).collect().await;
            let halts = |(_, result): &(_, Result<(), TransactError>)| matches!(result, Err(TransactError::Table(error)) if !error.is_reject());
            let halted = results.iter().any(halts);
            results.iter().for_each(|(transaction, result)| settle(progress, transaction, result));
            if halted {
                return true;
            }
        }
        false
    }

    /// Reads the ledger, and finds what each change has to add to and take from the view.
    async fn prepare(
        &self,
        changes: &[Change],
        progress: &mut [Progress],
        limits: Limits,
    ) -> Result<Vec<Ready>, ViewError> {
        let pending: Vec<_> = (0..changes.len()).filter(|index| progress[*index].ended.is_none()).collect();
        let keys: Vec<_> = pending.iter().map(|index| self.layout.ledger_key(&changes[*index].source)).collect();
        let rows = read_many(&*self.table, &keys, limits).await?;
        let mut ready = Vec::new();
        for (index, row) in pending.into_iter().zip(rows) {
            let change = &mut progress[index];
            match self.compare(&changes[index], row.as_ref().map(|row| ledger::read(Some(row))).transpose()) {
                Ok(Some((seen, deltas))) => {
                    let bytes = plan::bytes(&changes[index].shares);
                    ready.push(Ready { index, alone: change.alone, seen, deltas, bytes });
                }
                Ok(None) => change.ended = Some(Ok(Outcome::Skipped(Skip::Stale))),
                Err(error) => change.ended = Some(Err(error)),
            }
        }
        Ok(ready)
    }

    /// What a change adds to what the ledger says; nothing if that is as new.
    fn compare(
        &self,
        change: &Change,
        stored: Result<Option<ledger::Ledger>, ViewError>,
    ) -> Result<Option<(Option<String>, delta::Deltas)>, ViewError> {
        let stored = stored?.unwrap_or_default();
        if let Some(version) = &stored.version {
            let theirs = ledger::generation(version);
            if theirs > self.generation {
                return Err(ViewError::Superseded { ours: self.generation, theirs });
            }
            if *version >= change.version {
                return Ok(None);
            }
        }
        let deltas = delta::between(&stored.shares, &change.shares, &change.source, self.projects)?;
        Ok(Some((stored.version, deltas)))
    }

    /// Writes the ledger rows of a few items and all that changes with them, or nothing.
    async fn commit(
        &self,
        changes: &[Change],
        transaction: Transaction,
        limits: Limits,
    ) -> (Transaction, Result<(), TransactError>) {
        let states = extremes::states(&*self.table, &self.layout, &transaction.deltas, limits).await;
        let result = match states {
            Ok(states) => {
                let ledger =
                    transaction.items.iter().map(|item| self.ledger(&changes[item.index], item.seen.as_deref()));
                let rows = transaction.deltas.iter().map(|(name, delta)| self.row(name, delta, states.get(name)));
                let entries = transaction.deltas.iter().flat_map(|(name, delta)| self.entries(name, delta));
                let actions: Vec<_> = ledger.chain(rows).chain(entries).collect();
                transact(&*self.table, &actions, limits.until).await
            }
            Err(error) => Err(error.into()),
        };
        (transaction, result)
    }

    /// The ledger row, if it still says what was read.
    fn ledger(&self, change: &Change, seen: Option<&str>) -> Action {
        let key = self.layout.ledger_key(&change.source);
        let expiry = (self.now)().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_add(self.keep).as_secs();
        let expiry = (&*self.expiry_attribute, expiry);
        let row = ledger::write(&self.layout, key.clone(), &change.version, &change.shares, expiry);
        let version = DEFAULT_VERSION_ATTRIBUTE.to_owned();
        Action::put(key, row).only_if(match seen {
            None => Condition::Absent(version),
            Some(seen) => Condition::Is(version, text(seen)),
        })
    }

    fn row(&self, name: &RowName, delta: &Delta, state: Option<&State>) -> Action {
        let key = self.layout.row_key(name);
        match &delta.projected {
            Some(Projected::Put { attributes, owner }) => {
                let row = self.projected(name, attributes, owner);
                Action::put(key, row).only_if(Condition::AbsentOrIs(OWNER.to_owned(), text(owner.clone())))
            }
            Some(Projected::Delete { owner }) => {
                Action::delete(key).only_if(Condition::AbsentOrIs(OWNER.to_owned(), text(owner.clone())))
            }
            None => self.aggregate(key, delta, state),
        }
    }

    /// A row of a projection.
    pub(super) fn projected(&self, name: &RowName, attributes: &Item, owner: &str) -> Item {
        let mut row = attributes.clone();
        row.extend(self.layout.row_key(name).into_inner());
        row.extend(self.layout.marks());
        row.insert(OWNER.to_owned(), text(owner));
        row
    }

    fn aggregate(&self, key: Item, delta: &Delta, state: Option<&State>) -> Action {
        let mut update = Update::new();
        update.set.extend(self.layout.marks());
        update.set.extend(delta.labels.iter().map(|(name, label)| (name.clone(), text(label.clone()))));
        update.add.extend(delta.amounts.clone());
        if delta.items != 0 {
            update = update.add(ITEMS, delta.items.into());
        }
        match state {
            None => Action::update(key, update),
            Some(state) => {
                let (update, condition) = state.decide(delta, update);
                Action::update(key, update).only_if(condition)
            }
        }
    }

    fn entries(&self, name: &RowName, delta: &Delta) -> Vec<Action> {
        let all = delta.extremes.iter();
        all.flat_map(|(attribute, candidates)| candidates.actions(&self.layout, name, attribute)).collect()
    }
}

/// What a transaction came to, for each of its items: what cannot be told apart in company goes alone from then on.
fn settle(progress: &mut [Progress], transaction: &Transaction, result: &Result<(), TransactError>) {
    let count = transaction.items.len();
    let blame = Blame::of(transaction, result.as_ref().err());
    for (at, item) in transaction.items.iter().enumerate() {
        let change = &mut progress[item.index];
        match result {
            Ok(()) => change.ended = Some(Ok(Outcome::Applied)),
            Err(error) if error.is_reject() && count > 1 => change.alone |= blame.all || blame.items.contains(&at),
            Err(error) if error.is_reject() => change.ended = Some(Err(error.clone().into())),
            Err(error @ TransactError::Table(_)) => change.ended = Some(Err(error.clone().into())),
            Err(error @ TransactError::Cancelled { reasons, .. }) => {
                let throttled = |reason: &Cancellation| reason.class == CancellationClass::Throttled;
                change.throttled = reasons.iter().flatten().any(throttled).then(|| error.clone());
                change.alone |= blame.taken;
                change.taken += u32::from(blame.taken && count == 1);
                if change.taken >= MAX_TAKEN {
                    change.ended = Some(Err(ViewError::RowTaken));
                }
            }
        }
    }
}

/// Who of a transaction is to blame.
#[derive(Default)]
struct Blame {
    /// Any of the items: the reason lies in the rows that they share.
    all: bool,
    /// These, by their ledger rows.
    items: Vec<usize>,
    /// A projected row is in another item's hands.
    taken: bool,
}

impl Blame {
    fn of(transaction: &Transaction, error: Option<&TransactError>) -> Self {
        let reasons = match error {
            None => return Self::default(),
            Some(TransactError::Table(_)) => return Self { all: true, ..Self::default() },
            Some(TransactError::Cancelled { reasons, .. }) => reasons,
        };
        let classes = || reasons.iter().map(|reason| reason.as_ref().map(|reason| reason.class));
        let rejects = |class: &Option<CancellationClass>| class.is_some_and(CancellationClass::is_reject);
        let count = transaction.items.len();
        let projects = transaction.deltas.values().any(|delta| delta.projected.is_some());
        let taken = |class| class == Some(CancellationClass::ConditionFailed);
        Self {
            all: classes().skip(count).any(|class| rejects(&class)),
            items: classes().take(count).enumerate().filter(|(_, class)| rejects(class)).map(|(at, _)| at).collect(),
            taken: projects && classes().skip(count).any(taken),
        }
    }
}

fn contended(progress: &mut [Progress], rounds: u32) {
    for change in progress.iter_mut().filter(|change| change.ended.is_none()) {
        let error = change.throttled.take().map_or(ViewError::Contended { rounds }, ViewError::from);
        change.ended = Some(Err(error));
    }
}
