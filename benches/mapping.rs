//! What the event source mapping costs between a stream and a handler, beside a loop over GetRecords.
//!
//! A server in another process answers with canned pages, so that only the client is measured. Instructions are counted by valgrind,
//! inside one function only; ratios are between rows of one run. `bare` reads pages and drops them; `loop` hands each as an event
//! to the same handler as `mapping`, without filters, batches, retries or checkpoints.
//!
//! `cargo bench -p anabranch --features streams,mapping --bench mapping` fails if the ratio falls below its bound; `-- --report` only
//! prints.

#[path = "support/batches.rs"]
mod batches;
#[path = "support/callgrind.rs"]
mod callgrind;
#[path = "support/mapping_rows.rs"]
mod mapping_rows;
#[path = "support/null_server.rs"]
mod null_server;
#[path = "support/types.rs"]
mod types;

use std::process::ExitCode;

use anabranch::record::{split, wire::EventWriter};
use bytes::Bytes;

/// The time at which the records are new.
pub(crate) const NOW_SECONDS: i64 = 1_763_693_000;
const ROWS: [&str; 3] = ["bare", "loop", "mapping"];
/// Records of a page.
const PAGE: usize = 500;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, port, row] = arguments.as_slice()
        && flag == callgrind::ROW
    {
        let records = mapping_rows::run(row, port.parse().expect("a port"));
        assert_eq!(records, batch().records, "every record is read");
        return ExitCode::SUCCESS;
    }
    let report_only = arguments.iter().any(|argument| argument == "--report");
    if judge() || report_only { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn batch() -> batches::Batch {
    batches::pets(4_000_000)
}

fn judge() -> bool {
    let pages = pages();
    let port = null_server::serve_by(move |request| answer(&pages, request));
    let records = batch().records;
    let counted = ROWS.map(|row| callgrind::count(&port.to_string(), row).instructions as f64);
    for (row, count) in ROWS.iter().zip(counted) {
        println!("{row:<8} {:>8.0} instructions per record", count / records as f64);
    }
    let [bare, by_hand, mapping] = counted;
    println!("        {:.2} of the records per second of a loop that drops them", bare / mapping);
    let ratio = by_hand / mapping;
    let reached = ratio >= 0.9;
    println!(
        "{} {ratio:.2} of the records per second of a loop with the same handler",
        ["MISSED ", "reached"][usize::from(reached)]
    );
    reached
}

/// The records, so many to a page, as GetRecords answers them; the last page has no successor.
fn pages() -> Vec<Vec<u8>> {
    let records: Vec<Bytes> = split(Bytes::from(batch().body))
        .expect("an event")
        .map(|record| record.expect("a record").json_bytes())
        .collect();
    let count = records.chunks(PAGE).len();
    let page = |(number, records): (usize, &[Bytes])| {
        let mut event = EventWriter::new();
        records.iter().for_each(|record| event.push_json(record));
        let mut page = event.finish().to_vec();
        page.pop();
        let next =
            if number + 1 < count { format!(r#","NextShardIterator":"{}"}}"#, number + 1) } else { "}".to_owned() };
        page.extend(next.into_bytes());
        page
    };
    records.chunks(PAGE).enumerate().map(page).collect()
}

/// A disabled stream of one shard that was closed. Its iterators are the numbers of pages.
fn answer(pages: &[Vec<u8>], request: &str) -> Vec<u8> {
    let after_all = r#"AFTER_SEQUENCE_NUMBER"#;
    if request.contains(after_all) {
        return format!(r#"{{"ShardIterator":"{}"}}"#, pages.len()).into_bytes();
    }
    if request.contains("ShardIteratorType") {
        return br#"{"ShardIterator":"0"}"#.to_vec();
    }
    if let Some((_, iterator)) = request.split_once(r#""ShardIterator":""#) {
        let number: usize = iterator.split('"').next().unwrap_or_default().parse().expect("an iterator of ours");
        return pages.get(number).cloned().unwrap_or_else(|| br#"{"Records":[]}"#.to_vec());
    }
    let range = r#""SequenceNumberRange":{"StartingSequenceNumber":"1","EndingSequenceNumber":"9"}"#;
    format!(r#"{{"StreamDescription":{{"StreamStatus":"DISABLED","Shards":[{{"ShardId":"shard",{range}}}]}}}}"#)
        .into_bytes()
}
