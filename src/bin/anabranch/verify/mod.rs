//! `anabranch verify`: a table and its replica, compared from this machine.

mod print;

use std::{num::NonZeroU32, process::ExitCode, time::Duration};

use anabranch::{
    replica::{Replica, Shape, Tombstones},
    sink::table::DynamoDb,
    source::backfill::{
        Plan, TableFacts, Wish,
        verify::{DEFAULT_SETTLE, Event, Extent, Report, TableRows, Verify, VerifyPlan},
    },
};
use aws_sdk_dynamodb::Client;
use print::Printer;

use crate::{BoxError, connection::Connection, interrupt::interrupted, reading::positive};

/// So many items are compared, unless all are.
const SAMPLE: u64 = 1_000;
/// Nobody knows whether the two are equal.
const UNKNOWN: u8 = 2;

/// Compare a table with its replica, beside live changes, and put right what differs
///
/// Looks both ways: from items to rows, and from rows to items, so that it finds what is missing, different, and left over. A
/// difference counts if it is still there when it was looked at again, consistently, after a while in which the
/// replica did not move: what is on its way is none. Reads a sample unless it is told --full.
///
/// Exits with 0 if the two are equal or all was put right, with 1 if they differ, with 2 if it could not tell. For views there is the
/// library: `anabranch::source::backfill::verify`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The table
    #[arg(long, value_name = "TABLE", alias = "table")]
    source: String,
    /// Its replica: a table with the same keys
    #[arg(long, value_name = "TABLE", alias = "to")]
    replica: String,
    /// The region of the replica, if it is another one
    #[arg(long, value_name = "REGION", alias = "to-region")]
    replica_region: Option<String>,
    #[command(flatten)]
    connection: Connection,
    /// Compare about so many items and as many rows, from places that chance has chosen [default: 1000]
    #[arg(long, value_name = "ITEMS", conflicts_with = "full")]
    sample: Option<u64>,
    /// Compare all items and all rows
    #[arg(long)]
    full: bool,
    /// Put right what differs, so that no later change is lost
    #[arg(long)]
    repair: bool,
    /// An attribute that the replica leaves out; may be given several times
    #[arg(long, value_name = "ATTRIBUTE")]
    drop: Vec<String>,
    /// The attribute that holds the versions of rows [default: anabranchVersion]
    #[arg(long, value_name = "ATTRIBUTE", conflicts_with = "plain")]
    version_attribute: Option<String>,
    /// The replica is plain: its rows carry no versions, and cannot be put right
    #[arg(long, conflicts_with = "repair")]
    plain: bool,
    /// The replica keeps tombstones for so long, such as 7d: a row that is taken away leaves one
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    tombstones: Option<Duration>,
    /// How long a difference has to stay: longer than the replica lags behind [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    settle: Option<Duration>,
    /// How many segments are read at the same time [default: 4]
    #[arg(long)]
    workers: Option<NonZeroU32>,
    /// How many segments each table is divided into [default: some for each worker]
    #[arg(long)]
    segments: Option<NonZeroU32>,
    /// Read units a second, of both tables together [default: half of what is provisioned; no limit on demand]
    #[arg(long, value_name = "UNITS", value_parser = positive)]
    rate: Option<f64>,
    /// Compare items that are expired as well
    #[arg(long)]
    keep_expired: bool,
    /// Show the keys of what differs: they are your users' data
    #[arg(long)]
    keys: bool,
    /// Print what would be read, its time and its cost, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the plan, each difference and the result as JSON, a line each
    #[arg(long)]
    json: bool,
}

/// Compares to the end, or to Ctrl-C.
pub(crate) async fn run(args: Args) -> ExitCode {
    match compare(&args).await {
        Ok(Some(true)) => ExitCode::SUCCESS,
        Ok(Some(false)) => ExitCode::FAILURE,
        Ok(None) => ExitCode::from(UNKNOWN),
        Err(error) => {
            crate::explain(error.as_ref());
            ExitCode::from(UNKNOWN)
        }
    }
}

/// Whether the two are equal; nothing if that was not found out.
async fn compare(args: &Args) -> Result<Option<bool>, BoxError> {
    let source = args.connection.client(None).await;
    let target = args.connection.client(args.replica_region.clone()).await;
    let (from, source_rows) = args.table(&source, &args.source).await?;
    let (to, target_rows) = args.table(&target, &args.replica).await?;
    let rate = args.rate.into_iter().chain(from.1.rate).chain(to.1.rate).reduce(f64::min);
    let plan = VerifyPlan::of([&from.0, &to.0], [&from.1, &to.1], args.extent(), rate);
    let mut printer = Printer::new(args.json, args.keys, plan.items + plan.rows);
    printer.plan(&plan);
    if args.dry_run {
        return Ok(Some(true));
    }
    let replica = args.replica_of(DynamoDb::new(target, &*args.replica));
    let mut verify = Verify::replica(source_rows, replica, target_rows).settle(args.settle.unwrap_or(DEFAULT_SETTLE));
    if let Extent::Sample(items) = args.extent() {
        verify = verify.sample(items);
    }
    if let Some(rate) = rate {
        verify = verify.rate(rate);
    }
    if let Some(attribute) = from.1.expiry {
        verify = verify.skip_expired(attribute);
    }
    if args.repair {
        verify = verify.repairing();
    }
    watch(&verify, &mut printer).await
}

/// Compares, and tells as it goes; nothing if it was stopped.
async fn watch(verify: &Verify, printer: &mut Printer) -> Result<Option<bool>, BoxError> {
    let mut last = Report::default();
    let work = verify.run_observed(|event| match event {
        Event::Page(report) => {
            last = report.clone();
            printer.page(report);
        }
        Event::Found(finding) => printer.found(finding),
    });
    let ended = tokio::select! {
        ended = work => Some(ended),
        interrupted = interrupted() => interrupted.map(|()| None)?,
    };
    match ended {
        Some(report) => {
            let report = report?;
            printer.end(&report);
            Ok(Some(report.is_equal()))
        }
        None => {
            printer.stopped(&last);
            Ok(None)
        }
    }
}

impl Args {
    fn extent(&self) -> Extent {
        if self.full { Extent::Full } else { Extent::Sample(self.sample.unwrap_or(SAMPLE)) }
    }

    /// What a table is, how it is read, and its rows.
    async fn table(&self, client: &Client, table: &str) -> Result<((TableFacts, Plan), TableRows), BoxError> {
        let (facts, _) = TableFacts::of(client, table).await?;
        let plan = Plan::of_reading(&facts, self.wish())?;
        let rows = TableRows::of(client, table).await?.planned(&plan);
        Ok(((facts, plan), rows))
    }

    fn wish(&self) -> Wish {
        Wish {
            workers: self.workers.map(NonZeroU32::get),
            segments: self.segments.map(NonZeroU32::get),
            rate: self.rate,
            keep_expired: self.keep_expired,
            ..Wish::default()
        }
    }

    fn replica_of(&self, table: DynamoDb) -> Replica {
        let mut replica = if self.plain { Replica::plain(table) } else { Replica::new(table) };
        if let Some(name) = &self.version_attribute {
            replica = replica.version_attribute(&**name);
        }
        if let Some(keep) = self.tombstones {
            replica = replica.tombstones(Tombstones::keep(keep));
        }
        replica.shape(self.drop.iter().fold(Shape::new(), Shape::drop))
    }
}
