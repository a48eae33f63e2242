//! Many guarded writes, a few at a time.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{Stream, StreamExt, future::ready, stream};
use tokio::time::{Instant, timeout_at};

use super::{Guard, Limits, RowWrite, TableError, Writes, Written};

/// Writes rows under their guards, and yields what came of each as soon as it is known, with its index.
///
/// At most `limits.concurrency` requests are on their way. After a failure that a repetition may mend, or
/// at the deadline, nothing further is started: writes that were not started yield nothing. What is under way
/// at the deadline yields [`TableError::OutOfTime`].
///
/// Each row should appear once ([`by_row`](super::by_row) helps with that), or two requests for one row may be under
/// way together; the guard keeps even those right.
pub fn write_guarded<'t, T, I>(
    table: &'t T,
    writes: I,
    limits: Limits,
) -> impl Stream<Item = (usize, Result<Written, TableError>)> + Send + 't
where
    T: Writes + ?Sized,
    I: IntoIterator<Item = (RowWrite, Guard)>,
    I::IntoIter: Send + 't,
{
    let gate = Gate::new(limits.until);
    let admission = gate.clone();
    stream::iter(writes.into_iter().enumerate())
        .take_while(move |_| ready(admission.is_open()))
        .map(move |(index, (write, guard))| {
            let gate = gate.clone();
            async move {
                let written = before(limits.until, table.name(), table.write_guarded(write, guard)).await;
                gate.saw(&written);
                (index, written)
            }
        })
        .buffer_unordered(limits.concurrency.max(1))
}

/// Closes for good behind the first failure that a repetition may mend, and at the deadline.
#[derive(Clone)]
pub(super) struct Gate {
    failed: std::sync::Arc<AtomicBool>,
    until: Option<Instant>,
}

impl Gate {
    pub(super) fn new(until: Option<Instant>) -> Self {
        Self { failed: std::sync::Arc::default(), until }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.failed.load(Ordering::Relaxed) && self.until.is_none_or(|until| Instant::now() < until)
    }

    pub(super) fn saw<T>(&self, result: &Result<T, TableError>) {
        if result.as_ref().is_err_and(|error| !error.is_reject()) {
            self.failed.store(true, Ordering::Relaxed);
        }
    }
}

/// The answer of a request, or [`TableError::OutOfTime`] once the deadline has passed.
pub(super) async fn before<T>(
    until: Option<Instant>,
    table: &str,
    request: impl Future<Output = Result<T, TableError>>,
) -> Result<T, TableError> {
    match until {
        None => request.await,
        Some(until) => match timeout_at(until, request).await {
            Ok(answer) => answer,
            Err(_) => Err(TableError::OutOfTime { table: table.into() }),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        time::Duration,
    };

    use futures_util::future::BoxFuture;

    use super::{Guard, Instant, Limits, RowWrite, StreamExt, TableError, Written, write_guarded};
    use crate::sink::table::{Fault, Item, Memory, Table, item, text};

    fn put(id: usize) -> (RowWrite, Guard) {
        let key = item([("PK", text(id.to_string()))]);
        (RowWrite::put(key.clone(), key), Guard::new("v", "1"))
    }

    fn limits(concurrency: usize) -> Limits {
        Limits { concurrency, until: None }
    }

    /// Knows how many guarded writes were on their way at the same time.
    struct Counting(Memory, Arc<[AtomicUsize; 2]>);

    impl Table for Counting {
        fn name(&self) -> &str {
            self.0.name()
        }

        fn write_guarded(&self, write: RowWrite, guard: Guard) -> BoxFuture<'_, Result<Written, TableError>> {
            let [now, most] = &*self.1;
            Box::pin(async move {
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                let written = self.0.write_guarded(write, guard).await;
                now.fetch_sub(1, SeqCst);
                written
            })
        }

        fn write_batch<'a>(&'a self, writes: &'a [RowWrite]) -> BoxFuture<'a, Result<Vec<usize>, TableError>> {
            self.0.write_batch(writes)
        }

        fn read(&self, key: Item) -> BoxFuture<'_, Result<Option<Item>, TableError>> {
            self.0.read(key)
        }
    }

    #[tokio::test]
    async fn concurrency_is_used_and_bounded() {
        for concurrency in [0, 1, 4, 100] {
            let table = Counting(Memory::new("T", ["PK"]), Arc::default());
            let results: Vec<_> = write_guarded(&table, (0..30).map(put), limits(concurrency)).collect().await;
            assert!(results.len() == 30 && results.iter().all(|(_, result)| result.is_ok()));
            assert_eq!(table.1[1].load(SeqCst), concurrency.clamp(1, 30));
        }
    }

    #[tokio::test]
    async fn nothing_starts_behind_a_failure_but_what_was_started_ends() {
        let table = Memory::new("T", ["PK"]);
        let failure = table.failure();
        let third = |key: &Item| *key == item([("PK", text("2"))]);
        let table =
            table.with_faults(move |_, key| if third(key) { Fault::Before(failure.clone()) } else { Fault::None });
        let results: Vec<_> = write_guarded(&table, (0..30).map(put), limits(1)).collect().await;
        let ended: Vec<_> = results.iter().map(|(index, result)| (*index, result.is_ok())).collect();
        assert_eq!(ended, [(0, true), (1, true), (2, false)]);
    }

    #[tokio::test]
    async fn a_reject_holds_nothing_up() {
        let mut writes: Vec<_> = (0..10).map(put).collect();
        writes[4].0 = RowWrite::delete(item([("other", text("key"))]));
        let table = Memory::new("T", ["PK"]);
        let results: Vec<_> = write_guarded(&table, writes, limits(1)).collect().await;
        assert_eq!(results.iter().filter(|(_, result)| result.is_ok()).count(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_what_hangs_and_starts_no_more() {
        let table = Memory::new("T", ["PK"]).with_faults(|_, _| Fault::Hang);
        let until = Some(Instant::now() + Duration::from_secs(3));
        let limits = Limits { concurrency: 4, until };
        let results: Vec<_> = write_guarded(&table, (0..10).map(put), limits).collect().await;
        assert_eq!(results.len(), 4);
        assert!(results.iter().all(|(_, result)| matches!(result, Err(TableError::OutOfTime { .. }))));
    }
}
