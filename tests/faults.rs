//! Writes and slices of a backfill over the DynamoDB API, through a proxy that spoils them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use anabranch::{
    dispatch::Dispatcher,
    handler::Context,
    record::NewImage,
    replica::{Replica, Tombstones},
    router::Router,
    scan::Scan,
    sink::table::{AttributeValue, Decimal, DynamoDb},
    source::backfill::{Backfill, TableHistory},
    testing::{
        embedded::{Embedded, PET_TRACKER, PET_TRACKER_REPLICA, PET_TRACKER_VIEWS},
        proxy::{Fault, FaultProxy},
    },
    view::{Contribution, View},
};
use aws_sdk_dynamodb::Client;
use futures_util::TryStreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

const ITEMS: u64 = 40;
const CHANGES: u64 = 160;
const FAULTS: [Fault; 6] = [
    Fault::Throttle,
    Fault::Status(500),
    Fault::Slow(Duration::from_millis(5)),
    Fault::Cut,
    Fault::Lose,
    Fault::Unprocessed,
];

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The embedded API, and a way to it on which every third request meets one fault after another.
struct Stage {
    embedded: Embedded,
    proxy: FaultProxy,
    spoiled: Client,
    struck: Arc<AtomicUsize>,
}

impl Stage {
    async fn set() -> Result<Self> {
        let embedded = Embedded::start().await?;
        embedded.create_pet_tracker().await?;
        let proxy = FaultProxy::start(embedded.endpoint()).await?;
        let config = embedded.sdk_config().to_builder().endpoint_url(proxy.endpoint()).build();
        Ok(Self { embedded, proxy, spoiled: Client::new(&config), struck: Arc::default() })
    }

    fn spoil(&self) {
        let (struck, mut asked) = (Arc::clone(&self.struck), 0);
        self.proxy.set_faults(move |_| {
            asked += 1;
            if asked % 3 == 0 { FAULTS[struck.fetch_add(1, Relaxed) % FAULTS.len()] } else { Fault::None }
        });
    }

    fn table(&self, name: &str) -> DynamoDb {
        DynamoDb::new(self.spoiled.clone(), name)
    }

    /// The rows of a table, by the number in their sort keys.
    async fn rows(&self, table: &str) -> Result<BTreeMap<u64, u64>> {
        let rows: Vec<Row> = Scan::new(&self.embedded.dynamodb(), table).typed().try_collect().await?;
        // A tombstone has no value.
        Ok(rows.iter().filter_map(|row| Some((row.item.parse().expect("a number"), row.value?))).collect())
    }

    async fn strike(self) -> Result {
        assert!(self.struck.load(Relaxed) >= 2 * FAULTS.len(), "every fault has struck more than once");
        Ok(self.embedded.stop().await?)
    }
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "SK")]
    item: String,
    value: Option<u64>,
}

/// Changes of some items, and the table that they come to. A third of them are deletes.
fn changes() -> (Vec<Value>, BTreeMap<u64, u64>) {
    let (mut table, mut records) = (BTreeMap::new(), Vec::new());
    for n in 0..CHANGES {
        let item = n * 7 % ITEMS;
        let gone = n % 3 == 1 && table.contains_key(&item);
        let name = match (gone, table.contains_key(&item)) {
            (true, _) => "REMOVE",
            (false, true) => "MODIFY",
            (false, false) => "INSERT",
        };
        let keys = json!({"PK": {"S": "FAULTS"}, "SK": {"S": item.to_string()}});
        let mut body = json!({"Keys": keys, "SequenceNumber": format!("{:021}", n + 1)});
        if gone {
            table.remove(&item);
        } else {
            table.insert(item, n);
            body["NewImage"] = json!({"PK": keys["PK"], "SK": keys["SK"], "value": {"N": n.to_string()}});
        }
        records.push(json!({"eventName": name, "eventSource": "aws:dynamodb", "dynamodb": body}));
    }
    (records, table)
}

/// Delivers records in batches, over and over, as Lambda does: from the first unfinished one on.
async fn drain(dispatcher: &Dispatcher, records: &[Value]) -> Result {
    let mut from = 0;
    for _ in 0..200 {
        let batch = &records[from..records.len().min(from + 50)];
        let report = dispatcher.dispatch(json!({ "Records": batch }).to_string(), &Context::default()).await?;
        from += report.unfinished.map_or(batch.len(), |unfinished| unfinished.position);
        if from == records.len() {
            return Ok(());
        }
    }
    Err(format!("no progress at {from}").into())
}

fn tombstoned(replica: Replica) -> Replica {
    replica.tombstones(Tombstones::keep(Duration::from_secs(24 * 60 * 60)))
}

#[tokio::test]
async fn replicas_survive_what_happens_to_their_writes() -> Result {
    for replica in [Replica::new, Replica::plain, |table| tombstoned(Replica::new(table))] {
        let stage = Stage::set().await?;
        stage.spoil();
        let replica: Replica = replica(stage.table(PET_TRACKER_REPLICA));
        let (records, table) = changes();
        // A batch of plain writes is one request: smaller ones meet more faults.
        for few in records.chunks(3) {
            drain(&Dispatcher::new(Router::<NewImage>::new().every(replica.clone())), few).await?;
        }
        assert_eq!(stage.rows(PET_TRACKER_REPLICA).await?, table);
        stage.strike().await?;
    }
    Ok(())
}

fn number(value: &AttributeValue) -> u64 {
    let AttributeValue::N(number) = value else { panic!("a number") };
    number.parse().expect("a small number")
}

#[derive(Deserialize)]
struct Amount {
    value: u64,
}

#[tokio::test]
async fn views_survive_what_happens_to_their_transactions() -> Result {
    let stage = Stage::set().await?;
    stage.spoil();
    let view = || {
        View::aggregate("parity", stage.table(PET_TRACKER_VIEWS), |row: &Amount| {
            let parity = if row.value.is_multiple_of(2) { "EVEN" } else { "ODD" };
            vec![Contribution::to("PARITY", parity).count("count").sum("sum", row.value).max("most", row.value)]
        })
    };
    let (records, table) = changes();
    for few in records.chunks(8) {
        drain(&Dispatcher::new(Router::<NewImage>::new().every(view())), few).await?;
    }
    stage.proxy.set_faults(|_| Fault::None);
    for (name, parity) in [("EVEN", 0), ("ODD", 1)] {
        let values: Vec<u64> = table.values().copied().filter(|value| value % 2 == parity).collect();
        let row = view().reader().read("PARITY", name).await?.expect("a row");
        assert_eq!(row.number("count"), Decimal::from(values.len() as i64), "{name}");
        assert_eq!(row.number("sum"), Decimal::from(values.iter().sum::<u64>() as i64), "{name}");
        assert_eq!(row.value("most").map(number), values.iter().max().copied(), "{name}");
    }
    stage.strike().await
}

/// Both sides of a backfill meet faults, and tokens repeat; the job is run again when it fails.
#[tokio::test]
async fn slices_survive_what_happens_to_their_pages_and_rows() -> Result {
    let stage = Stage::set().await?;
    let source = DynamoDb::new(stage.embedded.dynamodb(), PET_TRACKER);
    let (records, table) = changes();
    drain(&Dispatcher::new(Router::<NewImage>::new().every(Replica::plain(source))), &records).await?;
    let (struck, mut asked) = (Arc::clone(&stage.struck), 0);
    stage.proxy.set_faults(move |request| {
        asked += 1;
        match asked % 3 {
            1 if asked % 30 == 1 && request.operation == "Scan" => Fault::RepeatKey,
            0 => FAULTS[struck.fetch_add(1, Relaxed) % FAULTS.len()],
            _ => Fault::None,
        }
    });
    let history = TableHistory::of(&stage.spoiled, PET_TRACKER).await?.segments(4);
    let history = history.scan_with(|scan| scan.page_limit(3));
    let places = history.places()?;
    let replica = tombstoned(Replica::new(stage.table(PET_TRACKER_REPLICA)));
    let backfill = Backfill::new(history, Router::<NewImage>::new().every(replica), "replica");
    let mut job = backfill.job("faults", places);
    let mut failures = 0;
    while let Err(error) = backfill.run(&mut job, 2, |_| ()).await {
        failures += 1;
        assert!(failures < 50, "{error:?}");
    }
    assert!(job.is_done() && job.counts().reconciled(), "{job:?}");
    assert_eq!(job.counts().records, table.len() as u64, "{failures} failures");
    assert_eq!(stage.rows(PET_TRACKER_REPLICA).await?, table);
    stage.strike().await
}
