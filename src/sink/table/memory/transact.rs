//! Transactions, batch reads and queries in memory.

use std::{cmp::Ordering, collections::HashSet, sync::Arc};

use futures_util::future::{BoxFuture, FutureExt};

use super::{Fault, Memory, Operation, lock};
use crate::sink::table::{
    Action, AttributeValue, Cancellation, CancellationClass, Condition, Decimal, Effect, Item, Query, READ_ROWS,
    ReadBatch, RowWrite, TRANSACTION_ACTIONS, TRANSACTION_BYTES, TableError, TransactError, TransactTable, Update,
    key::RowKey,
};

impl TransactTable for Memory {
    fn transact<'a>(&'a self, actions: &'a [Action]) -> BoxFuture<'a, Result<(), TransactError>> {
        async move {
            let (mut faults, mut worst) = (vec![None; actions.len()], Fault::None);
            for (fault, action) in faults.iter_mut().zip(actions) {
                match self.fault(Operation::Transact, action.key()) {
                    Fault::None | Fault::Unprocessed => {}
                    Fault::Cancelled(class) => *fault = Some(class),
                    other => worst = other,
                }
            }
            // The outer result is the request's, the inner one the transaction's.
            self.with_fault(worst, || Ok(self.apply_together(actions, &faults))).await?
        }
        .boxed()
    }

    fn read_batch<'a>(&'a self, keys: &'a [Item]) -> BoxFuture<'a, Result<ReadBatch, TableError>> {
        async move {
            let (mut left, mut worst) = (Vec::new(), Fault::None);
            for (at, key) in keys.iter().enumerate() {
                match self.fault(Operation::ReadBatch, key) {
                    Fault::None | Fault::Cancelled(_) => {}
                    Fault::Unprocessed => left.push(at),
                    other => worst = other,
                }
            }
            let rows = self.with_fault(worst, || self.find(keys, &left)).await?;
            Ok(ReadBatch { rows, left })
        }
        .boxed()
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<Vec<Item>, TableError>> {
        async move {
            let fault = self.fault(Operation::Query, &query.partition);
            self.with_fault(fault, || self.select(&query)).await
        }
        .boxed()
    }
}

impl Memory {
    fn apply_together(&self, actions: &[Action], faults: &[Option<CancellationClass>]) -> Result<(), TransactError> {
        let different: HashSet<_> = actions.iter().map(|action| RowKey::of(action.key())).collect();
        let bytes: usize = actions.iter().map(Action::size).sum();
        if different.len() < actions.len() || !(1..=TRANSACTION_ACTIONS).contains(&actions.len()) {
            return Err(self.refused("a transaction has 1 to 100 actions, and each row once").into());
        }
        if bytes > TRANSACTION_BYTES {
            return Err(self.refused("the rows of a transaction have at most 4 MB together").into());
        }
        let outcomes: Vec<_> = actions.iter().zip(faults).map(|(action, fault)| self.outcome(action, *fault)).collect();
        if outcomes.iter().any(Result::is_err) {
            let reasons = outcomes.into_iter().map(Result::err).collect();
            return Err(TransactError::Cancelled { table: Arc::clone(&self.name), reasons });
        }
        outcomes.into_iter().flatten().flatten().for_each(|write| self.apply(write));
        Ok(())
    }

    /// What an action makes of its row, if anything.
    fn outcome(&self, action: &Action, fault: Option<CancellationClass>) -> Result<Option<RowWrite>, Cancellation> {
        let cancelled = |class, message: &str| Cancellation { class, message: message.into() };
        if let Some(class) = fault {
            return Err(cancelled(class, "told to fail"));
        }
        let invalid = |error: TableError| cancelled(CancellationClass::Invalid, &error.to_string());
        self.check_key(action.key()).map_err(invalid)?;
        let stored = lock(&self.rows).get(&RowKey::of(action.key())).cloned();
        if !action.condition().is_none_or(|condition| holds(condition, stored.as_ref())) {
            return Err(cancelled(CancellationClass::ConditionFailed, "the conditional request failed"));
        }
        let write = match action.effect() {
            Effect::Put(row) => RowWrite::put(action.key().clone(), row.clone()),
            Effect::Delete => RowWrite::delete(action.key().clone()),
            Effect::Check => return Ok(None),
            Effect::Update(update) => {
                let row = stored.unwrap_or_else(|| action.key().clone());
                let row = updated(row, update).map_err(|why| cancelled(CancellationClass::Invalid, why))?;
                RowWrite::put(action.key().clone(), row)
            }
        };
        self.check(&write).map_err(invalid)?;
        Ok(Some(write))
    }

    fn find(&self, keys: &[Item], left: &[usize]) -> Result<Vec<Item>, TableError> {
        let different: HashSet<_> = keys.iter().map(RowKey::of).collect();
        if different.len() < keys.len() || !(1..=READ_ROWS).contains(&keys.len()) {
            return Err(self.refused("a batch of reads has 1 to 100 keys, and each key once"));
        }
        keys.iter().try_for_each(|key| self.check_key(key))?;
        let rows = lock(&self.rows);
        let wanted = keys.iter().enumerate().filter(|(at, _)| !left.contains(at));
        Ok(wanted.filter_map(|(_, key)| rows.get(&RowKey::of(key)).cloned()).collect())
    }

    fn select(&self, query: &Query) -> Result<Vec<Item>, TableError> {
        let sort_key = self.key_names.iter().find(|name| !query.partition.contains_key(*name));
        let (Some(sort_key), 1) = (sort_key, query.partition.len()) else {
            return Err(self.refused("a query names the partition key of a table that has a sort key"));
        };
        let partition = RowKey::of(&query.partition);
        let mut rows = self.rows();
        rows.retain(|row| RowKey::select(row, &query.partition) == partition);
        rows.sort_by(|a, b| order(&a[sort_key], &b[sort_key]));
        if query.descending {
            rows.reverse();
        }
        rows.truncate(query.limit.into());
        Ok(rows)
    }
}

fn holds(condition: &Condition, stored: Option<&Item>) -> bool {
    let find = |name: &String| stored.and_then(|row| row.get(name));
    match condition {
        Condition::Absent(name) => find(name).is_none(),
        Condition::Is(name, value) => find(name).is_some_and(|stored| same(stored, value)),
        Condition::AbsentOrIs(name, value) => find(name).is_none_or(|stored| same(stored, value)),
    }
}

/// Equality as conditions have it: numbers by value.
fn same(stored: &AttributeValue, value: &AttributeValue) -> bool {
    match (stored, value) {
        (AttributeValue::N(a), AttributeValue::N(b)) => a.parse::<Decimal>() == b.parse::<Decimal>(),
        _ => stored == value,
    }
}

fn order(a: &AttributeValue, b: &AttributeValue) -> Ordering {
    match (a, b) {
        (AttributeValue::S(a), AttributeValue::S(b)) => a.cmp(b),
        (AttributeValue::B(a), AttributeValue::B(b)) => a.cmp(b),
        (AttributeValue::N(a), AttributeValue::N(b)) => sortable(a).cmp(&sortable(b)),
        _ => Ordering::Equal,
    }
}

fn sortable(number: &str) -> Option<String> {
    number.parse::<Decimal>().ok().map(|number| number.sortable())
}

fn updated(mut row: Item, update: &Update) -> Result<Item, &'static str> {
    for (name, amount) in &update.add {
        let stored = match row.get(name) {
            None => Decimal::ZERO,
            Some(AttributeValue::N(number)) => number.parse().map_err(|_| "the stored number is none")?,
            Some(_) => return Err("what is added to is no number"),
        };
        let sum = stored.plus(*amount).ok_or("the sum has more than 38 significant digits")?;
        row.insert(name.clone(), AttributeValue::N(sum.to_string()));
    }
    row.extend(update.set.clone());
    row.retain(|name, _| !update.remove.contains(name));
    Ok(row)
}
