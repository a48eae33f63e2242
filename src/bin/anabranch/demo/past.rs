//! The last act: a table that was there before its stream. Its past is brought by a backfill, its present by the stream, side by side.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anabranch::{
    dispatch::Dispatcher,
    replica::Replica,
    sink::{
        index,
        table::{DynamoDb, Item, text},
    },
    source::{
        backfill::{
            Backfill, Counts, Plan, TableFacts, Wish,
            verify::{Report, TableRows, Verify, VerifyError},
        },
        streams::BatchReader,
    },
    testing::embedded::Embedded,
    view::View,
};
use aws_sdk_dynamodb::{
    Client,
    types::{StreamSpecification, StreamViewType},
};
use serde_json::{Value, json};

use super::{
    context,
    pet_tracker::{routers, views},
    script::{Act, activity, pet, stamp},
    show::Screen,
};
use crate::BoxError;

const TABLE: &str = "PetTrackerWithAPast";
const REPLICA: &str = "PetTrackerWithAPastReplica";
const VIEWS: &str = "PetTrackerWithAPastViews";
const PETS: usize = 140;
const ACTIVITIES: u32 = 12;
const WRITES: usize = 60;
/// Between two writes of the users.
const PAUSE: Duration = Duration::from_millis(5);
/// Slowly enough that a good part of the users' writes come in between.
const ROWS_A_SECOND: f64 = 120.0;
/// Between two looks at the stream.
const POLL: Duration = Duration::from_millis(150);
/// Everything is handled when the proof begins: what differs then has nothing to wait for.
const SETTLE: Duration = Duration::from_millis(200);

/// What became of it all.
pub(super) struct Past {
    items: usize,
    pub(super) users: Users,
    /// Changes of the stream.
    pub(super) live: usize,
    /// Those that were handled while the backfill ran.
    pub(super) beside: usize,
    pub(super) brought: Counts,
    pub(super) proofs: Vec<(&'static str, Report)>,
}

/// What users did meanwhile.
#[derive(Clone, Copy, Default)]
pub(super) struct Users {
    pub(super) put: usize,
    pub(super) removed: usize,
}

impl Past {
    /// What has to hold.
    pub(super) fn checks(&self) -> [(&'static str, bool); 3] {
        let Self { items, users, live, beside, brought, proofs } = self;
        let equal = |(_, report): &(_, Report)| report.is_equal() && report.differences() == 0 && report.source > 0;
        let whole = brought.reconciled() && brought.dead == 0 && brought.scanned as usize >= items - users.removed;
        let all_live = *live == users.put + users.removed && *beside > 0 && users.removed > 0;
        [
            ("a past was brought whole, beside a live stream with deletes", whole && all_live),
            ("it agrees with its replica, item by item, both ways", proofs.first().is_some_and(equal)),
            ("its views are what it comes to, ledger and sums", proofs.len() == 4 && proofs.iter().skip(1).all(equal)),
        ]
    }

    /// For machines.
    pub(super) fn summary(&self) -> Value {
        let Self { items, live, beside, brought, proofs, .. } = self;
        let proofs: HashMap<_, _> = proofs.iter().map(|(target, report)| (*target, report)).collect();
        json!({ "items": items, "changes": live, "beside": beside, "backfill": brought, "verify": proofs })
    }
}

/// Plays it.
///
/// # Errors
/// A part does not work.
pub(super) async fn play(embedded: &Embedded, screen: Screen) -> Result<Past, BoxError> {
    let client = embedded.dynamodb();
    for table in [TABLE, REPLICA, VIEWS] {
        embedded.create_table(table, None).await?;
    }
    let items = remember(embedded).await?;
    screen.last_act(items);
    let reader = BatchReader::new(embedded.streams(), switch_on(&client).await?).batch_size(50);
    let (brought_all, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let work = async {
        let (users, brought) = tokio::try_join!(write(&client), noting(&brought_all, bring(&client, screen)))?;
        over.store(true, Ordering::Relaxed);
        Ok((users, brought))
    };
    let ((users, brought), (live, beside)) =
        tokio::try_join!(work, follow(reader, &client, [&brought_all, &over], screen))?;
    let past = Past { items, users, live, beside, brought, proofs: prove(&client).await? };
    screen.past(&past);
    Ok(past)
}

/// What was there before anybody listened.
async fn remember(embedded: &Embedded) -> Result<usize, BoxError> {
    let pets = (0..PETS).map(|n| kept(n, "3.5"));
    let activities = (0..ACTIVITIES).flat_map(|hour| (0..2).map(move |n| activity(&id(n), hour, "play", 10 + hour)));
    let rows: Vec<_> = pets.chain(activities).filter_map(Act::into_row).collect();
    let count = rows.len();
    embedded.put_rows(TABLE, rows).await?;
    Ok(count)
}

/// Switches the stream on; gives its ARN.
async fn switch_on(client: &Client) -> Result<String, BoxError> {
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
    let update = client.update_table().table_name(TABLE).stream_specification(stream.build()?).send().await?;
    let stream = update.table_description.and_then(|table| table.latest_stream_arn);
    stream.ok_or_else(|| "the table's stream was switched on and has no ARN".into())
}

fn id(n: usize) -> String {
    format!("PET#{n:03}")
}

/// A pet that changes its species as it gains weight: odd, but a good test of a view.
fn kept(n: usize, weight: &str) -> Act {
    let species = ["cat", "dog", "parrot"][(n + weight.len()) % 3];
    pet(owner(n).trim_start_matches("USER#"), &id(n), species, weight)
}

fn owner(n: usize) -> String {
    format!("USER#u{}", n % 40)
}

/// Users: changes, deletions, new pets, and pets that come back.
async fn write(client: &Client) -> Result<Users, BoxError> {
    let mut users = Users::default();
    for n in 0..WRITES {
        let old = n * 7 % PETS;
        let act = match n % 6 {
            0 | 1 => kept(old, "12.25"),
            2 => kept(PETS + n, "1.5"),
            // The one that has just been removed.
            4 => kept((n - 1) * 7 % PETS, "4.75"),
            5 if n % 12 == 5 => Act::Remove(id(0), stamp(n as u32 / 6)),
            _ => Act::Remove(owner(old), id(old)),
        };
        match &act {
            Act::Put(_) => users.put += 1,
            Act::Remove(..) => users.removed += 1,
        }
        act.perform(client, TABLE).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(users)
}

impl Act {
    fn into_row(self) -> Option<super::script::Row> {
        match self {
            Self::Put(row) => Some(row),
            Self::Remove(..) => None,
        }
    }
}

/// What the functions of `handlers/` do with items of both, the past and the present.
fn dispatcher(client: &Client) -> Dispatcher {
    let views = DynamoDb::new(client.clone(), VIEWS);
    Dispatcher::new(routers::backfill(Some(replica(client)), Some(views), None::<Arc<index::Memory>>))
}

fn replica(client: &Client) -> Replica {
    Replica::new(DynamoDb::new(client.clone(), REPLICA)).reread(DynamoDb::new(client.clone(), TABLE))
}

/// The past.
async fn bring(client: &Client, screen: Screen) -> Result<Counts, BoxError> {
    let (facts, history) = TableFacts::of(client, TABLE).await?;
    // Pages of a few rows, or the table would have one.
    let wish = Wish { workers: Some(2), segments: Some(4), page_items: Some(6), ..Wish::default() };
    let history = Plan::of(&facts, Wish { items_per_second: Some(ROWS_A_SECOND), ..wish })?.apply(history);
    let backfill = Backfill::new(history, dispatcher(client), "demo");
    let mut job = backfill.job("the past", backfill.history().places()?);
    backfill.run(&mut job, 2, |_| ()).await?;
    screen.brought(&job.counts());
    Ok(job.counts())
}

async fn noting<T>(done: &AtomicBool, work: impl Future<Output = T>) -> T {
    let ended = work.await;
    done.store(true, Ordering::Relaxed);
    ended
}

/// The present, until all is over and the stream has nothing more: how many changes there were, and how many beside the backfill.
async fn follow(
    mut reader: BatchReader,
    client: &Client,
    [brought_all, over]: [&AtomicBool; 2],
    screen: Screen,
) -> Result<(usize, usize), BoxError> {
    let (dispatcher, mut live, mut beside) = (dispatcher(client), 0, 0);
    loop {
        let last_look = over.load(Ordering::Relaxed);
        tokio::time::sleep(POLL).await;
        let Some(batch) = reader.next().await? else {
            if last_look {
                return Ok((live, beside));
            }
            continue;
        };
        let report = dispatcher.dispatch(batch.payload.clone(), &context()).await?;
        screen.batch(&report);
        let handled = report.read - report.redelivered;
        live += handled;
        beside += if brought_all.load(Ordering::Relaxed) { 0 } else { handled };
        reader.answer(batch, &report);
    }
}

/// Whether all targets agree with the table.
async fn prove(client: &Client) -> Result<Vec<(&'static str, Report)>, BoxError> {
    let rows = async |table| TableRows::of(client, table).await;
    let replica = Verify::replica(rows(TABLE).await?, replica(client), rows(REPLICA).await?);
    let (source, target) = (rows(TABLE).await?, rows(VIEWS).await?);
    let table = || DynamoDb::new(client.clone(), VIEWS);
    Ok(vec![
        ("replica", replica.settle(SETTLE).run().await?),
        ("leaderboard", prove_view(&source, &target, views::leaderboard(table()), "ACTIVITY").await?),
        ("daily", prove_view(&source, &target, views::daily(table()), "ACTIVITY").await?),
        ("species", prove_view(&source, &target, views::species(table()), "PET").await?),
    ])
}

async fn prove_view<T: anabranch::record::FromImage>(
    source: &TableRows,
    target: &TableRows,
    view: View<T>,
    entity: &'static str,
) -> Result<Report, VerifyError> {
    let only = move |item: &Item| item.get("entityType") == Some(&text(entity));
    Verify::view(source.clone(), view, target.clone(), only).settle(SETTLE).run().await
}
