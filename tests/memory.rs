//! What the dispatcher allocates: nothing for a record, and little for a batch of any size.
//!
//! A program of its own, since it counts every allocation of the process.

#[path = "../benches/support/batches.rs"]
mod batches;
#[path = "../benches/support/rows.rs"]
mod rows;
#[path = "../benches/support/types.rs"]
mod types;

use anabranch::handler::{Context, DEFAULT_WINDOW};
use bytes::Bytes;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// What may be held at a time above the payload itself, whatever its size.
const HELD: usize = 64 * 1024;
/// What a window may allocate on its way: lists that it fills anew, and a place for a future.
const PER_WINDOW: u64 = 32;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let keys = |records| ("K", &["filtered", "borrowed"][..], batches::keys_only(records));
    // Of images only what is held is known: types that are decoded from them allocate for themselves.
    for (name, rows, batch) in [keys(1_000), keys(10_000), ("M", &["filtered"], batches::mixed(6_000_000))] {
        let (records, body) = (batch.records, Bytes::from(batch.body));
        for row in rows {
            let (dispatcher, context) = (rows::dispatcher(row, name), Context::default());
            let profiler = dhat::Profiler::builder().testing().build();
            let report = runtime.block_on(dispatcher.dispatch(body.clone(), &context)).expect("a stream event");
            let stats = dhat::HeapStats::get();
            drop(profiler);
            assert_eq!(report.read, records);
            let windows = (records / DEFAULT_WINDOW) as u64 + 1;
            println!("{row}, {records} records: {} allocations, {} bytes at most", stats.total_blocks, stats.max_bytes);
            assert!(stats.total_blocks <= windows * PER_WINDOW, "{row}: allocations grow with the records");
            assert!(stats.max_bytes <= HELD, "{row}: {} bytes are held above the payload", stats.max_bytes);
        }
    }
    println!("2 passed, 0 failed");
}
