//! A table whose requests fail, or stand still, on their way there or back; and workers that are driven by hand.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
};

use anabranch::sink::table::{
    Action, Guard, Item, Memory, Query, ReadBatch, RowWrite, Table, TableError, TransactError, TransactTable, Written,
};
use futures_util::future::BoxFuture;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing.
    Passes,
    /// It fails without effect.
    FailsBefore,
    /// It has its effect, and its answer is lost.
    FailsAfter,
    /// The worker stands still before it. A worker that never goes on has crashed.
    StandsBefore,
    /// The worker stands still when it has had its effect.
    StandsAfter,
}

/// What happens to the requests of a history, one after another.
pub(crate) type Fates = Arc<Mutex<dyn FnMut() -> Fate + Send>>;

/// Where a worker's requests stand still until it goes on.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(AtomicBool, Mutex<Vec<Waker>>)>);

impl Gate {
    /// Lets through whatever stands before it, and from now on everything.
    pub(crate) fn open(&self) {
        let (open, standing) = &*self.0;
        open.store(true, Relaxed);
        standing.lock().expect("no panic under the lock").drain(..).for_each(Waker::wake);
    }

    async fn stand_still(&self) {
        let (open, standing) = &*self.0;
        poll_fn(|context| match open.load(Relaxed) {
            true => Poll::Ready(()),
            false => {
                standing.lock().expect("no panic under the lock").push(context.waker().clone());
                Poll::Pending
            }
        })
        .await;
    }
}

/// A table as one worker sees it.
#[derive(Clone)]
pub(crate) struct Staged {
    pub(crate) table: Arc<Memory>,
    pub(crate) fates: Fates,
    pub(crate) gate: Gate,
}

impl Staged {
    async fn request<R>(&self, request: impl Future<Output = Result<R, TableError>>) -> Result<R, TableError> {
        let fate = self.fates.lock().expect("no panic under the lock")();
        match fate {
            Fate::FailsBefore => return Err(self.table.failure()),
            Fate::StandsBefore => self.gate.stand_still().await,
            _ => {}
        }
        let answer = request.await;
        match fate {
            Fate::FailsAfter => answer.and(Err(self.table.failure())),
            Fate::StandsAfter => {
                self.gate.stand_still().await;
                answer
            }
            _ => answer,
        }
    }
}

impl Table for Staged {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn write_guarded(&self, write: RowWrite, guard: Guard) -> BoxFuture<'_, Result<Written, TableError>> {
        Box::pin(self.request(self.table.write_guarded(write, guard)))
    }

    fn write_batch<'a>(&'a self, writes: &'a [RowWrite]) -> BoxFuture<'a, Result<Vec<usize>, TableError>> {
        Box::pin(self.request(self.table.write_batch(writes)))
    }

    fn read(&self, key: Item) -> BoxFuture<'_, Result<Option<Item>, TableError>> {
        Box::pin(self.request(self.table.read(key)))
    }
}

impl TransactTable for Staged {
    fn transact<'a>(&'a self, actions: &'a [Action]) -> BoxFuture<'a, Result<(), TransactError>> {
        self.table.transact(actions)
    }

    fn read_batch<'a>(&'a self, keys: &'a [Item]) -> BoxFuture<'a, Result<ReadBatch, TableError>> {
        Box::pin(self.request(self.table.read_batch(keys)))
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<Vec<Item>, TableError>> {
        self.table.query(query)
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

/// Drives a worker until it is done, or nothing of it moves any more.
pub(crate) fn drive<R>(mut work: Pin<&mut (impl Future<Output = R> + ?Sized)>) -> Option<R> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(done);
        }
        if !woken.0.swap(false, Relaxed) {
            return None;
        }
    }
}

/// What work that never stands still comes to.
pub(crate) fn done<R>(work: impl Future<Output = R>) -> R {
    drive(pin!(work)).expect("nothing stands still")
}
