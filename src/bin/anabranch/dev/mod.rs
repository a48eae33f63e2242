//! `anabranch dev`: what `template.yaml` declares, on this machine.

pub(crate) mod functions;
mod plan;
mod screen;
mod tables;

use std::{path::PathBuf, sync::Arc};

use anabranch::{
    source::mapping::{
        Checkpoints, DynamoDbStream, Ended, FileCheckpoints, FolderDestination, Mapping, MemoryCheckpoints,
        TableCheckpoints,
    },
    testing::embedded::Embedded,
};
use aws_config::SdkConfig;
use tokio::{sync::watch, task::JoinSet};

use crate::{BoxError, interrupt::interrupted};
use functions::{Choice, Functions};
use plan::{Plan, Planned};
use screen::Screen;

/// Run the event source mappings of a template on this machine, as AWS would
///
/// Reads the streams of the template's tables, filters, batches, invokes the functions, retries, bisects, and discards to a
/// folder. Tables are created in an embedded DynamoDB, unless --endpoint names another one. Functions are those of
/// `cargo lambda watch` on port 9000, unless --function says otherwise.
///
/// Ctrl-C stops it: invocations under way come to their end, and positions are saved.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The template; without one, the PetTracker tables and a `replicate` function in this process
    #[arg(long)]
    template: Option<PathBuf>,
    /// A parameter's value, in place of its default
    #[arg(
        long = "parameter",
        value_name = "NAME=VALUE",
        value_parser = crate::check::parameter,
        requires = "template"
    )]
    parameters: Vec<(String, String)>,
    /// A DynamoDB that is there already, with its tables; credentials and region come from the environment
    #[arg(long, conflicts_with = "embedded")]
    endpoint: Option<String>,
    /// An embedded DynamoDB with the template's tables, gone when this ends (the default)
    #[arg(long)]
    embedded: bool,
    /// The port of the embedded DynamoDB; 0 takes any that is free
    #[arg(long, default_value_t = 8000, conflicts_with = "endpoint")]
    port: u16,
    /// Where a function is: NAME=http://127.0.0.1:9000, NAME=in-process or NAME=aws; as often as needed
    #[arg(long = "function", value_name = "NAME=URL|in-process|aws")]
    functions: Vec<Choice>,
    /// Keeps positions in this file, or in a table (table:NAME); with an embedded DynamoDB they are gone with it
    #[arg(long, default_value = ".anabranch/checkpoints.json", value_name = "FILE|table:NAME")]
    checkpoints: String,
    /// Where failure documents go, under the keys that they would have in S3
    #[arg(long, default_value = ".anabranch/failures")]
    failures: PathBuf,
    /// Print events as JSON, a line each
    #[arg(long)]
    json: bool,
}

/// Runs until Ctrl-C, or until a mapping cannot go on; true if it was Ctrl-C.
///
/// # Errors
/// The template, the tables or a function cannot be used, or records were lost.
pub(crate) async fn run(args: Args) -> Result<bool, BoxError> {
    let plan = match &args.template {
        Some(path) => Plan::of_template(path, &args.parameters.iter().cloned().collect())?,
        None => Plan::of_pet_tracker()?,
    };
    let screen = Screen::new(args.json);
    plan.notes.iter().for_each(|note| screen.note(note));
    match &args.endpoint {
        Some(endpoint) => {
            let config = anabranch::aws::defaults().endpoint_url(endpoint).load().await;
            let checkpoints = kept(&args.checkpoints, &config)?;
            drive(&args, plan, &config, checkpoints, screen).await
        }
        None => {
            let embedded = Embedded::start_on(args.port).await?;
            tables::create(&embedded.dynamodb(), &plan.tables).await?;
            screen.note(&format!("DynamoDB is at {}: export AWS_ENDPOINT_URL={0}", embedded.endpoint()));
            screen.note("export AWS_REGION=local AWS_ACCESS_KEY_ID=embedded AWS_SECRET_ACCESS_KEY=embedded");
            let done = drive(&args, plan, embedded.sdk_config(), Arc::new(MemoryCheckpoints::default()), screen).await;
            embedded.stop().await?;
            done
        }
    }
}

/// Where positions outlive this process.
fn kept(place: &str, config: &SdkConfig) -> Result<Arc<dyn Checkpoints>, BoxError> {
    Ok(match place.strip_prefix("table:") {
        Some(table) => Arc::new(TableCheckpoints::new(aws_sdk_dynamodb::Client::new(config), table)),
        None => Arc::new(FileCheckpoints::open(place)?),
    })
}

/// All mappings side by side.
async fn drive(
    args: &Args,
    plan: Plan,
    config: &SdkConfig,
    checkpoints: Arc<dyn Checkpoints>,
    screen: Screen,
) -> Result<bool, BoxError> {
    let functions = Functions::new(args.functions.clone(), config.clone());
    let (stop, stopped) = watch::channel(false);
    let mut running = JoinSet::new();
    for planned in plan.mappings {
        functions.check(&planned).await?;
        let parts = Parts {
            config: config.clone(),
            functions: functions.clone(),
            checkpoints: checkpoints.clone(),
            failures: args.failures.clone(),
            screen: screen.clone(),
        };
        running.spawn(parts.follow(planned, stopped.clone()));
    }
    let by_hand = tokio::select! {
        interrupted = interrupted() => interrupted.map(|()| true)?,
        Some(ended) = running.join_next() => ended?.map(|()| false)?,
    };
    stop.send_replace(true);
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    screen.end();
    Ok(by_hand)
}

/// What a mapping is made of, besides its plan.
struct Parts {
    config: SdkConfig,
    functions: Functions,
    checkpoints: Arc<dyn Checkpoints>,
    failures: PathBuf,
    screen: Screen,
}

impl Parts {
    /// Follows a table's stream, and the next one when that was disabled and another took its place (ESM-56).
    async fn follow(self, planned: Planned, mut stopped: watch::Receiver<bool>) -> Result<(), BoxError> {
        let mut before: Option<String> = None;
        while !*stopped.borrow() {
            let tables = aws_sdk_dynamodb::Client::new(&self.config);
            match tables::stream_of(&tables, &planned.table).await? {
                Some(stream) if before.as_ref() != Some(&stream) => {
                    if self.map(&planned, &stream, stopped.clone()).await? == Ended::Stopped {
                        return Ok(());
                    }
                    before = Some(stream);
                }
                None if before.is_none() => return Err(format!("table {} has no stream", planned.table).into()),
                _ => {
                    let next_look = tokio::time::sleep(planned.settings.discovery_interval);
                    tokio::select! {
                        () = next_look => {}
                        _ = stopped.changed() => {}
                    }
                }
            }
        }
        Ok(())
    }

    async fn map(
        &self,
        planned: &Planned,
        stream: &str,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<Ended, BoxError> {
        let source = DynamoDbStream::new(aws_sdk_dynamodbstreams::Client::new(&self.config), stream);
        let mut mapping = Mapping::new(planned.settings.clone(), stream, source, self.functions.target(planned).await?)
            .keep(&planned.id, self.checkpoints.clone());
        if planned.settings.failure_destination {
            mapping = mapping.on_failure(FolderDestination::new(&self.failures));
        }
        let stop = async move {
            // A sender that is gone is the end as well.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let (screen, id) = (self.screen.clone(), planned.id.clone());
        Ok(mapping.run(stop, move |machine, events| screen.show(&id, machine, events)).await?)
    }
}
