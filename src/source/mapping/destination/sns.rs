//! A topic.

use aws_sdk_sns::Client;
use futures_util::future::{BoxFuture, FutureExt};

use crate::{
    aws::AwsFailure,
    source::mapping::{BoxError, Destination, FailureRecord},
};

/// Publishes each failure to an SNS topic, as a document that names its records (ESM-47). The topic must not be FIFO
/// (ESM-49).
#[derive(Debug, Clone)]
pub struct SnsDestination {
    client: Client,
    topic: String,
}

impl SnsDestination {
    /// The topic of this ARN.
    pub fn new(client: Client, topic_arn: impl Into<String>) -> Self {
        Self { client, topic: topic_arn.into() }
    }
}

impl Destination for SnsDestination {
    fn deliver<'a>(&'a self, failure: &'a FailureRecord) -> BoxFuture<'a, Result<(), BoxError>> {
        let publish = self.client.publish().topic_arn(&self.topic).message(failure.document());
        async { publish.send().await.map(drop).map_err(|error| AwsFailure::of(&error).into()) }.boxed()
    }
}
