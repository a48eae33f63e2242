//! Messages to an SNS topic.

mod draft;
mod error;
mod schedule;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use aws_sdk_sns::{
    Client,
    operation::publish_batch::PublishBatchOutput,
    types::{BatchResultErrorEntry, PublishBatchRequestEntry},
};
use draft::Draft;
use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream::{self, BoxStream, FuturesUnordered},
};
use schedule::Schedule;

use super::{Message, PublishError, Publisher};
use crate::aws::{self, AwsFailure};

/// Messages that SNS takes in one request.
const ENTRIES: usize = 10;
/// Bytes that a topic takes in one message, and in one request, unless it was told otherwise.
const DEFAULT_LIMIT: usize = 262_144;
/// Requests on their way at the same time.
const REQUESTS: usize = 8;

/// Publishes to an SNS topic with `PublishBatch`: at most 10 messages and 262,144 bytes (texts, subjects and attributes
/// together) in a request, at most 8 requests at a time. A topic whose `MaximumMessageSize` was raised takes
/// [more](Self::limit).
///
/// A topic is FIFO if its ARN ends with `.fifo`. There a message's [group](Message::group) is its `MessageGroupId`, and no
/// request holds two messages of one group: if the first of them failed, the second would overtake it. A message without a
/// group or an id for deduplication is rejected. On a standard topic, which keeps no order itself, the messages of a group
/// may share a request, but not be in two requests at once; neither group nor id is sent.
///
/// Throttles and 5xx answers are tried again by the SDK (see [`aws::defaults`]). An entry that the topic refuses within an
/// accepted request is that message's error alone. If a request is refused as a whole, it is halved until the message that
/// does not fit is found.
#[derive(Debug, Clone)]
pub struct Sns {
    client: Client,
    topic: Arc<str>,
    limit: usize,
}

type Results = Vec<(usize, Result<(), PublishError>)>;

impl Sns {
    /// Messages to the topic of this ARN, with a client of your own.
    pub fn new(client: Client, topic_arn: impl Into<Arc<str>>) -> Self {
        Self { client, topic: topic_arn.into(), limit: DEFAULT_LIMIT }
    }

    /// Messages to the topic of this ARN, with region, credentials and endpoint from the environment.
    pub async fn from_env(topic_arn: impl Into<Arc<str>>) -> Self {
        Self::new(Client::new(&aws::load().await), topic_arn)
    }

    /// Says how many bytes the topic's `MaximumMessageSize` allows: 262,144 unless it was raised, 1,048,576 at most.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    fn is_fifo(&self) -> bool {
        self.topic.ends_with(".fifo")
    }

    /// Sends one request, or its halves if it is refused as a whole: the one message that does not fit spares the others.
    async fn send(&self, request: Vec<(usize, PublishBatchRequestEntry)>) -> Results {
        let (mut parts, mut results) = (vec![request], Vec::new());
        while let Some(mut part) = parts.pop() {
            let entries = part.iter().map(|(_, entry)| entry.clone()).collect();
            let sent =
                self.client.publish_batch().topic_arn(&*self.topic).set_publish_batch_request_entries(Some(entries));
            let sent = sent.send().await.map_err(|error| error::of_request(&self.topic, AwsFailure::of(&error)));
            match sent {
                Ok(answer) => results.extend(self.results(&part, &answer)),
                Err(error) if error.is_reject() && part.len() > 1 => {
                    parts.push(part.split_off(part.len() / 2));
                    parts.push(part);
                }
                Err(error) => results.extend(part.iter().map(|(message, _)| (*message, Err(error.clone())))),
            }
        }
        results
    }

    fn results(&self, part: &[(usize, PublishBatchRequestEntry)], answer: &PublishBatchOutput) -> Results {
        let taken = answer.successful().iter().filter_map(|entry| Some((entry.id()?, Ok(()))));
        let refused = answer.failed().iter().map(|entry| (entry.id(), Err(entry)));
        let answers: HashMap<&str, Result<(), &BatchResultErrorEntry>> = taken.chain(refused).collect();
        let result = |entry: &PublishBatchRequestEntry| match answers.get(entry.id()) {
            Some(Ok(())) => Ok(()),
            Some(Err(refused)) => Err(error::of_entry(&self.topic, refused)),
            None => Err(PublishError::Unanswered { topic: Arc::clone(&self.topic) }),
        };
        part.iter().map(|(message, entry)| (*message, result(entry))).collect()
    }
}

impl Publisher for Sns {
    fn name(&self) -> &str {
        &self.topic
    }

    fn publish<'a>(&'a self, messages: &'a [Message]) -> BoxStream<'a, (usize, Result<(), PublishError>)> {
        let (fifo, limit) = (self.is_fifo(), self.limit);
        let drafts = messages.iter().map(|message| Draft::of(message, &self.topic, fifo, limit)).collect();
        let run = Run {
            sns: self,
            schedule: Schedule::new(drafts, fifo, limit),
            answers: VecDeque::new(),
            under_way: FuturesUnordered::new(),
            halted: false,
        };
        stream::unfold(run, Run::next).boxed()
    }
}

/// One call of `publish` under way.
struct Run<'a> {
    sns: &'a Sns,
    schedule: Schedule<'a>,
    answers: VecDeque<(usize, Result<(), PublishError>)>,
    under_way: FuturesUnordered<BoxFuture<'a, Results>>,
    /// A failure that a repetition may mend: nothing further is started.
    halted: bool,
}

impl Run<'_> {
    async fn next(mut self) -> Option<((usize, Result<(), PublishError>), Self)> {
        loop {
            self.start();
            if let Some(answer) = self.answers.pop_front() {
                return Some((answer, self));
            }
            let results = self.under_way.next().await?;
            self.halted |= results.iter().any(|(_, result)| result.as_ref().is_err_and(|error| !error.is_reject()));
            self.schedule.landed(&results);
            self.answers.extend(results);
        }
    }

    fn start(&mut self) {
        while !self.halted && self.under_way.len() < REQUESTS {
            let request = self.schedule.request(&mut self.answers);
            if request.is_empty() {
                break;
            }
            self.under_way.push(self.sns.send(request).boxed());
        }
    }
}

#[cfg(test)]
mod tests;
