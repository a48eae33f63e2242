//! Many writes without guards, in batches.

use futures_util::{Stream, StreamExt, future::ready, stream};
use tokio::time::{Instant, sleep};

use super::{
    BATCH_ROWS, Limits, RowWrite, TableError, Writes,
    backoff::{MAX_ROUNDS, wait_after},
    guarded::{Gate, before},
    size::wire_size,
};

/// The most bytes that the body of one request may have, less what stands around the rows.
const BATCH_BYTES: usize = 16 * 1024 * 1024 - 1024;

/// Writes different rows in as few requests as the service allows, and yields what came of each row, with its
/// index, batch by batch.
///
/// A batch has at most 25 rows and 16 MB; at most `limits.concurrency` are on their way. Rows that the table
/// hands back unprocessed are sent again after a growing, random wait of at most 2 s, up to 12 times or until
/// the next wait would pass the deadline; then they yield [`TableError::Unprocessed`]. After a failure that a
/// repetition may mend, or at the deadline, no further batch is started: its rows yield nothing.
///
/// Each row must appear once ([`by_row`](super::by_row) helps with that): the service refuses a batch with
/// the same row twice.
pub fn write_plain<'t, T: Writes + ?Sized>(
    table: &'t T,
    writes: impl IntoIterator<Item = RowWrite>,
    limits: Limits,
) -> impl Stream<Item = (usize, Result<(), TableError>)> + Send + 't {
    let gate = Gate::new(limits.until);
    let admission = gate.clone();
    stream::iter(batches(writes))
        .take_while(move |_| ready(admission.is_open()))
        .map(move |batch| {
            let gate = gate.clone();
            async move {
                let results = write_batch(table, batch, limits.until).await;
                results.iter().for_each(|(_, result)| gate.saw(result));
                stream::iter(results)
            }
        })
        .buffer_unordered(limits.concurrency.max(1))
        .flatten()
}

/// The rows of one request, and the index of each.
#[derive(Default)]
struct Batch {
    rows: Vec<RowWrite>,
    indices: Vec<usize>,
    bytes: usize,
}

/// Packs rows into batches in order.
fn batches(writes: impl IntoIterator<Item = RowWrite>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for (index, write) in writes.into_iter().enumerate() {
        let bytes = wire_size(&write);
        let fits = |batch: &mut Batch| batch.rows.len() < BATCH_ROWS && batch.bytes + bytes <= BATCH_BYTES;
        if !batches.last_mut().is_some_and(fits) {
            batches.push(Batch::default());
        }
        let batch = batches.last_mut().expect("one was pushed");
        batch.rows.push(write);
        batch.indices.push(index);
        batch.bytes += bytes;
    }
    batches
}

/// Writes a batch. A row that the table rejects takes the whole request with it, so the batch is halved until
/// only that row is left: its neighbours are written.
async fn write_batch<T: Writes + ?Sized>(
    table: &T,
    batch: Batch,
    until: Option<Instant>,
) -> Vec<(usize, Result<(), TableError>)> {
    let (mut parts, mut results) = (vec![batch], Vec::new());
    while let Some(mut part) = parts.pop() {
        match write_part(table, &mut part, until, &mut results).await {
            Ok(()) => {}
            Err(error) if error.is_reject() && part.rows.len() > 1 => {
                parts.push(part.split_off());
                parts.push(part);
            }
            Err(error) => results.extend(part.indices.iter().map(|index| (*index, Err(error.clone())))),
        }
    }
    results
}

/// Sends a batch again and again until all of its rows are processed; leaves in it what is not, if it fails.
async fn write_part<T: Writes + ?Sized>(
    table: &T,
    batch: &mut Batch,
    until: Option<Instant>,
    results: &mut Vec<(usize, Result<(), TableError>)>,
) -> Result<(), TableError> {
    for round in 1.. {
        let left = before(until, table.name(), table.write_batch(&batch.rows)).await?;
        results.extend(batch.keep(&left));
        if batch.rows.is_empty() {
            break;
        }
        let wait = wait_after(round);
        if round >= MAX_ROUNDS || until.is_some_and(|until| Instant::now() + wait >= until) {
            return Err(TableError::Unprocessed { table: table.name().into(), rounds: round });
        }
        sleep(wait).await;
    }
    Ok(())
}

impl Batch {
    /// Keeps the rows that were left unprocessed, and answers for the others.
    fn keep(&mut self, left: &[usize]) -> Vec<(usize, Result<(), TableError>)> {
        let rows = std::mem::take(&mut self.rows);
        let indices = std::mem::take(&mut self.indices);
        let mut done = Vec::new();
        for (at, (row, index)) in rows.into_iter().zip(indices).enumerate() {
            if left.contains(&at) {
                self.rows.push(row);
                self.indices.push(index);
            } else {
                done.push((index, Ok(())));
            }
        }
        done
    }

    /// Takes the second half away.
    fn split_off(&mut self) -> Self {
        let half = self.rows.len() / 2;
        Self { rows: self.rows.split_off(half), indices: self.indices.split_off(half), bytes: 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        sync::{
            Arc, Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use super::*;
    use crate::sink::table::{AttributeValue, Fault, Item, Memory, item, text};

    const LIMITS: Limits = Limits { concurrency: 2, until: None };

    fn put(id: usize) -> RowWrite {
        let key = item([("PK", text(id.to_string()))]);
        RowWrite::put(key.clone(), key)
    }

    fn id(key: &Item) -> usize {
        let Some(AttributeValue::S(id)) = key.get("PK") else { panic!("a string key") };
        id.parse().unwrap()
    }

    async fn results(table: &Memory, writes: Vec<RowWrite>, limits: Limits) -> HashMap<usize, Result<(), TableError>> {
        let count = writes.len();
        let results: Vec<_> = write_plain(table, writes, limits).collect().await;
        assert!(results.len() <= count);
        let by_index: HashMap<_, _> = results.iter().cloned().collect();
        assert_eq!(by_index.len(), results.len(), "one result per row");
        by_index
    }

    fn in_seconds(seconds: u64) -> Limits {
        Limits { until: Some(Instant::now() + Duration::from_secs(seconds)), ..LIMITS }
    }

    #[tokio::test]
    async fn every_row_is_written_in_full_batches() {
        let rows = Arc::new(AtomicUsize::new(0));
        let asked = Arc::clone(&rows);
        let table = Memory::new("T", ["PK"]).with_faults(move |_, _| {
            asked.fetch_add(1, Ordering::Relaxed);
            Fault::None
        });
        let results = results(&table, (0..60).map(put).collect(), LIMITS).await;
        assert!(results.len() == 60 && results.values().all(Result::is_ok));
        assert_eq!((table.rows().len(), rows.load(Ordering::Relaxed)), (60, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn unprocessed_rows_are_sent_again_until_they_are_written() {
        let refusals = Mutex::new(HashMap::new());
        let table = Memory::new("T", ["PK"]).with_faults(move |_, key| {
            let mut refusals = refusals.lock().unwrap();
            let seen: &mut usize = refusals.entry(id(key)).or_default();
            *seen += 1;
            if *seen <= id(key) % 5 { Fault::Unprocessed } else { Fault::None }
        });
        let results = results(&table, (0..60).map(put).collect(), LIMITS).await;
        assert!(results.len() == 60 && results.values().all(Result::is_ok));
        assert_eq!(table.rows().len(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn rows_that_stay_unprocessed_are_reported_at_the_deadline() {
        let stuck = |_, key: &Item| if id(key) == 7 { Fault::Unprocessed } else { Fault::None };
        for limits in [in_seconds(3), LIMITS] {
            let table = Memory::new("T", ["PK"]).with_faults(stuck);
            let results = results(&table, (0..10).map(put).collect(), limits).await;
            let failed: Vec<_> = results.iter().filter(|(_, result)| result.is_err()).collect();
            assert!(matches!(failed[..], [(7, Err(TableError::Unprocessed { rounds: 2.., .. }))]), "{failed:?}");
            assert_eq!(table.rows().len(), 9);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_hangs_ends_at_the_deadline() {
        let table = Memory::new("T", ["PK"]).with_faults(|_, _| Fault::Hang);
        let results = results(&table, (0..80).map(put).collect(), in_seconds(3)).await;
        assert_eq!(results.len(), 50, "two batches were started, then the time was over");
        assert!(results.values().all(|result| matches!(result, Err(TableError::OutOfTime { .. }))));
    }

    #[tokio::test]
    async fn a_failed_batch_starts_no_more() {
        let table = Memory::new("T", ["PK"]);
        let failure = table.failure();
        let table =
            table.with_faults(move |_, key| if id(key) == 3 { Fault::Before(failure.clone()) } else { Fault::None });
        let limits = Limits { concurrency: 1, until: None };
        let results = results(&table, (0..80).map(put).collect(), limits).await;
        assert_eq!(results.len(), 25);
        assert!(results.values().all(|result| result.as_ref().is_err_and(|error| !error.is_reject())));
    }

    #[tokio::test]
    async fn a_rejected_row_spares_its_neighbours() {
        let mut writes: Vec<_> = (0..30).map(put).collect();
        let key = item([("PK", text("12"))]);
        let giant = item([("PK", text("12")), ("huge", AttributeValue::B(vec![0; 500_000]))]);
        writes[12] = RowWrite::put(key, giant);
        writes[20] = RowWrite::delete(item([("other", text("key"))]));
        let table = Memory::new("T", ["PK"]);
        let results = results(&table, writes, LIMITS).await;
        assert_eq!(results.len(), 30);
        for (index, result) in &results {
            assert_eq!(result.is_err(), [12, 20].contains(index), "{index}: {result:?}");
            assert!(result.as_ref().is_ok_and(|()| true) || result.as_ref().is_err_and(TableError::is_reject));
        }
        assert_eq!(table.rows().len(), 28);
    }

    #[test]
    fn batches_keep_to_rows_and_bytes() {
        let heavy = |id| {
            let key = item([("PK", text(id))]);
            let row = item([("PK", text(id)), ("b", AttributeValue::L(vec![AttributeValue::Null(true); 100_000]))]);
            RowWrite::put(key, row)
        };
        let sizes = |writes: Vec<RowWrite>| batches(writes).iter().map(|batch| batch.rows.len()).collect::<Vec<_>>();
        assert_eq!(sizes((0..51).map(put).collect()), [25, 25, 1]);
        assert_eq!(sizes(vec![heavy("a"); 25]), [11, 11, 3], "1.4 MB each");
        assert_eq!(sizes(Vec::new()), [0_usize; 0]);
    }
}
