//! `anabranch redrive`: what functions failed with, handed to them again.

use std::{fs, io::Read, path::PathBuf, time::Duration};

use anabranch::{
    pattern::FilterCriteria,
    source::{
        mapping::DynamoDbStream,
        redrive::{Batch, Lost, Redrive, Redriven},
    },
};
use aws_config::SdkConfig;
use serde_json::json;

use crate::{
    BoxError,
    dev::functions::{Choice, Function, Place, is_replicate, replica},
};

/// Hand records that were given up on to their function again
///
/// Takes the failure documents of Lambda's event source mappings, as a queue, a topic or a bucket has them, what `aws sqs
/// receive-message` prints, and Anabranch's own dead letters, one after the other. Records that are not in the document are read from
/// the stream again, which keeps them for 24 hours. Credentials and region come from the environment.
///
/// Each document is handed over in its order, and left where a record fails; the exit code is 1 then, and it can be repeated.
///
/// Newer changes have been handled since. A function that keeps no trace of what was deleted meanwhile would bring it back: replicas
/// know by tombstones or by their source (SOURCE_TABLE of `replicate`), search indexes by tombstones. Where there is neither,
/// put the replica right afterwards: `anabranch verify --source TABLE --replica REPLICA --full --repair`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Failure documents and dead letters; `-` is the standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Say what would be handed over, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// The function: NAME=http://127.0.0.1:9000, NAME=in-process or NAME=aws; if there is none, the one that failed, under
    /// `cargo lambda watch`. In this process only `replicate` does its work, into TARGET_TABLE; what is gone from SOURCE_TABLE, or from
    /// the table of the stream, it does not bring back
    #[arg(long, value_name = "NAME=URL|in-process|aws")]
    function: Option<Choice>,
    /// Another DynamoDB than that of AWS
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// A filter pattern of the mapping: what none of them wants is left out
    #[arg(long = "pattern", value_name = "PATTERN")]
    patterns: Vec<String>,
    /// At most so many records at a time
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch_size: u16,
    /// Print a line of JSON for each document
    #[arg(long)]
    json: bool,
}

/// Redrives every document; true if all records were handled.
///
/// # Errors
/// A file or a pattern cannot be read.
pub(crate) async fn run(args: Args) -> Result<bool, BoxError> {
    let mut all = Vec::new();
    for file in &args.files {
        let text = read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        all.extend(Lost::read_all(&text).map_err(|error| format!("{}: {error}", file.display()))?);
    }
    let filter = FilterCriteria::parse(&args.patterns)?;
    let loader = anabranch::aws::defaults();
    let config = args.endpoint.iter().fold(loader, |loader, endpoint| loader.endpoint_url(endpoint)).load().await;
    let mut whole = true;
    for lost in &all {
        let outcome = match one(&args, &config, &filter, lost).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(error),
        };
        whole &= outcome.is_whole();
        println!("{}", if args.json { outcome.json(lost) } else { outcome.text(lost) });
    }
    Ok(whole)
}

fn read(file: &PathBuf) -> std::io::Result<String> {
    if file.as_os_str() != "-" {
        return fs::read_to_string(file);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

async fn one(args: &Args, config: &SdkConfig, filter: &FilterCriteria, lost: &Lost) -> Result<Outcome, BoxError> {
    let stream = lost.stream.clone().unwrap_or_default();
    let streams = DynamoDbStream::new(aws_sdk_dynamodbstreams::Client::new(config), stream);
    let batch = lost.batch(&streams).await?;
    let redrive = Redrive::new(function(args, config, lost).await?);
    let redrive = redrive.batch_size(args.batch_size.into()).filter(filter.clone());
    Ok(match args.dry_run {
        true => Outcome::Planned(redrive.wanted(&batch).map(ToString::to_string).collect(), batch),
        false => Outcome::Done(redrive.hand_over(&batch).await),
    })
}

async fn function(args: &Args, config: &SdkConfig, lost: &Lost) -> Result<Function, BoxError> {
    let (name, place) = match &args.function {
        Some(choice) => (choice.name.as_str(), choice.place.clone()),
        None => (name(&lost.function), Place::default()),
    };
    match place {
        Place::InProcess if is_replicate(name) => {
            let table = std::env::var("TARGET_TABLE").map_err(|_| "TARGET_TABLE is to name the replica")?;
            let source = std::env::var("SOURCE_TABLE").ok();
            let source = source.as_deref().or_else(|| lost.stream.as_deref().and_then(table_of));
            let replica = replica(config, &table, source);
            Ok(Function::replicate(name, replica.late_after(Duration::ZERO)))
        }
        Place::InProcess => Err(format!("{name} is not in this program; only replicate is").into()),
        place => Function::of(name, place).await,
    }
}

/// The name in an ARN such as `arn:aws:lambda:eu-west-1:123456789012:function:replicate:live`.
fn name(function: &str) -> &str {
    function.split(':').nth(6).unwrap_or(function)
}

/// The table in an ARN such as `arn:aws:dynamodb:eu-west-1:123456789012:table/PetTracker/stream/2026-11-21T02:40:00.000`.
fn table_of(stream: &str) -> Option<&str> {
    stream.split_once(":table/")?.1.split('/').next()
}

/// What became of a document.
enum Outcome {
    /// These would be handed over, of the records that there are.
    Planned(Vec<String>, Batch),
    Done(Redriven),
    Failed(BoxError),
}

impl Outcome {
    fn is_whole(&self) -> bool {
        match self {
            Self::Planned(..) => true,
            Self::Done(report) => report.unfinished.is_none(),
            Self::Failed(_) => false,
        }
    }

    fn text(&self, lost: &Lost) -> String {
        let place = lost.shard.as_deref().map(|shard| format!(", {shard}")).unwrap_or_default();
        let head = format!("{} ({}){place}: ", name(&lost.function), lost.reason);
        let tail = match self {
            Self::Planned(wanted, batch) => {
                let of = format!("{} of {} records would be handed over", wanted.len(), batch.len());
                wanted.iter().fold(of, |text, sequence| format!("{text}\n  {sequence}"))
            }
            Self::Done(Redriven { handled, declined, unfinished: None, .. }) => {
                format!("{handled} records handled, {declined} declined by the filter")
            }
            Self::Done(Redriven { handled, unfinished: Some(unfinished), .. }) => {
                format!("{handled} records handled; {} failed: {}", unfinished.sequence, unfinished.reason)
            }
            Self::Failed(error) => format!("not handed over: {}", chain(error.as_ref())),
        };
        head + &tail
    }

    fn json(&self, lost: &Lost) -> String {
        let mut line = json!({
            "function": lost.function, "reason": lost.reason, "stream": lost.stream, "shard": lost.shard.as_deref(),
        });
        match self {
            Self::Planned(wanted, batch) => {
                line["wouldHandOver"] = json!(wanted);
                line["records"] = json!(batch.len());
            }
            Self::Done(report) => {
                line["handled"] = json!(report.handled);
                line["declined"] = json!(report.declined);
                let unfinished = report.unfinished.as_ref();
                line["unfinished"] =
                    json!(unfinished.map(|it| json!({"sequenceNumber": it.sequence.as_str(), "reason": it.reason})));
            }
            Self::Failed(error) => line["error"] = json!(chain(error.as_ref())),
        }
        line.to_string()
    }
}

/// An error and what is behind it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, it| format!("{text}: {it}"))
}
