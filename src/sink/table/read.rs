//! Many rows, read in as few requests as the service allows.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};

use super::{
    Item, Limits, READ_ROWS, Reads, TableError,
    backoff::{MAX_ROUNDS, wait_after},
    guarded::before,
    key::RowKey,
};

/// Reads rows by their keys, consistently, and answers in the order of the keys; none for a row that is not there.
///
/// A request names at most 100 keys, each once however often it is asked for; at most `limits.concurrency` are on their
/// way. Keys that the table did not get to are asked for again, after a growing, random wait of at most 2 s, until 12
/// rounds in a row brought nothing or the next wait would pass the deadline.
///
/// # Errors
/// The first failure of a request, or [`TableError::Unprocessed`].
pub async fn read_many<T: Reads + ?Sized>(
    table: &T,
    keys: &[Item],
    limits: Limits,
) -> Result<Vec<Option<Item>>, TableError> {
    let mut places: HashMap<RowKey, usize> = HashMap::new();
    let mut unique = Vec::new();
    let mut place_of = Vec::with_capacity(keys.len());
    for key in keys {
        let place = *places.entry(RowKey::of(key)).or_insert(unique.len());
        if place == unique.len() {
            unique.push(key.clone());
        }
        place_of.push(place);
    }
    let requests: Vec<_> =
        unique.chunks(READ_ROWS).map(|keys| read_batch(table, keys.to_vec(), limits.until)).collect();
    let found: Vec<_> = stream::iter(requests).buffered(limits.concurrency.max(1)).try_collect().await?;
    let mut rows = vec![None; unique.len()];
    for row in found.into_iter().flatten() {
        let known = keys.first().and_then(|names| places.get(&RowKey::select(&row, names)));
        if let Some(place) = known {
            rows[*place] = Some(row);
        }
    }
    Ok(place_of.into_iter().map(|place| rows[place].clone()).collect())
}

/// Asks for keys again and again until the table has got to all of them.
async fn read_batch<T: Reads + ?Sized>(
    table: &T,
    mut keys: Vec<Item>,
    until: Option<Instant>,
) -> Result<Vec<Item>, TableError> {
    let (mut rows, mut idle) = (Vec::new(), 0);
    while !keys.is_empty() {
        let answer = before(until, table.name(), table.read_batch(&keys)).await?;
        idle = if answer.left.len() < keys.len() { 1 } else { idle + 1 };
        rows.extend(answer.rows);
        keys = answer.left.iter().filter_map(|index| keys.get(*index).cloned()).collect();
        let wait = wait_after(idle);
        if !keys.is_empty() {
            if idle > MAX_ROUNDS || until.is_some_and(|until| Instant::now() + wait >= until) {
                return Err(TableError::Unprocessed { table: table.name().into(), rounds: idle });
            }
            sleep(wait).await;
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
        time::Duration,
    };

    use super::*;
    use crate::sink::table::{Fault, Guard, Memory, Operation, RowWrite, Table, item, text};

    const LIMITS: Limits = Limits { concurrency: 2, until: None };

    fn key(id: usize) -> Item {
        item([("PK", text(id.to_string()))])
    }

    async fn filled(count: usize) -> Memory {
        let table = Memory::new("T", ["PK"]);
        for id in 0..count {
            table.write_guarded(RowWrite::put(key(id), key(id)), Guard::new("v", "1")).await.unwrap();
        }
        table
    }

    #[tokio::test]
    async fn rows_come_in_the_order_of_their_keys() {
        let table = filled(250).await;
        let wanted = [249, 300, 0, 249, 7].into_iter().chain(10..240);
        let keys: Vec<_> = wanted.clone().map(key).collect();
        let rows = read_many(&table, &keys, LIMITS).await.unwrap();
        for (id, row) in wanted.zip(rows) {
            let found = row.map(|row| row["PK"].clone());
            assert_eq!(found, (id < 250).then(|| text(id.to_string())));
        }
        assert_eq!(read_many(&table, &[], LIMITS).await.unwrap(), Vec::<Option<Item>>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn unprocessed_keys_are_asked_for_again() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let table = filled(50).await.with_faults(move |operation, _| {
            let reads = operation == Operation::ReadBatch;
            if reads && counter.fetch_add(1, Relaxed) % 3 != 2 { Fault::Unprocessed } else { Fault::None }
        });
        let keys: Vec<_> = (0..50).map(key).collect();
        let rows = read_many(&table, &keys, LIMITS).await.unwrap();
        assert!(rows.iter().all(Option::is_some));
        assert!(asked.load(Relaxed) > 100);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_stay_unprocessed_end_at_the_deadline_or_after_enough_rounds() {
        for seconds in [None, Some(3)] {
            let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
            let table = filled(3).await.with_faults(|_, _| Fault::Unprocessed);
            let limits = Limits { until, ..LIMITS };
            let error = read_many(&table, &[key(1)], limits).await.unwrap_err();
            assert!(matches!(error, TableError::Unprocessed { rounds: 2.., .. }), "{error:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_hangs_ends_at_the_deadline() {
        let table = filled(3).await.with_faults(|_, _| Fault::Hang);
        let limits = Limits { until: Some(Instant::now() + Duration::from_secs(3)), ..LIMITS };
        assert!(matches!(read_many(&table, &[key(1)], limits).await, Err(TableError::OutOfTime { .. })));
    }
}
