//! How many requests a view takes, against one update for each change.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use anabranch::sink::table::{
    Action, Guard, Item, Memory, Query, ReadBatch, RowWrite, Table, TableError, TransactError, TransactTable, Written,
};
use futures_util::future::BoxFuture;

use crate::world::*;

/// Counts requests of every kind.
struct Counting {
    inner: Memory,
    requests: AtomicUsize,
}

impl Counting {
    fn count(&self) -> &Memory {
        self.requests.fetch_add(1, Relaxed);
        &self.inner
    }
}

impl Table for Counting {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn write_guarded(&self, write: RowWrite, guard: Guard) -> BoxFuture<'_, Result<Written, TableError>> {
        self.count().write_guarded(write, guard)
    }

    fn write_batch<'a>(&'a self, writes: &'a [RowWrite]) -> BoxFuture<'a, Result<Vec<usize>, TableError>> {
        self.count().write_batch(writes)
    }

    fn read(&self, key: Item) -> BoxFuture<'_, Result<Option<Item>, TableError>> {
        self.count().read(key)
    }
}

impl TransactTable for Counting {
    fn transact<'a>(&'a self, actions: &'a [Action]) -> BoxFuture<'a, Result<(), TransactError>> {
        self.count().transact(actions)
    }

    fn read_batch<'a>(&'a self, keys: &'a [Item]) -> BoxFuture<'a, Result<ReadBatch, TableError>> {
        self.count().read_batch(keys)
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<Vec<Item>, TableError>> {
        self.count().query(query)
    }
}

/// The requests for 10,000 new items, or for 10,000 changes of 2,500 items, over 100 rows.
async fn requests(items: usize) -> usize {
    let table = Arc::new(Counting { inner: memory(), requests: AtomicUsize::new(0) });
    let view = anabranch::view::View::aggregate("counts", Arc::clone(&table), |thing: &Thing| {
        let row = thing.key.trim_start_matches("item-").parse::<usize>().expect("a number") * 7 % 100;
        vec![anabranch::view::Contribution::to("ROW", row.to_string()).count("count").sum("sum", thing.amount)]
    });
    let records: Vec<_> = (0..10_000).map(|n| numbered(n, n % items)).collect();
    let report = dispatch(&dispatcher(view.clone()), &records).await;
    assert_eq!(report.applied, 10_000);
    let used = table.requests.load(Relaxed);
    let mut counted = anabranch::sink::table::Decimal::ZERO;
    for row in 0..100 {
        let row = view.reader().read("ROW", &row.to_string()).await.expect("readable").expect("a row of many items");
        counted = counted.plus(row.number("count")).expect("small numbers");
    }
    assert_eq!(counted, (items as u64).into());
    used
}

fn numbered(n: usize, item: usize) -> serde_json::Value {
    let mut record = record("MODIFY", n, 0, Some((0, n as i64, 0)), "arn:aws:dynamodb:::table/T/stream/L");
    let key = serde_json::json!({"S": format!("item-{item}")});
    record["dynamodb"]["Keys"]["PK"] = key.clone();
    record["dynamodb"]["NewImage"]["PK"] = key;
    record
}

/// One update for each change would be 10,000 requests.
#[tokio::test]
async fn ten_thousand_changes_of_a_hundred_rows_take_a_twentieth_of_the_requests() {
    for items in [10_000, 2_500] {
        let requests = requests(items).await;
        println!("{items} items: {requests} requests for 10,000 changes");
        assert!(requests * 20 <= 10_000, "{items} items: {requests} requests");
    }
}
