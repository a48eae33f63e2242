//! A queue.

use aws_sdk_sqs::Client;
use futures_util::future::{BoxFuture, FutureExt};

use crate::{
    aws::AwsFailure,
    source::mapping::{BoxError, Destination, FailureRecord},
};

/// Sends each failure to an SQS queue, as a document that names its records (ESM-47). The queue must not be FIFO (ESM-49).
#[derive(Debug, Clone)]
pub struct SqsDestination {
    client: Client,
    queue: String,
}

impl SqsDestination {
    /// The queue of this URL.
    pub fn new(client: Client, queue_url: impl Into<String>) -> Self {
        Self { client, queue: queue_url.into() }
    }
}

impl Destination for SqsDestination {
    fn deliver<'a>(&'a self, failure: &'a FailureRecord) -> BoxFuture<'a, Result<(), BoxError>> {
        let send = self.client.send_message().queue_url(&self.queue).message_body(failure.document());
        async { send.send().await.map(drop).map_err(|error| AwsFailure::of(&error).into()) }.boxed()
    }
}
