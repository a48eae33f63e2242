//! `anabranch demo`: the main job, from a table's stream to everything that is made of it, on embedded parts.

mod compare;
mod figures;
mod letters;
mod observer;
mod past;
mod script;
mod search;
mod show;
mod targets;
mod topic;
mod totals;

/// PetTracker: the sources of the `handlers` package, which itself needs this one. Cargo has no other way to share them.
#[path = "../../../../handlers/src/lib.rs"]
#[expect(dead_code, unreachable_pub, reason = "it is a library, and the demo uses a part of it")]
mod pet_tracker;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anabranch::{
    dispatch::Dispatcher,
    handler::{Context, Deadline},
    source::streams::{BatchReader, StreamBatch},
    testing::embedded::{Embedded, PET_TRACKER},
};
use letters::Letters;
use observer::Observer;
use show::Screen;
use targets::Targets;
use tokio::task::JoinHandle;
use totals::{Outcome, Totals};

use crate::BoxError;

/// How often the stream is asked for news: four times a second, as Lambda does (ESM-28).
const POLL: Duration = Duration::from_millis(250);
/// How many records a batch has at least that is delivered twice.
const WORTHWHILE: usize = 3;
/// What a Lambda function of ours would have for a batch.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The script is long done by then.
const PATIENCE: Duration = Duration::from_secs(60);

/// Watch changes flow from a table through its stream into everything that is made of them, with no AWS account
///
/// Starts a DynamoDB with streams inside this process and plays a minute of PetTracker's life in a few seconds: inserts,
/// modifies, removes, a record that nobody can decode, a handler that fails once, a batch that comes twice. Reads the stream,
/// and keeps a replica, a leaderboard, daily summaries, counts by species, notifications and search indexes. At the end it
/// compares all of them with the table. Every part is the real one, except that AWS is embedded, notifications go to a file,
/// and the search server is a double that follows the published API.
///
/// In its last act it switches the stream of another table on, which has a past, and brings that to a replica and to views by a
/// backfill, while users go on writing and deleting; then it verifies that all agree.
///
/// Exits with 1 if a check fails.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print one JSON summary as the last line; `"ok": true` means that every check held
    #[arg(long)]
    json: bool,
    /// Append the notifications to this file, one JSON line each [default: one of this run, in the temporary folder]
    #[arg(long, value_name = "FILE", conflicts_with = "sns_endpoint")]
    notifications: Option<PathBuf>,
    /// Publish the notifications by this SNS API, such as that of a moto server, to a new topic
    #[arg(long, value_name = "URL")]
    sns_endpoint: Option<String>,
    /// Keep the indexes in this OpenSearch or Elasticsearch; SEARCH_USER and SEARCH_PASSWORD sign in
    #[arg(long, value_name = "URL")]
    opensearch_url: Option<String>,
}

/// Plays the demo; true if every check held.
///
/// # Errors
/// A part does not work.
pub(crate) async fn run(args: Args) -> Result<bool, BoxError> {
    let screen = Screen::new(args.json);
    let embedded = Embedded::start().await?;
    let stream = embedded.create_pet_tracker().await?;
    let targets = Targets::start(&args, &embedded, screen).await?;
    screen.opening(embedded.endpoint(), &targets);

    let (observer, letters) = (Observer::new(screen), Arc::new(Letters::new(screen)));
    let script = tokio::spawn(script::play(embedded.dynamodb(), PET_TRACKER));
    let flow = Flow {
        reader: BatchReader::new(embedded.streams(), stream).batch_size(10),
        first: Dispatcher::with_dead_letters(observer.watch(targets.router()), letters.clone()),
        second: Dispatcher::with_dead_letters(targets.router(), letters.clone()),
        screen,
    };
    let (totals, changes) =
        tokio::time::timeout(PATIENCE, flow.follow(script)).await.map_err(|_| "the demo does not come to an end")??;

    let mut outcome = Outcome::of(&embedded, &targets, &observer, letters.letters(), totals, changes).await?;
    screen.figures_of(&outcome);
    let past = tokio::time::timeout(PATIENCE, past::play(&embedded, screen)).await;
    outcome.add(past.map_err(|_| "the demo's last act does not come to an end")??);
    screen.checks(&outcome);
    embedded.stop().await?;
    if args.json {
        screen.line(outcome.summary());
    }
    Ok(outcome.is_ok())
}

/// The stream and who reads it.
struct Flow {
    reader: BatchReader,
    /// Does everything, and shows it.
    first: Dispatcher,
    /// Gets one batch as well, when the first is done with it: Lambda delivers at least once.
    second: Dispatcher,
    screen: Screen,
}

impl Flow {
    /// Reads and dispatches until the script is over and the stream has nothing more. Answers with the number of changes, too.
    async fn follow(mut self, script: JoinHandle<Result<usize, BoxError>>) -> Result<(Totals, usize), BoxError> {
        let mut totals = Totals::default();
        loop {
            let last_look = script.is_finished();
            match self.reader.next().await? {
                Some(batch) => self.deliver(batch, &mut totals).await?,
                None if last_look => return Ok((totals, script.await??)),
                None => {}
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn deliver(&mut self, batch: StreamBatch, totals: &mut Totals) -> Result<(), BoxError> {
        let report = self.first.dispatch(batch.payload.clone(), &context()).await?;
        self.screen.batch(&report);
        totals.add(&report);
        if totals.repeated.is_none() && report.applied == report.read && report.read >= WORTHWHILE {
            let again = self.second.dispatch(batch.payload.clone(), &context()).await?;
            self.screen.repetition(&again);
            totals.repeated = Some(again);
        }
        self.reader.answer(batch, &report);
        Ok(())
    }
}

fn context() -> Context {
    Context { function: "demo".into(), deadline: Deadline::after(TIMEOUT), ..Context::default() }
}
