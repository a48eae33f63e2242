//! A table under watch: faults where a test wants them, and an eye on what is under way.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use anabranch::sink::table::{AttributeValue, Fault, Guard, Item, RowWrite, Table, TableError, Written};
use futures_util::future::BoxFuture;

/// Any table, with faults in front of or behind its writes, and an eye on what is under way.
pub(crate) struct Watched<T> {
    pub(crate) inner: T,
    faults: Mutex<Vec<Fault>>,
    under_way: Mutex<HashSet<String>>,
    requests: AtomicUsize,
    beside: AtomicUsize,
}

impl<T: Table> Watched<T> {
    /// The `n`-th request meets the `n`-th fault; those behind the last meet none.
    pub(crate) fn new(inner: T, faults: Vec<Fault>) -> Self {
        Self {
            inner,
            faults: Mutex::new(faults),
            under_way: Mutex::default(),
            requests: AtomicUsize::new(0),
            beside: AtomicUsize::new(0),
        }
    }

    /// How many write requests there were.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// How often a row was written while another write of it was under way.
    pub(crate) fn beside(&self) -> usize {
        self.beside.load(Ordering::Relaxed)
    }

    async fn watched<R>(
        &self,
        rows: Vec<String>,
        write: impl Future<Output = Result<R, TableError>>,
    ) -> Result<R, TableError> {
        let at = self.requests.fetch_add(1, Ordering::Relaxed);
        let fault = self.faults.lock().expect("no panic under the lock").get(at).cloned().unwrap_or_default();
        if let Fault::Before(error) = fault {
            return Err(error);
        }
        for row in &rows {
            let first = self.under_way.lock().expect("no panic under the lock").insert(row.clone());
            self.beside.fetch_add(usize::from(!first), Ordering::Relaxed);
        }
        let result = write.await;
        for row in &rows {
            self.under_way.lock().expect("no panic under the lock").remove(row);
        }
        if let Fault::After(error) = fault { Err(error) } else { result }
    }
}

impl<T: Table> Table for Watched<T> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn write_guarded(&self, write: RowWrite, guard: Guard) -> BoxFuture<'_, Result<Written, TableError>> {
        Box::pin(self.watched(vec![name(write.key())], self.inner.write_guarded(write, guard)))
    }

    fn write_batch<'a>(&'a self, writes: &'a [RowWrite]) -> BoxFuture<'a, Result<Vec<usize>, TableError>> {
        let rows = writes.iter().map(|write| name(write.key())).collect();
        Box::pin(self.watched(rows, self.inner.write_batch(writes)))
    }

    fn read(&self, key: Item) -> BoxFuture<'_, Result<Option<Item>, TableError>> {
        self.inner.read(key)
    }
}

/// The key of a row of the small world.
fn name(key: &Item) -> String {
    match &key["PK"] {
        AttributeValue::S(name) => name.clone(),
        _ => panic!("a row of the small world"),
    }
}
