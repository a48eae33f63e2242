//! A table written to by several writers, while the function behind its mapping fails at random and the mapping is killed and
//! started again: nothing is lost, and nothing is out of order per item.
//!
//! A few seconds in every test run; `ANABRANCH_SOAK_WRITES=200000 cargo test --all-features --test soak` goes on for minutes, and then
//! the memory must stay flat as well.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anabranch::{
    handler::Failure,
    record::{Change, NewAndOldImages, Record, Timestamp},
    router::Router,
    source::mapping::{
        Answer, Checkpoints, Clock, DynamoDbStream, Ended, InProcess, Mapping, Settings, TableCheckpoints, Target,
    },
    testing::embedded::{Embedded, PET_TRACKER},
};
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use tokio::sync::Notify;

const WRITERS: u64 = 4;
const ITEMS: u64 = 8;
const POSITIONS: &str = "Positions";

/// Numbers that look like chance, and are those of a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Time at fifty times its pace: a retry waits ten milliseconds, and a poll five.
#[derive(Clone)]
struct Fast(Instant, Timestamp);

const PACE: u32 = 50;

impl Fast {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
        Self(Instant::now(), Timestamp::from_nanos(i64::try_from(now).expect("before 2262")))
    }
}

impl Clock for Fast {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from((self.0.elapsed() * PACE).as_nanos()).expect("less than centuries");
        Timestamp::from_nanos(self.1.as_nanos() + passed)
    }

    fn sleep_until(&self, time: Timestamp) -> BoxFuture<'_, ()> {
        let wait = u64::try_from(time.as_nanos() - self.now().as_nanos()).unwrap_or(0);
        tokio::time::sleep(Duration::from_nanos(wait) / PACE).boxed()
    }
}

#[derive(serde::Deserialize)]
struct Row {
    #[serde(rename = "PK")]
    key: String,
    /// Counts the writes of the item, from 1.
    n: u64,
}

/// What was handled: the last write of each item.
struct Seen {
    last: Mutex<HashMap<String, u64>>,
    broken: Mutex<Vec<String>>,
    chance: Mutex<Chance>,
    handled: AtomicUsize,
}

impl Seen {
    /// Each write comes after the one before, or once more; never ahead of one that was not handled.
    fn handle(&self, record: &Record<Row>) -> Result<(), Failure> {
        let row = record.change.current().or(record.change.previous()).expect("a view with both images");
        let mut last = lock(&self.last);
        let known = last.entry(row.key.clone()).or_default();
        let removed = matches!(record.change, Change::Remove { .. });
        if row.n > *known + 1 || (removed && row.n > *known) {
            lock(&self.broken).push(format!("write {} of {} after {known}", row.n, row.key));
        }
        if lock(&self.chance).below(30) == 0 {
            return Err(Failure::retry("told to fail"));
        }
        *known = row.n.max(*known);
        self.handled.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A function that at times does not run, or does its work and then fails.
struct Shaky {
    function: InProcess,
    seen: Arc<Seen>,
}

impl Target for Shaky {
    fn invoke(&self, event: Bytes) -> BoxFuture<'_, Answer> {
        async move {
            let whim = lock(&self.seen.chance).below(20);
            if whim == 0 {
                return Answer::not_run("throttled");
            }
            let answer = self.function.invoke(event).await;
            if whim == 1 { Answer::failed("out of time") } else { answer }
        }
        .boxed()
    }
}

fn key(writer: u64, item: u64) -> AttributeValue {
    AttributeValue::S(format!("USER#{writer}-{item}"))
}

/// Writes and deletes the items of one writer, and answers with how often it wrote each.
async fn write(client: Client, writer: u64, writes: u64) -> Vec<(String, u64)> {
    let mut chance = Chance(writer + 1);
    let mut counts = [0_u64; ITEMS as usize];
    let sort = AttributeValue::S("PET#1".to_owned());
    for _ in 0..writes {
        let item = chance.below(ITEMS);
        if chance.below(8) == 0 {
            let delete = client.delete_item().table_name(PET_TRACKER).key("PK", key(writer, item));
            delete.key("SK", sort.clone()).send().await.expect("a delete");
            continue;
        }
        let count = &mut counts[usize::try_from(item).expect("a small number")];
        *count += 1;
        let put = client.put_item().table_name(PET_TRACKER).item("PK", key(writer, item)).item("SK", sort.clone());
        put.item("n", AttributeValue::N(count.to_string())).send().await.expect("a put");
    }
    let key = |item: usize| format!("USER#{writer}-{item}");
    counts.into_iter().enumerate().filter(|(_, count)| *count > 0).map(|(item, count)| (key(item), count)).collect()
}

fn settings() -> Settings {
    let mut settings = Settings::new("soak");
    settings.batch_size = 50;
    settings.parallelization_factor = 3;
    settings.report_item_failures = true;
    settings.bisect_batch_on_function_error = true;
    settings
}

struct Soak {
    embedded: Embedded,
    stream: String,
    clock: Fast,
    seen: Arc<Seen>,
}

impl Soak {
    async fn new() -> Self {
        let embedded = Embedded::start().await.expect("an embedded DynamoDB");
        let stream = embedded.create_pet_tracker().await.expect("tables");
        embedded.create_table(POSITIONS, None).await.expect("a table");
        let seen = Seen {
            last: Mutex::default(),
            broken: Mutex::default(),
            chance: Mutex::new(Chance(7)),
            handled: AtomicUsize::new(0),
        };
        Self { embedded, stream, clock: Fast::new(), seen: Arc::new(seen) }
    }

    fn positions(&self) -> Arc<dyn Checkpoints> {
        Arc::new(TableCheckpoints::new(self.embedded.dynamodb(), POSITIONS))
    }

    fn mapping(&self) -> Mapping {
        let seen = self.seen.clone();
        let handler = move |record: Record<Row>| {
            let seen = seen.clone();
            async move { seen.handle(&record) }
        };
        let function = InProcess::new("soak", Router::<NewAndOldImages>::new().every(handler));
        let target = Shaky { function, seen: self.seen.clone() };
        let source = DynamoDbStream::new(self.embedded.streams(), self.stream.clone());
        let mapping = Mapping::new(settings(), self.stream.clone(), source, target);
        mapping.keep("soak", self.positions()).clock(self.clock.clone())
    }

    /// A life of the mapping that ends, without any goodbye, when it has told so many things.
    async fn live(&self, told: usize) {
        let (enough, mut count) = (Notify::new(), 0);
        let run = self.mapping().run(std::future::pending(), |_, events| {
            count += events.len();
            if count >= told {
                enough.notify_one();
            }
        });
        tokio::select! {
            ended = run => panic!("it ended by itself: {ended:?}"),
            () = enough.notified() => {}
        }
    }

    fn is_done(&self, expected: &HashMap<String, u64>) -> bool {
        *lock(&self.seen.last) == *expected
    }
}

/// The memory of this process in MB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_out_of_order() {
    let writes = std::env::var("ANABRANCH_SOAK_WRITES").map_or(1_200, |writes| writes.parse().expect("a number"));
    let soak = Soak::new().await;
    let writers = (0..WRITERS).map(|writer| tokio::spawn(write(soak.embedded.dynamodb(), writer, writes / WRITERS)));
    let mut writers = std::pin::pin!(join_all(writers));
    let (mut chance, mut lives, mut memory) = (Chance(3), 0, None);
    let written = loop {
        tokio::select! {
            written = &mut writers => break written,
            () = soak.live(usize::try_from(10 + chance.below(120)).expect("a small number")) => lives += 1,
        }
        if lives == 20 {
            memory = Some(resident());
        }
    };
    let expected: HashMap<String, u64> = written.into_iter().flat_map(|writer| writer.expect("a writer")).collect();
    let stop = async {
        while !soak.is_done(&expected) && lock(&soak.seen.broken).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let last_life = soak.mapping().run(stop, |_, _| {});
    let ended = tokio::time::timeout(Duration::from_secs(120), last_life).await.expect("an end within two minutes");
    assert_eq!(ended, Ok(Ended::Stopped));
    assert_eq!(*lock(&soak.seen.broken), [""; 0], "out of order, or lost");
    assert_eq!(*lock(&soak.seen.last), expected);
    assert!(lives > 3, "it was killed {lives} times");
    assert!(soak.seen.handled.load(Ordering::Relaxed) > expected.len());
    if let Some(before) = memory.filter(|_| writes >= 50_000) {
        let after = resident();
        assert!(after < before + 100, "{before} MB after 20 lives, {after} MB after {lives}");
    }
    soak.embedded.stop().await.expect("an end");
}
