//! `anabranch backfill`: what a table holds, into its replica, from this machine.

mod besides;
mod exports;
mod located;
mod store;

use std::{fmt, num::NonZeroU32, path::PathBuf, sync::Arc};

use anabranch::{
    dispatch::Dispatcher,
    record::NewImage,
    replica::{Replica, Sweep, Tombstones},
    router::Router,
    sink::{dead_letter::JsonLines, table::DynamoDb},
    source::{
        backfill::{Backfill, Counts, History, Job, Plan, TableFacts, Wish},
        export::Export,
    },
};
use aws_sdk_dynamodb::Client;
use besides::Besides;
use exports::ExportPlan;
use located::Located;
use serde::{Serialize, de::DeserializeOwned};
use store::{Begun, Store};

use crate::{BoxError, connection::Connection, interrupt::Interrupt, meter::Meter};

/// Bring what a table holds to its replica, beside live changes, with progress and a checkpoint
///
/// Reads the table in many segments side by side, and writes each row unless the replica holds a later state already, so that it
/// may run while the stream is replicated. Switch the stream and its mapping on first: changes that nobody keeps cannot be
/// brought later. Rows that were deleted meanwhile are taken back.
///
/// With --export the rows come from DynamoDB's exports instead, in S3 or downloaded, which takes nothing of the table's read
/// capacity: from the newest full export and the incremental ones since, deletions included. To fill a gap in the stream
/// with incremental exports alone, give them a generation above the replica's: --generation 1.
///
/// At the end the replica is looked through for rows of items that were deleted meanwhile, unless it keeps tombstones.
///
/// Ctrl-C keeps where every segment stands in a file; --resume goes on from there and repeats a page of each worker at
/// most. --dry-run only prints the plan, with its time and cost.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The table that is read; with --export the one that was exported, if there are exports of others beside it
    #[arg(long, required_unless_present = "export")]
    table: Option<String>,
    /// Read exports in the format DYNAMODB_JSON instead of the table: one, or all under a folder or prefix; as often as needed
    #[arg(long, value_name = "FOLDER|s3://BUCKET/PREFIX")]
    #[arg(conflicts_with_all = ["segments", "rate", "consistent", "keep_expired"])]
    export: Vec<String>,
    /// The replica that is written to: a table with the same keys
    #[arg(long, value_name = "TABLE")]
    to: String,
    /// The region of the replica, if it is another one
    #[arg(long, value_name = "REGION")]
    to_region: Option<String>,
    #[command(flatten)]
    connection: Connection,
    /// How many segments, or files of an export, are read at the same time [default: 4]
    #[arg(long)]
    workers: Option<NonZeroU32>,
    /// How many segments the table is divided into [default: some for each worker]
    #[arg(long)]
    segments: Option<NonZeroU32>,
    /// Read units a second, for all workers together [default: half of what is provisioned; no limit on demand]
    #[arg(long, value_name = "UNITS")]
    rate: Option<f64>,
    /// Rows a second, for all workers together [default: no limit]
    #[arg(long, value_name = "ROWS")]
    rows_per_second: Option<f64>,
    /// At most so many rows to a page: of smaller ones less is repeated [default: as many as fit into 1 MB]
    #[arg(long, value_name = "ROWS", conflicts_with = "export")]
    page_limit: Option<NonZeroU32>,
    /// Read consistently, at twice the price
    #[arg(long)]
    consistent: bool,
    /// Bring rows that are expired as well
    #[arg(long)]
    keep_expired: bool,
    /// The replica keeps tombstones, for so long, such as 7days; without, each row is looked up in the table again when it is written.
    /// Of exports, that has to be the table that was exported, which takes dynamodb:DescribeTable: if it is gone, keep tombstones
    #[arg(long, value_name = "TIME")]
    tombstones: Option<humantime::Duration>,
    /// Write as a later generation of the replica, above all that earlier ones have written; the function that replicates
    /// must be deployed with the same one, or its changes lose
    #[arg(long, default_value_t = 0)]
    generation: u32,
    /// Where rows that the replica refuses go, a line each; without it they hold their segment up
    #[arg(long, value_name = "FILE")]
    dead_letters: Option<PathBuf>,
    /// Where every segment stands is kept in this file [default: .anabranch/backfill-TABLE.json]
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Go on where the file says, with the same table or exports, the same replica and the same generation
    #[arg(long)]
    resume: bool,
    /// Do not look through the replica at the end for rows of items that were deleted meanwhile. They are left there if a
    /// worker was killed, or ran out of time, between writing a row and asking the table for it again. An archive of
    /// what has expired in the table wants this: what a backfill brought there would go
    #[arg(long)]
    no_sweep: bool,
    /// Print the plan, its time and its cost, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the plan and the result as JSON, a line each
    #[arg(long)]
    json: bool,
}

/// Runs to the end, or to Ctrl-C; true if nothing is left.
///
/// # Errors
/// The plan is refused, or a segment failed: the file says where all of them stand.
pub(crate) async fn run(args: Args) -> Result<bool, BoxError> {
    match &args.table {
        Some(table) if args.export.is_empty() => of_table(&args, table).await,
        _ => of_exports(&args).await,
    }
}

async fn of_table(args: &Args, table: &str) -> Result<bool, BoxError> {
    let store = args.store(table);
    let kept = args.kept(&store)?;
    let client = args.client(None).await;
    let (facts, history) = TableFacts::of(&client, table).await?;
    let plan = Plan::of(&facts, args.wish_like(kept.as_ref()))?;
    let (source, replica) = (Located::by(&client, facts), args.located().await?);
    if source.is(&replica) {
        return Err(format!(
            "table {table} would be its own replica; say --to another one, or --to-region another region"
        )
        .into());
    }
    let begun = args.begun(source.name(), &replica);
    let store = store.begun_as(begun.clone(), kept.as_ref())?;
    let TableFacts { items, bytes, .. } = source.facts;
    args.print(&plan, &Besides::of(args, &replica.facts, (items, bytes))?)?;
    if args.dry_run {
        return Ok(true);
    }
    let (history, workers) = (plan.apply(history), plan.workers as usize);
    let (places, meter) = (history.places()?, Meter::new(Some(items), args.json));
    carry_out(args, Work { table, begun, history, places, kept, store, workers }, meter).await
}

async fn of_exports(args: &Args) -> Result<bool, BoxError> {
    let replica = args.located().await?;
    let found = exports::found(args).await?;
    let store = args.store(found.first().map_or("exports", Export::table_name));
    let kept = args.kept(&store)?;
    let with = if kept.is_some() { store.exports()? } else { Vec::new() };
    let (found, others) = exports::begun_with(found, &with)?;
    let (mut plan, bridge) = ExportPlan::of(args, found)?;
    plan.leave_out(&others, bridge.until());
    let begun = args.begun(&plan.table, &replica);
    let store = store.begun_as(begun.clone(), kept.as_ref())?;
    let bytes = match args.tombstones {
        None => exports::source(&args.client(None).await, &bridge, &replica).await?.bytes,
        // Nothing of the table is read.
        Some(_) => 0,
    };
    args.print(&plan, &Besides::of(args, &replica.facts, (plan.items, bytes))?)?;
    if args.dry_run {
        return Ok(true);
    }
    let store = store.of_exports(bridge.exports().iter().map(Export::arn));
    let (history, workers) = (plan.apply(bridge.history(replica.facts.keys)), plan.workers as usize);
    let (places, meter) = (history.places(), Meter::new(Some(history.items()), args.json));
    carry_out(args, Work { table: &plan.table, begun, history, places, kept, store, workers }, meter).await
}

/// A plan with all that belongs to it.
#[derive(Serialize)]
struct Whole<'a, P> {
    #[serde(flatten)]
    plan: &'a P,
    #[serde(flatten)]
    besides: &'a Besides,
}

/// What is brought, and where it stands.
struct Work<'a, H: History> {
    table: &'a str,
    begun: Begun,
    history: H,
    places: Vec<H::Place>,
    kept: Option<Job<H::Place>>,
    store: Store,
    workers: usize,
}

/// Brings a history of a table to its replica.
async fn carry_out<H: History>(args: &Args, work: Work<'_, H>, meter: Meter) -> Result<bool, BoxError> {
    let Work { table, begun, history, places, kept, store, workers } = work;
    let mut interrupt = Interrupt::listen();
    let (reread, target) = (args.client(None).await, args.client(args.to_region.clone()).await);
    let replica = args.replica(DynamoDb::new(target.clone(), &*args.to), DynamoDb::new(reread, table));
    let dispatcher = args.dispatcher(Router::<NewImage>::new().every(replica.clone()))?;
    let backfill = Backfill::new(history, dispatcher, begun.handler).generation(begun.generation);
    let mut job = kept.unwrap_or_else(|| backfill.job(format!("backfill of {table}"), places));
    let whole = drive(&backfill, &mut job, workers, (&store, meter), &mut interrupt).await?;
    if !whole {
        eprintln!("stopped; go on with --resume: {} of {} segments are left", job.open.len(), job.segments);
        return Ok(false);
    }
    let Some(swept) = sweep(args, target, replica, &mut interrupt).await? else {
        eprintln!("stopped; go on with --resume: all rows are brought, and the replica is to be looked through");
        return Ok(false);
    };
    store.remove()?;
    args.report(&job.counts(), swept)?;
    Ok(true)
}

/// Runs the job and keeps where it stands; whether it came to its end.
async fn drive<H: History>(
    backfill: &Backfill<H>,
    job: &mut Job<H::Place>,
    workers: usize,
    (store, mut meter): (&Store, Meter),
    interrupt: &mut Interrupt,
) -> Result<bool, BoxError> {
    let mut failed = None;
    store.save(job)?;
    let work = backfill.run(job, workers, |job| {
        show(&mut meter, job);
        failed = store.save(job).err().or(failed.take());
    });
    let ended = tokio::select! {
        ended = work => Some(ended),
        () = interrupt.pressed() => None,
    };
    meter.end();
    if let Some(error) = failed {
        return Err(error.into());
    }
    match ended {
        Some(ended) => ended.map(|()| true).map_err(Into::into),
        None => Ok(false),
    }
}

fn show<P>(meter: &mut Meter, job: &Job<P>) {
    let counts = job.counts();
    let done = job.segments as usize - job.open.len();
    meter.show(counts.scanned, || format!("{:.0} read units, {done} of {} segments", counts.units, job.segments));
}

/// Takes back what was left in the replica of items that were deleted meanwhile: by a worker that was stopped, or a slice that ran out
/// of time, in this run or in one before it. Nothing if it was interrupted.
async fn sweep(
    args: &Args,
    target: Client,
    replica: Replica,
    interrupt: &mut Interrupt,
) -> Result<Option<u64>, BoxError> {
    if !args.sweeps() {
        return Ok(Some(0));
    }
    let (facts, history) = TableFacts::of(&target, &args.to).await?;
    let plan = Plan::of_sweep(&facts, args.wish())?;
    if !args.json {
        eprintln!("looking through {} for rows of items that were deleted meanwhile", args.to);
    }
    let dispatcher = Dispatcher::new(Router::<NewImage>::new().every(Sweep::new(replica)));
    let sweep = Backfill::new(plan.apply(history), dispatcher, "sweep");
    let mut job = sweep.job(format!("sweep of {}", args.to), sweep.history().places()?);
    let mut meter = Meter::new(Some(facts.items), args.json);
    let ended = tokio::select! {
        ended = sweep.run(&mut job, plan.workers as usize, |job| show(&mut meter, job)) => Some(ended?),
        () = interrupt.pressed() => None,
    };
    meter.end();
    Ok(ended.map(|()| job.counts().applied))
}

impl Args {
    async fn client(&self, region: Option<String>) -> Client {
        self.connection.client(region).await
    }

    /// The replica.
    async fn located(&self) -> Result<Located, BoxError> {
        let client = self.client(self.to_region.clone()).await;
        let (facts, _) = TableFacts::of(&client, &self.to).await?;
        Ok(Located::by(&client, facts))
    }

    fn begun(&self, source: &str, replica: &Located) -> Begun {
        Begun { handler: format!("{source} to {replica}"), generation: self.generation }
    }

    fn store(&self, table: &str) -> Store {
        Store::new(self.checkpoint.clone().unwrap_or_else(|| Store::usual(table)))
    }

    /// Where an earlier run stands, if it is to go on.
    fn kept<P: DeserializeOwned>(&self, store: &Store) -> Result<Option<Job<P>>, BoxError> {
        Ok(match self.resume {
            true => Some(store.load()?),
            false if self.dry_run => None,
            false => {
                store.must_be_new()?;
                None
            }
        })
    }

    /// What is wanted; how many segments there are stays as it was begun, unless another number is asked for, which is refused then.
    fn wish_like<P>(&self, kept: Option<&Job<P>>) -> Wish {
        let wish = self.wish();
        Wish { segments: wish.segments.or(kept.map(|job| job.segments)), ..wish }
    }

    fn wish(&self) -> Wish {
        Wish {
            workers: self.workers.map(NonZeroU32::get),
            segments: self.segments.map(NonZeroU32::get),
            rate: self.rate,
            items_per_second: self.rows_per_second,
            page_items: self.page_limit.map(NonZeroU32::get),
            consistent: self.consistent,
            keep_expired: self.keep_expired,
        }
    }

    fn dispatcher(&self, router: Router<NewImage>) -> Result<Dispatcher, BoxError> {
        Ok(match &self.dead_letters {
            Some(path) => Dispatcher::with_dead_letters(router, Arc::new(JsonLines::append(path)?)),
            None => Dispatcher::new(router),
        })
    }

    fn replica(&self, target: DynamoDb, source: DynamoDb) -> Replica {
        let replica = Replica::new(target).generation(self.generation);
        match self.tombstones {
            Some(keep) => replica.tombstones(Tombstones::keep(*keep)),
            None => replica.reread(source),
        }
    }

    /// Whether the replica is looked through at the end.
    fn sweeps(&self) -> bool {
        self.tombstones.is_none() && !self.no_sweep
    }

    fn print(&self, plan: &(impl Serialize + fmt::Display), besides: &Besides) -> Result<(), BoxError> {
        match self.json {
            true => println!("{}", serde_json::json!({ "plan": Whole { plan, besides } })),
            false => print!("{plan}{besides}"),
        }
        Ok(())
    }

    fn report(&self, counts: &Counts, swept: u64) -> Result<(), BoxError> {
        match self.json {
            true => println!("{}", serde_json::json!({ "counts": counts, "swept": swept, "ok": true })),
            false => println!("done       {counts}; {:.0} read units; {swept} rows taken back", counts.units),
        }
        Ok(())
    }
}
