//! Where the notifications go, shown as they are taken.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anabranch::{
    aws,
    sink::publisher::{JsonLines, Message, PublishError, Publisher, Sns},
};
use aws_config::Region;
use aws_sdk_sns::config::Credentials;
use futures_util::{StreamExt, stream::BoxStream};

use super::{Args, show::Screen};
use crate::BoxError;

/// A file or an SNS topic, which shows and remembers what it has taken.
pub(super) struct Topic {
    publisher: Box<dyn Publisher>,
    /// Where messages go, as the demo says it.
    place: String,
    taken: Mutex<Vec<Message>>,
    screen: Screen,
}

impl Topic {
    pub(super) async fn open(args: &Args, screen: Screen) -> Result<Self, BoxError> {
        let (publisher, place): (Box<dyn Publisher>, _) = match &args.sns_endpoint {
            Some(endpoint) => {
                let arn = create(endpoint).await?;
                (Box::new(Sns::new(client(endpoint).await, &*arn)), format!("published to {arn}"))
            }
            None => {
                let file = args.notifications.clone().unwrap_or_else(file_of_this_run);
                (Box::new(lines(&file)?), format!("appended to {}, and sent to nobody", file.display()))
            }
        };
        Ok(Self { publisher, place, taken: Mutex::default(), screen })
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The texts of the messages that were taken, in the order in which they were.
    pub(super) fn texts(&self) -> Vec<String> {
        self.lock().iter().map(|message| message.body().to_owned()).collect()
    }

    fn take(&self, message: &Message) {
        self.screen.notification(message);
        self.lock().push(message.clone());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Message>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publisher for Topic {
    fn name(&self) -> &str {
        self.publisher.name()
    }

    fn publish<'a>(&'a self, messages: &'a [Message]) -> BoxStream<'a, (usize, Result<(), PublishError>)> {
        let results = self.publisher.publish(messages);
        results.inspect(|(at, result)| result.iter().for_each(|()| self.take(&messages[*at]))).boxed()
    }
}

fn lines(file: &Path) -> Result<impl Publisher + use<>, BoxError> {
    JsonLines::append(file).map_err(|error| format!("cannot append to {}: {error}", file.display()).into())
}

fn file_of_this_run() -> PathBuf {
    std::env::temp_dir().join(format!("anabranch-notifications-{}.jsonl", std::process::id()))
}

async fn create(endpoint: &str) -> Result<String, BoxError> {
    let created = client(endpoint).await.create_topic().name("PetTracker").send().await;
    let created = created.map_err(|error| format!("no topic at {endpoint}: {}", aws::AwsFailure::of(&error)))?;
    Ok(created.topic_arn.ok_or_else(|| format!("no ARN of a topic from {endpoint}"))?)
}

/// A client of a local API, which takes any credentials.
async fn client(endpoint: &str) -> aws_sdk_sns::Client {
    let config = aws::defaults()
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("demo", "demo", None, None, "demo"))
        .endpoint_url(endpoint);
    aws_sdk_sns::Client::new(&config.load().await)
}
