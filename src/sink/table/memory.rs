//! A table in memory, for tests, with faults on demand.

mod transact;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::{BoxFuture, FutureExt, pending};
use tokio::task::yield_now;

use super::{
    AttributeValue, BATCH_ROWS, CancellationClass, Guard, Item, RowWrite, Table, TableError, Written,
    key::RowKey,
    size::{ITEM_LIMIT, item_size},
};

/// A table in memory that keeps the rules of the real one: for tests of handlers.
///
/// It refuses what DynamoDB refuses: rows without the key's attributes or with keys that are no string, number
/// or binary, items over 400 KB, batches of more than 25 rows or with a row twice, transactions of more than 100 actions
/// or 4 MB, sums of more than 38 digits. [`Memory::with_faults`]
/// makes requests fail, hang, or succeed without saying so.
///
/// Every request gives way to other tasks before it takes effect, so that tests see what concurrency does.
pub struct Memory {
    name: Arc<str>,
    key_names: HashSet<String>,
    rows: Mutex<HashMap<RowKey, Item>>,
    faults: Mutex<Box<FaultFn>>,
}

type FaultFn = dyn FnMut(Operation, &Item) -> Fault + Send;

/// What a request wants, as seen by a fault function, which is asked once for each of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A guarded put or delete.
    Guarded,
    /// A row of a plain batch.
    Batch,
    /// A read.
    Read,
    /// An action of a transaction.
    Transact,
    /// A key of a batch of reads.
    ReadBatch,
    /// A query, with the key of its partition.
    Query,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It fails before it has any effect.
    Before(TableError),
    /// It takes effect, and fails all the same: the answer is lost.
    After(TableError),
    /// It takes effect, and never answers.
    Hang,
    /// The row of a batch is handed back unprocessed; as [`Fault::None`] elsewhere.
    Unprocessed,
    /// The transaction is cancelled, and this is the action's reason; as [`Fault::None`] elsewhere.
    Cancelled(CancellationClass),
}

impl Memory {
    /// An empty table keyed by these attributes.
    pub fn new<const N: usize>(name: impl Into<Arc<str>>, key_names: [&str; N]) -> Self {
        Self {
            name: name.into(),
            key_names: key_names.map(str::to_owned).into(),
            rows: Mutex::default(),
            faults: Mutex::new(Box::new(|_, _| Fault::None)),
        }
    }

    /// Asks `faults` before every row of every request, with the row's key, what is to go wrong.
    #[must_use]
    pub fn with_faults(self, faults: impl FnMut(Operation, &Item) -> Fault + Send + 'static) -> Self {
        Self { faults: Mutex::new(Box::new(faults)), ..self }
    }

    /// An error that a repetition may mend, for fault functions.
    pub fn failure(&self) -> TableError {
        TableError::Failed { table: Arc::clone(&self.name), source: Arc::from(Box::from("told to fail")) }
    }

    /// All rows, in no order.
    pub fn rows(&self) -> Vec<Item> {
        lock(&self.rows).values().cloned().collect()
    }

    fn fault(&self, operation: Operation, key: &Item) -> Fault {
        lock(&self.faults)(operation, key)
    }

    /// Does what the table does, unless a fault comes first or last.
    async fn with_fault<R>(&self, fault: Fault, act: impl FnOnce() -> Result<R, TableError>) -> Result<R, TableError> {
        yield_now().await;
        match fault {
            Fault::None | Fault::Unprocessed | Fault::Cancelled(_) => act(),
            Fault::Before(error) => Err(error),
            Fault::After(error) => act().and(Err(error)),
            Fault::Hang => {
                act()?;
                pending().await
            }
        }
    }

    fn apply(&self, write: RowWrite) {
        let (key, row) = write.into_parts();
        let identity = RowKey::of(&key);
        match row {
            Some(row) => lock(&self.rows).insert(identity, row),
            None => lock(&self.rows).remove(&identity),
        };
    }

    fn apply_guarded(&self, mut write: RowWrite, guard: &Guard) -> Result<Written, TableError> {
        guard.stamp(&mut write);
        self.check(&write)?;
        if !guard.admits(lock(&self.rows).get(&RowKey::of(write.key()))) {
            return Ok(Written::Stale);
        }
        self.apply(write);
        Ok(Written::Applied)
    }

    fn apply_batch(&self, writes: &[RowWrite], left: &[usize]) -> Result<(), TableError> {
        let different: HashSet<_> = writes.iter().map(|write| RowKey::of(write.key())).collect();
        if writes.len() > BATCH_ROWS || different.len() < writes.len() {
            return Err(self.refused("a batch has at most 25 rows, and each row once"));
        }
        writes.iter().try_for_each(|write| self.check(write))?;
        let taken = writes.iter().enumerate().filter(|(at, _)| !left.contains(at));
        taken.for_each(|(_, write)| self.apply(write.clone()));
        Ok(())
    }

    fn check(&self, write: &RowWrite) -> Result<(), TableError> {
        self.check_key(write.key())?;
        let Some(row) = write.row() else { return Ok(()) };
        if RowKey::select(row, write.key()) != RowKey::of(write.key()) {
            return Err(self.refused("the row lacks the attributes of its key"));
        }
        match item_size(row) {
            size if size > ITEM_LIMIT => Err(TableError::TooLarge {
                table: Arc::clone(&self.name),
                source: Arc::from(Box::from(format!("the item has {size} bytes"))),
            }),
            _ => Ok(()),
        }
    }

    fn check_key(&self, key: &Item) -> Result<(), TableError> {
        let scalar = |value: &AttributeValue| {
            matches!(value, AttributeValue::S(_) | AttributeValue::N(_) | AttributeValue::B(_))
        };
        let names: HashSet<_> = key.keys().cloned().collect();
        if names != self.key_names || !key.values().all(scalar) {
            return Err(self.refused("the key does not match the schema of the table"));
        }
        Ok(())
    }

    fn refused(&self, why: &str) -> TableError {
        TableError::Refused { table: Arc::clone(&self.name), source: Arc::from(Box::from(why)) }
    }
}

impl Table for Memory {
    fn name(&self) -> &str {
        &self.name
    }

    fn write_guarded(&self, write: RowWrite, guard: Guard) -> BoxFuture<'_, Result<Written, TableError>> {
        async move {
            let fault = self.fault(Operation::Guarded, write.key());
            self.with_fault(fault, || self.apply_guarded(write, &guard)).await
        }
        .boxed()
    }

    fn write_batch<'a>(&'a self, writes: &'a [RowWrite]) -> BoxFuture<'a, Result<Vec<usize>, TableError>> {
        async move {
            let (mut left, mut worst) = (Vec::new(), Fault::None);
            for (at, write) in writes.iter().enumerate() {
                match self.fault(Operation::Batch, write.key()) {
                    Fault::None | Fault::Cancelled(_) => {}
                    Fault::Unprocessed => left.push(at),
                    fault => worst = fault,
                }
            }
            self.with_fault(worst, || self.apply_batch(writes, &left)).await?;
            Ok(left)
        }
        .boxed()
    }

    fn read(&self, key: Item) -> BoxFuture<'_, Result<Option<Item>, TableError>> {
        async move {
            let fault = self.fault(Operation::Read, &key);
            let read = || {
                self.check_key(&key)?;
                Ok(lock(&self.rows).get(&RowKey::of(&key)).cloned())
            };
            self.with_fault(fault, read).await
        }
        .boxed()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("name", &self.name).field("rows", &lock(&self.rows).len()).finish()
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::table::{item, text};

    #[tokio::test]
    async fn conforms() {
        crate::sink::conformance::table(&Memory::new("T", ["PK", "SK"])).await;
        crate::sink::conformance::transact_table(&Memory::new("T", ["PK", "SK"])).await;
    }

    #[tokio::test(start_paused = true)]
    async fn faults_come_before_or_after_the_effect() {
        let key = item([("PK", text("a"))]);
        for (fault, rows) in [(Fault::Before as fn(_) -> _, 0), (Fault::After, 1), (|_| Fault::Hang, 1)] {
            let table = Memory::new("T", ["PK"]);
            let fault = fault(table.failure());
            let table = table.with_faults(move |_, _| fault.clone());
            let write = table.write_guarded(RowWrite::put(key.clone(), key.clone()), Guard::new("v", "1"));
            let answer = tokio::time::timeout(std::time::Duration::from_secs(1), write).await;
            assert!(!matches!(answer, Ok(Ok(_))));
            assert_eq!(table.rows().len(), rows);
        }
    }
}
