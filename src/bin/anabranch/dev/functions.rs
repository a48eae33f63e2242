//! Where functions are.

use std::str::FromStr;

use anabranch::{
    dispatch::Dispatcher,
    record::{NewAndOldImages, RawImage, Record},
    replica::Replica,
    router::Router,
    sink::table::DynamoDb,
    source::mapping::{Answer, AwsFunction, InProcess, LocalFunction, Target},
};
use aws_config::SdkConfig;
use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::plan::Planned;
use crate::BoxError;

/// Where `cargo lambda watch` listens.
const WATCH: &str = "http://127.0.0.1:9000";

/// Where one function is.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) name: String,
    pub(crate) place: Place,
}

/// A place where a function may be.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    InProcess,
    Aws,
    At(String),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, place) = text.rsplit_once('=').ok_or("it is NAME=URL, NAME=in-process or NAME=aws")?;
        Ok(Self { name: name.to_owned(), place: place.parse()? })
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "in-process" => Ok(Self::InProcess),
            "aws" => Ok(Self::Aws),
            url if url.starts_with("http://") => Ok(Self::At(url.to_owned())),
            _ => Err("a function is at an http:// address, in-process, or on aws".to_owned()),
        }
    }
}

impl Default for Place {
    /// Under `cargo lambda watch`.
    fn default() -> Self {
        Self::At(WATCH.to_owned())
    }
}

/// Where all functions are.
#[derive(Clone)]
pub(super) struct Functions {
    choices: Vec<Choice>,
    config: SdkConfig,
}

/// A function, wherever it is.
pub(crate) enum Function {
    Here(Box<InProcess>),
    There(LocalFunction),
    OnAws(AwsFunction),
}

impl Functions {
    pub(super) fn new(choices: Vec<Choice>, config: SdkConfig) -> Self {
        Self { choices, config }
    }

    /// Whether there is a way to the function of a mapping.
    pub(super) async fn check(&self, planned: &Planned) -> Result<(), BoxError> {
        self.target(planned).await.map(drop)
    }

    pub(super) async fn target(&self, planned: &Planned) -> Result<Function, BoxError> {
        let chosen = self.choices.iter().find(|choice| planned.names.contains(&choice.name));
        let place = chosen.map(|choice| choice.place.clone()).unwrap_or_else(|| default_place(planned));
        let replicates = planned.names.iter().any(|name| is_replicate(name));
        let name = chosen.filter(|_| matches!(place, Place::Aws)).map_or(&planned.names[0], |choice| &choice.name);
        match place {
            Place::InProcess if replicates => {
                let table = planned.environment.get("TARGET_TABLE");
                let table = table.ok_or_else(|| format!("the function of {} has no TARGET_TABLE", planned.id))?;
                let source = planned.environment.get("SOURCE_TABLE").map(String::as_str);
                Ok(Function::replicate(name, replica(&self.config, table, source)))
            }
            place => Function::of(name, place).await,
        }
    }
}

impl Function {
    /// The function of this name; in this process, one that only looks on. AWS is where the environment says, not where the tables are.
    pub(crate) async fn of(name: &str, place: Place) -> Result<Self, BoxError> {
        Ok(match place {
            Place::At(url) => Self::There(LocalFunction::at(&url, name)?),
            Place::Aws => Self::OnAws(AwsFunction::new(&anabranch::aws::defaults().load().await, name)?),
            Place::InProcess => {
                let router = Router::<NewAndOldImages>::new().every(look_on);
                Self::Here(Box::new(InProcess::new(name, Dispatcher::new(router))))
            }
        })
    }

    /// What this program can do itself: a replica.
    pub(crate) fn replicate(name: &str, replica: Replica) -> Self {
        let router = Router::<NewAndOldImages>::new().every(replica);
        Self::Here(Box::new(InProcess::new(name, Dispatcher::new(router))))
    }
}

/// A replica that reads items of late changes again, if it knows their table.
pub(crate) fn replica(config: &SdkConfig, table: &str, source: Option<&str>) -> Replica {
    let client = aws_sdk_dynamodb::Client::new(config);
    let replica = Replica::new(DynamoDb::new(client.clone(), table));
    match source {
        Some(source) => replica.reread(DynamoDb::new(client, source)),
        None => replica,
    }
}

/// Whether this program can do the work of a function of that name itself.
pub(crate) fn is_replicate(name: &str) -> bool {
    name.eq_ignore_ascii_case("replicate")
}

/// Without a template the function is one of ours.
fn default_place(planned: &Planned) -> Place {
    if planned.id == "replicate" { Place::InProcess } else { Place::default() }
}

async fn look_on(_: Record<RawImage>) {}

impl Target for Function {
    fn invoke(&self, event: Bytes) -> BoxFuture<'_, Answer> {
        match self {
            Self::Here(function) => function.invoke(event),
            Self::There(function) => function.invoke(event),
            Self::OnAws(function) => function.invoke(event),
        }
    }
}
