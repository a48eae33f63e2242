//! Where functions are.

use std::str::FromStr;

use anabranch::{
    dispatch::Dispatcher,
    record::{NewAndOldImages, RawImage, Record},
    replica::Replica,
    router::Router,
    sink::table::DynamoDb,
    source::mapping::{Answer, InProcess, LocalFunction, Target},
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
pub(super) struct Choice {
    name: String,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    InProcess,
    At(String),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, place) = text.split_once('=').ok_or("it is NAME=URL or NAME=in-process")?;
        let place = match place {
            "in-process" => Place::InProcess,
            url if url.starts_with("http://") => Place::At(url.to_owned()),
            _ => return Err("a function is at an http:// address or in-process".to_owned()),
        };
        Ok(Self { name: name.to_owned(), place })
    }
}

/// Where all functions are.
#[derive(Clone)]
pub(super) struct Functions {
    choices: Vec<Choice>,
    config: SdkConfig,
}

/// A function, wherever it is.
pub(super) enum Function {
    Here(Box<InProcess>),
    There(LocalFunction),
}

impl Functions {
    pub(super) fn new(choices: Vec<Choice>, config: SdkConfig) -> Self {
        Self { choices, config }
    }

    /// Whether there is a way to the function of a mapping.
    pub(super) fn check(&self, planned: &Planned) -> Result<(), BoxError> {
        self.target(planned).map(drop)
    }

    pub(super) fn target(&self, planned: &Planned) -> Result<Function, BoxError> {
        let chosen = self.choices.iter().find(|choice| planned.names.contains(&choice.name));
        let place = chosen.map(|choice| choice.place.clone()).unwrap_or_else(|| default_place(planned));
        Ok(match place {
            Place::At(url) => Function::There(LocalFunction::at(&url, &planned.names[0])?),
            Place::InProcess => {
                let name = planned.names[0].as_str();
                Function::Here(Box::new(InProcess::new(name, self.dispatcher(planned)?)))
            }
        })
    }

    /// What this program can do itself: `replicate`, and looking on.
    fn dispatcher(&self, planned: &Planned) -> Result<Dispatcher, BoxError> {
        if !planned.names.iter().any(|name| name.eq_ignore_ascii_case("replicate")) {
            return Ok(Dispatcher::new(Router::<NewAndOldImages>::new().every(look_on)));
        }
        let target = planned.environment.get("TARGET_TABLE");
        let target = target.ok_or_else(|| format!("the function of {} has no TARGET_TABLE", planned.id))?;
        let table = DynamoDb::new(aws_sdk_dynamodb::Client::new(&self.config), target.clone());
        Ok(Dispatcher::new(Router::<NewAndOldImages>::new().every(Replica::new(table))))
    }
}

/// Without a template the function is one of ours.
fn default_place(planned: &Planned) -> Place {
    if planned.id == "replicate" { Place::InProcess } else { Place::At(WATCH.to_owned()) }
}

async fn look_on(_: Record<RawImage>) {}

impl Target for Function {
    fn invoke(&self, event: Bytes) -> BoxFuture<'_, Answer> {
        match self {
            Self::Here(function) => function.invoke(event),
            Self::There(function) => function.invoke(event),
        }
    }
}
