//! `anabranch demo`: the main job, from a table's stream to its replica, on embedded parts.

mod compare;
mod handlers;
mod script;
mod show;

use std::{sync::Arc, time::Duration};

use anabranch::{
    dispatch::{BatchReport, Dispatcher},
    handler::{Context, Deadline},
    replica::Replica,
    router::Router,
    sink::{dead_letter::Memory, table::DynamoDb},
    source::streams::StreamReader,
    testing::embedded::{Embedded, PET_TRACKER, PET_TRACKER_REPLICA},
};
use compare::Comparison;
use handlers::Observer;
use serde_json::json;
use show::Screen;

use crate::BoxError;

/// How often the stream is asked for news: four times a second, as Lambda does (ESM-28).
const POLL: Duration = Duration::from_millis(250);
/// What a Lambda function of ours would have for a batch.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The script is long done by then.
const PATIENCE: Duration = Duration::from_secs(60);

/// Watch changes flow from a table through its stream into a replica, with no AWS account
///
/// Starts a DynamoDB with streams inside this process, plays a minute of PetTracker's life in a few seconds (inserts, modifies,
/// removes, a record that nobody can decode, a handler that fails once), reads the stream, dispatches it, and compares the
/// table with its replica. Every part is the real one, except that AWS is embedded.
///
/// Exits with 1 if a check fails.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print one JSON summary as the last line; `"ok": true` means that every check held
    #[arg(long)]
    json: bool,
}

/// What the demo adds up over its batches.
#[derive(Default)]
struct Totals {
    batches: usize,
    applied: usize,
    skipped: usize,
    dead_lettered: usize,
    redelivered: usize,
    partial_answers: usize,
}

/// Plays the demo; true if every check held.
///
/// # Errors
/// A part does not work.
pub(crate) async fn run(args: Args) -> Result<bool, BoxError> {
    let screen = Screen::new(args.json);
    let embedded = Embedded::start().await?;
    let stream = embedded.create_pet_tracker().await?;
    screen.title(&format!("{PET_TRACKER} and its stream are at {}", embedded.endpoint()));

    let (observer, letters) = (Observer::new(screen), Arc::new(Memory::default()));
    let dispatcher = dispatcher(&embedded, &observer, letters.clone());
    let mut reader = StreamReader::new(embedded.streams(), stream).batch_size(10);
    let script = tokio::spawn({
        let client = embedded.dynamodb();
        async move { script::play(client, PET_TRACKER).await }
    });
    let follow = follow(&mut reader, &dispatcher, screen, || script.is_finished());
    let totals = tokio::time::timeout(PATIENCE, follow).await.map_err(|_| "the demo does not come to an end")??;
    let changes = script.await??;

    let comparison = Comparison::of(&embedded.dynamodb(), PET_TRACKER, PET_TRACKER_REPLICA).await?;
    let checks = checks(changes, &totals, &observer, &letters, &comparison);
    let ok = checks.iter().all(|(_, held)| *held);
    screen.summary(&totals, &letters.letters(), &comparison, &checks);
    embedded.stop().await?;
    if args.json {
        println!("{}", summary(ok, changes, &totals, &comparison, &checks));
    }
    Ok(ok)
}

fn dispatcher(embedded: &Embedded, observer: &Observer, letters: Arc<Memory>) -> Dispatcher {
    let replica = DynamoDb::new(embedded.dynamodb(), PET_TRACKER_REPLICA);
    let router = Router::by_attribute("entityType")
        .every(Replica::new(replica))
        .on(observer.pets())
        .on(observer.activities())
        .ignore("USER");
    Dispatcher::with_dead_letters(router, letters)
}

/// Reads and dispatches until the script is over and the stream has nothing more.
async fn follow(
    reader: &mut StreamReader,
    dispatcher: &Dispatcher,
    screen: Screen,
    over: impl Fn() -> bool,
) -> Result<Totals, BoxError> {
    let mut totals = Totals::default();
    loop {
        let last_look = over();
        while let Some(batch) = reader.next().await? {
            let context = Context { function: "demo".into(), deadline: Deadline::after(TIMEOUT), ..Context::default() };
            let report = dispatcher.dispatch(batch.payload.clone(), &context).await?;
            screen.batch(&report);
            totals.add(&report);
            reader.answer(batch, &report);
        }
        if last_look {
            return Ok(totals);
        }
        tokio::time::sleep(POLL).await;
    }
}

impl Totals {
    fn add(&mut self, report: &BatchReport) {
        self.batches += 1;
        self.applied += report.applied;
        self.skipped += report.skipped_total();
        self.dead_lettered += report.dead_lettered;
        self.redelivered += report.redelivered;
        self.partial_answers += usize::from(report.unfinished.is_some());
    }
}

fn checks(
    changes: usize,
    totals: &Totals,
    observer: &Observer,
    letters: &Memory,
    comparison: &Comparison,
) -> Vec<(&'static str, bool)> {
    let letters = letters.letters();
    let poison = letters.iter().all(|letter| letter.reason.contains("weightKg"));
    vec![
        ("table and replica are equal", comparison.is_equal()),
        ("every change is accounted for once", totals.applied + totals.skipped + totals.dead_lettered == changes),
        ("the undecodable record, and only that, is a dead letter", letters.len() == 1 && poison),
        ("the failed record was delivered again", totals.partial_answers >= 1 && totals.redelivered >= 1),
        ("no item's changes came out of order", observer.in_order()),
    ]
}

fn summary(
    ok: bool,
    changes: usize,
    totals: &Totals,
    comparison: &Comparison,
    checks: &[(&str, bool)],
) -> serde_json::Value {
    let checks: serde_json::Map<_, _> =
        checks.iter().map(|(name, held)| ((*name).to_owned(), (*held).into())).collect();
    json!({
        "ok": ok,
        "changes": changes,
        "batches": totals.batches,
        "applied": totals.applied,
        "skipped": totals.skipped,
        "dead_lettered": totals.dead_lettered,
        "redelivered": totals.redelivered,
        "items": comparison.items,
        "differences": comparison.differences.len(),
        "checks": checks,
    })
}
