//! Ways from a stream to a handler.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anabranch::{
    dispatch::Dispatcher,
    handler::Context,
    record::{NewAndOldImages, Record, Timestamp, event_from_stream},
    router::Router,
    source::mapping::{Clock, DynamoDbStream, Ended, InProcess, Mapping, Settings},
};
use aws_sdk_dynamodbstreams::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    types::ShardIteratorType,
};
use futures_util::future::{BoxFuture, FutureExt, ready};

use super::types::Pet;

pub(crate) const STREAM: &str = "arn:aws:dynamodb:local:000000000000:table/PetTracker/stream/2026-01-15T00:00:00.000";

/// Runs one row over all pages; the number of records is handed back.
pub(crate) fn run(row: &str, port: u16) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = client(port);
    // What a process does once only is not in the number.
    runtime.block_on(async { _ = client.describe_stream().stream_arn(STREAM).send().await });
    let handled = Arc::new(AtomicUsize::new(0));
    let dispatcher = dispatcher(handled.clone());
    match row {
        "bare" => measured(|| runtime.block_on(pages(&client, None))),
        "loop" => measured(|| runtime.block_on(pages(&client, Some(&dispatcher)))),
        "mapping" => measured(|| runtime.block_on(mapping(client, dispatcher))),
        other => panic!("no row {other}"),
    }
    .unwrap_or_else(|| handled.load(Ordering::Relaxed))
}

/// The function whose instructions are counted.
#[inline(never)]
fn measured<R>(work: impl FnOnce() -> R) -> R {
    black_box(work())
}

fn client(port: u16) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("local"))
        .credentials_provider(Credentials::new("bench", "bench", None, None, "bench"))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

fn dispatcher(handled: Arc<AtomicUsize>) -> Dispatcher {
    let handler = move |record: Record<Pet>| {
        black_box(&record.change);
        handled.fetch_add(1, Ordering::Relaxed);
        async {}
    };
    Dispatcher::new(Router::<NewAndOldImages>::new().every(handler))
}

/// What people write: pages of the one shard, and each of them as an event to the handlers, if there are any.
async fn pages(client: &Client, dispatcher: Option<&Dispatcher>) -> Option<usize> {
    let iterator = client.get_shard_iterator().stream_arn(STREAM).shard_id("shard");
    let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.expect("an iterator");
    let (mut next, mut count) = (iterator.shard_iterator, 0);
    while let Some(iterator) = next {
        let page = client.get_records().shard_iterator(iterator).limit(1000).send().await.expect("a page");
        let records = page.records.unwrap_or_default();
        count += records.len();
        next = page.next_shard_iterator;
        match dispatcher {
            Some(dispatcher) if !records.is_empty() => {
                let event = event_from_stream(records, STREAM);
                let report = dispatcher.dispatch(event, &Context::default()).await.expect("an event");
                assert_eq!(report.unfinished, None);
            }
            _ => drop(black_box(records)),
        }
    }
    dispatcher.is_none().then_some(count)
}

async fn mapping(client: Client, dispatcher: Dispatcher) -> Option<usize> {
    let mut settings = Settings::new("bench");
    settings.batch_size = 1000;
    settings.report_item_failures = true;
    let function = InProcess::new("bench", dispatcher);
    let mapping = Mapping::new(settings, STREAM, DynamoDbStream::new(client, STREAM), function);
    let clock = Jumping(Arc::new(AtomicI64::new(super::NOW_SECONDS * 1_000_000_000)));
    let ended = mapping.clock(clock).run(std::future::pending(), |_, _| {}).await;
    assert_eq!(ended, Ok(Ended::StreamEnded));
    None
}

/// Whoever sleeps is there at once.
struct Jumping(Arc<AtomicI64>);

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::Relaxed))
    }

    fn sleep_until(&self, time: Timestamp) -> BoxFuture<'_, ()> {
        // Answers come first.
        let jump = async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.0.fetch_max(time.as_nanos(), Ordering::Relaxed);
        };
        if time <= self.now() { ready(()).boxed() } else { jump.boxed() }
    }
}
