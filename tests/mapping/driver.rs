//! The driver, the function in process, and positions in a file.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use anabranch::{
    handler::Failure,
    record::{NewAndOldImages, RawImage, Record, Timestamp},
    router::Router,
    source::mapping::{
        Checkpoint, Checkpoints, Clock, Describe, Ended, FileCheckpoints, FolderDestination, InProcess, Mapping,
        MappingError, Position, RecordPage, Settings, ShardPage, StreamFault, Streams,
    },
    testing::streams::StreamSimulator,
};
use futures_util::future::{BoxFuture, FutureExt, ready};

use crate::play::{seconds, with};

/// A simulated stream, and the clock that goes with it: whoever sleeps makes time pass.
#[derive(Clone)]
pub(crate) struct Simulated(pub(crate) Arc<StreamSimulator>);

impl Clock for Simulated {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep_until(&self, time: Timestamp) -> BoxFuture<'_, ()> {
        async move {
            // Whatever else is ready comes first.
            tokio::task::yield_now().await;
            let nanos = time.as_nanos().saturating_sub(self.0.now().as_nanos()).max(1_000_000);
            self.0.advance(std::time::Duration::from_nanos(nanos.unsigned_abs()));
        }
        .boxed()
    }
}

impl Streams for Simulated {
    fn describe<'a>(&'a self, request: &'a Describe) -> BoxFuture<'a, Result<ShardPage, StreamFault>> {
        self.0.describe(request)
    }

    fn iterator<'a>(&'a self, shard: &'a str, position: &'a Position) -> BoxFuture<'a, Result<String, StreamFault>> {
        self.0.iterator(shard, position)
    }

    fn records<'a>(&'a self, iterator: &'a str, limit: usize) -> BoxFuture<'a, Result<RecordPage, StreamFault>> {
        self.0.records(iterator, limit)
    }
}

/// A mapping to a handler that fails each third time, and what it has handled.
fn mapping(stream: &Arc<StreamSimulator>, settings: Settings) -> (Mapping, Arc<Mutex<Vec<String>>>) {
    let (handled, calls) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let seen = handled.clone();
    let handler = move |record: Record<RawImage>| {
        let (seen, call) = (seen.clone(), calls.fetch_add(1, Ordering::Relaxed));
        async move {
            let key = record.keys().attribute("PK")?.expect("a key").into_owned();
            if call % 3 == 2 {
                return Err(Failure::retry("told to"));
            }
            seen.lock().expect("no panic under the lock").push(key);
            Ok(())
        }
    };
    let target = InProcess::new("f", Router::<NewAndOldImages>::new().every(handler));
    let simulated = Simulated(stream.clone());
    let mapping = Mapping::new(settings, stream.arn(), simulated.clone(), target).clock(simulated);
    (mapping, handled)
}

fn reporting() -> Settings {
    with(|it| {
        it.report_item_failures = true;
        it.batch_size = 4;
    })
}

#[tokio::test]
async fn a_disabled_stream_is_handled_to_its_end() {
    let stream = Arc::new(StreamSimulator::new());
    for n in 0..30 {
        stream.put(&format!("PET#{n}"));
    }
    stream.disable();
    let (mapping, handled) = mapping(&stream, reporting());
    let mut told = 0;
    let ended = mapping.run(std::future::pending(), |_, events| told += events.len()).await;
    assert_eq!(ended, Ok(Ended::StreamEnded));
    assert!(handled.lock().expect("no panic under the lock").iter().cloned().eq((0..30).map(|n| format!("PET#{n}"))));
    assert!(told > 30);
}

#[tokio::test]
async fn it_stops_when_told_and_goes_on_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/checkpoints.json");
    let stream = Arc::new(StreamSimulator::new());
    let mut total = 0;
    for round in 0..3 {
        for n in 0..10 {
            stream.put(&format!("PET#{round}-{n}"));
        }
        let checkpoints = Arc::new(FileCheckpoints::open(&path).unwrap());
        let (mapping, handled) = mapping(&stream, reporting());
        let enough = handled.clone();
        let stop = async move {
            while enough.lock().expect("no panic under the lock").len() < 10 {
                tokio::task::yield_now().await;
            }
        };
        let ended = mapping.keep("group", checkpoints).run(stop, |_, _| {}).await;
        assert_eq!(ended, Ok(Ended::Stopped));
        let handled = handled.lock().expect("no panic under the lock");
        assert!(handled.iter().all(|key| key.starts_with(&format!("PET#{round}-"))), "{round}: {handled:?}");
        total += handled.len();
    }
    assert_eq!(total, 30);
}

#[tokio::test]
async fn what_is_given_up_on_lies_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let stream = Arc::new(StreamSimulator::new());
    stream.put("PET#1");
    stream.disable();
    let simulated = Simulated(stream.clone());
    let fails = |_: Record<RawImage>| async { Err::<(), _>(Failure::retry("told to")) };
    let target = InProcess::new("f", Router::<NewAndOldImages>::new().every(fails)).timeout(seconds(5));
    let mut settings = reporting();
    settings.maximum_retry_attempts = Some(1);
    let mapping = Mapping::new(settings, stream.arn(), simulated.clone(), target).clock(simulated);
    let mapping = mapping.on_failure(FolderDestination::new(folder.path()));
    assert_eq!(mapping.run(std::future::pending(), |_, _| {}).await, Ok(Ended::StreamEnded));
    let mapping = folder.path().join("aws/lambda/00000000-0000-4000-8000-000000000000");
    assert_eq!(std::fs::read_dir(mapping).expect("the key of the object").count(), 1);
}

/// A store that takes nothing.
struct Refusing;

impl Checkpoints for Refusing {
    fn load<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Checkpoint>, Box<dyn std::error::Error + Send + Sync>>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn save<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: &'a [Checkpoint],
    ) -> BoxFuture<'a, Result<(), Box<dyn std::error::Error + Send + Sync>>> {
        ready(Err("full".into())).boxed()
    }
}

#[tokio::test]
async fn positions_that_cannot_be_saved_at_the_end_are_an_error() {
    let stream = Arc::new(StreamSimulator::new());
    stream.put("PET#1");
    let (mapping, handled) = mapping(&stream, reporting());
    let enough = handled.clone();
    let stop = async move {
        while enough.lock().expect("no panic under the lock").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let ended = mapping.keep("group", Arc::new(Refusing)).run(stop, |_, _| {}).await;
    assert_eq!(ended, Err(MappingError::NotSaved { stream: stream.arn() }));
}

#[tokio::test]
async fn groups_and_streams_have_their_own_positions_and_a_file_is_one_or_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints.json");
    let checkpoints = FileCheckpoints::open(&path).unwrap();
    let one = Checkpoint {
        shard: "s".into(),
        sequence: Some("7".into()),
        finished: false,
        since: None,
        idle_at: None,
        window: None,
        beginning: None,
        updated_at: 1,
    };
    checkpoints.save("a", "stream", std::slice::from_ref(&one)).await.unwrap();
    let again = FileCheckpoints::open(&path).unwrap();
    assert_eq!(again.load("a", "stream").await.unwrap(), [one]);
    assert!(again.load("b", "stream").await.unwrap().is_empty());
    assert!(again.load("a", "other").await.unwrap().is_empty());
    std::fs::write(&path, "[]").unwrap();
    assert!(FileCheckpoints::open(&path).is_err());
}
