//! Ways to get the items of a table.

use std::{hint::black_box, time::Duration};

use anabranch::{record::PageBody, scan::Scan};
use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
};
use bytes::Bytes;
use futures_util::StreamExt;

use super::{null_server::Canned, types::Pet};

/// Runs one row over all pages; the number of items is handed back.
pub(crate) fn run(row: &str, port: u16, canned: &Canned) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = client(port);
    // What a process does once only is not in the number.
    runtime.block_on(async { _ = client.list_tables().send().await });
    match row {
        "memory" => {
            let bodies: Vec<Bytes> = (0..canned.pages).map(|number| canned.page(number).into()).collect();
            measured(|| bodies.into_iter().map(decode).sum())
        }
        "ours" => measured(|| runtime.block_on(ours(&client, 1))),
        "pages" => measured(|| runtime.block_on(pages(&client))),
        "sdk" => measured(|| runtime.block_on(sdk(&client))),
        other => panic!("no row {other}"),
    }
}

/// The function whose instructions are counted.
#[inline(never)]
fn measured<R>(work: impl FnOnce() -> R) -> R {
    black_box(work())
}

pub(crate) fn client(port: u16) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("local"))
        .credentials_provider(Credentials::new("bench", "bench", None, None, "bench"))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// Ours, without a network.
fn decode(body: Bytes) -> usize {
    let page = PageBody::split(body).expect("a page");
    page.items().map(|item| _ = black_box(item.decode::<Pet>().expect("a pet"))).count()
}

/// Ours.
pub(crate) async fn ours(client: &Client, workers: u32) -> usize {
    let scan = Scan::new(client, "PetTracker").segments(workers).workers(workers as usize);
    scan.typed::<Pet>().map(|pet| _ = black_box(pet.expect("a pet"))).count().await
}

/// Ours, with nothing decoded.
async fn pages(client: &Client) -> usize {
    let pages = Scan::new(client, "PetTracker").pages();
    pages.map(|page| page.expect("a page").len()).fold(0, async |sum, items| sum + items).await
}

/// What people write today.
async fn sdk(client: &Client) -> usize {
    let mut items = client.scan().table_name("PetTracker").into_paginator().items().send();
    let mut count = 0;
    while let Some(item) = items.next().await {
        let pet: Pet = serde_dynamo::aws_sdk_dynamodb_1::from_item(item.expect("an item")).expect("a pet");
        black_box(pet);
        count += 1;
    }
    count
}

/// How long `workers` segments take, all pages of each of them, at the latency of the server.
pub(crate) fn time(port: u16, workers: u32) -> Duration {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let client = client(port);
    runtime.block_on(async {
        _ = client.list_tables().send().await;
        let begin = std::time::Instant::now();
        black_box(ours(&client, workers).await);
        begin.elapsed()
    })
}

/// The processor time of a scan, in nanoseconds per item, by a process that has done it before.
pub(crate) fn processor_time(row: &str, port: u16, canned: &Canned) -> u64 {
    run(row, port, canned);
    let begin = processor();
    let items = run(row, port, canned);
    (processor() - begin) / items as u64
}

/// What this thread, which does everything, has used of the processor so far, in nanoseconds.
fn processor() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let used = statistics.split(' ').next().expect("a first field");
    used.parse().expect("a number")
}
