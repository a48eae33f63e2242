//! Tables and indexes whose requests take their time, fail, and arrive though nobody waits for them any more.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anabranch::sink::{
    index::{self, Created, Document, DocumentId, Index, IndexError, Operation},
    table::{
        self, Action, Guard, Item, Query, ReadBatch, RowWrite, Table, TableError, TransactError, TransactTable, Written,
    },
};
use futures_util::future::BoxFuture;
use tokio::time::sleep;

use crate::seeds::Dice;

/// Random waits.
#[derive(Clone)]
pub(crate) struct Pause {
    dice: Arc<Mutex<Dice>>,
    most: usize,
}

impl Pause {
    /// Waits of less than so many milliseconds.
    pub(crate) fn new(dice: Dice, most: usize) -> Self {
        Self { dice: Arc::new(Mutex::new(dice)), most }
    }

    /// Waits that long.
    pub(crate) async fn wait(&self) {
        let time = self.below(self.most);
        sleep(Duration::from_millis(time as u64)).await;
    }

    fn below(&self, end: usize) -> usize {
        self.dice.lock().expect("no panic under the lock").below(end)
    }
}

/// What is known of the way to a target.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) pause: Pause,
    /// Whether requests go on when nobody waits for them any more. Otherwise they are gone, or have had their effect.
    pub(crate) outlives: bool,
    /// Whether requests fail at times.
    pub(crate) fails: Arc<AtomicBool>,
}

impl Way {
    /// Sends a request, and waits for its answer: `None` if it failed, before or after its effect.
    async fn send<R: Send + 'static>(&self, request: impl Future<Output = R> + Send + 'static) -> Option<R> {
        let fate = if self.fails.load(Relaxed) { self.pause.below(24) } else { usize::MAX };
        let pause = self.pause.clone();
        let way = async move {
            pause.wait().await;
            if fate == 0 {
                return None;
            }
            let answer = request.await;
            pause.wait().await;
            (fate > 1).then_some(answer)
        };
        if self.outlives { tokio::spawn(way).await.expect("a request does not panic") } else { way.await }
    }
}

/// A target at the end of a way.
#[derive(Clone)]
pub(crate) struct Slow<T> {
    pub(crate) inner: Arc<T>,
    pub(crate) way: Way,
}

type Asked<'a, R, E> = BoxFuture<'a, Result<R, E>>;

impl Slow<table::Memory> {
    async fn ask<R: Send + 'static, F>(&self, request: impl FnOnce(Arc<table::Memory>) -> F) -> Result<R, TableError>
    where
        F: Future<Output = Result<R, TableError>> + Send + 'static,
    {
        self.way.send(request(Arc::clone(&self.inner))).await.unwrap_or_else(|| Err(self.inner.failure()))
    }
}

impl Table for Slow<table::Memory> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn write_guarded(&self, write: RowWrite, guard: Guard) -> Asked<'_, Written, TableError> {
        Box::pin(self.ask(|inner| async move { inner.write_guarded(write, guard).await }))
    }

    fn write_batch<'a>(&'a self, writes: &'a [RowWrite]) -> Asked<'a, Vec<usize>, TableError> {
        let writes = writes.to_vec();
        Box::pin(self.ask(|inner| async move { inner.write_batch(&writes).await }))
    }

    fn read(&self, key: Item) -> Asked<'_, Option<Item>, TableError> {
        Box::pin(self.ask(|inner| async move { inner.read(key).await }))
    }
}

impl TransactTable for Slow<table::Memory> {
    fn transact<'a>(&'a self, actions: &'a [Action]) -> Asked<'a, (), TransactError> {
        let (inner, actions) = (Arc::clone(&self.inner), actions.to_vec());
        Box::pin(async move {
            let answer = self.way.send(async move { inner.transact(&actions).await }).await;
            answer.unwrap_or_else(|| Err(TransactError::Table(self.inner.failure())))
        })
    }

    fn read_batch<'a>(&'a self, keys: &'a [Item]) -> Asked<'a, ReadBatch, TableError> {
        let keys = keys.to_vec();
        Box::pin(self.ask(|inner| async move { inner.read_batch(&keys).await }))
    }

    fn query(&self, query: Query) -> Asked<'_, Vec<Item>, TableError> {
        Box::pin(self.ask(|inner| async move { inner.query(query).await }))
    }
}

impl Slow<index::Memory> {
    async fn ask<R: Send + 'static, F>(&self, request: impl FnOnce(Arc<index::Memory>) -> F) -> Result<R, IndexError>
    where
        F: Future<Output = Result<R, IndexError>> + Send + 'static,
    {
        self.way.send(request(Arc::clone(&self.inner))).await.unwrap_or_else(|| Err(self.inner.failure()))
    }
}

impl Index for Slow<index::Memory> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn bulk<'a>(
        &'a self,
        operations: &'a [Operation],
    ) -> Asked<'a, Vec<Result<index::Written, IndexError>>, IndexError> {
        let operations = operations.to_vec();
        Box::pin(self.ask(|inner| async move { inner.bulk(&operations).await }))
    }

    fn read<'a>(&'a self, index: &'a str, id: &'a DocumentId) -> Asked<'a, Option<Document>, IndexError> {
        let (index, id) = (index.to_owned(), id.clone());
        Box::pin(self.ask(|inner| async move { inner.read(&index, &id).await }))
    }

    fn create<'a>(&'a self, index: &'a str, body: &'a Document) -> Asked<'a, Created, IndexError> {
        let (index, body) = (index.to_owned(), body.clone());
        Box::pin(self.ask(|inner| async move { inner.create(&index, &body).await }))
    }
}
