//! Letters to an SQS queue.

use std::sync::Arc;

use aws_sdk_sqs::{Client, operation::send_message_batch::SendMessageBatchOutput, types::SendMessageBatchRequestEntry};
use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream,
};

use super::{DeadLetter, DeadLetterError, DeadLetterSink};
use crate::aws::{self, AwsFailure};

/// Bytes that a queue takes per message unless it was told otherwise.
const DEFAULT_LIMIT: usize = 1_048_576;
/// Bytes that queues take which are older than August 2025. Beyond that records are compressed, and go alone.
const COMMON: usize = 262_144;
/// Messages that SQS takes in one request.
const ENTRIES: usize = 10;
/// Requests on their way at the same time.
const REQUESTS: usize = 4;

/// Sends every letter as one message to a standard SQS queue.
///
/// Letters travel in batches of at most 10 messages and 262,144 bytes, at most
/// 4 batches at a time. A letter over that goes with its record compressed, and
/// alone if it is still larger: up to 1,048,576 bytes, as queues have it that
/// were not told otherwise ([`limit`](Self::limit)). Throttles and 5xx answers
/// are tried again by the SDK (see [`aws::defaults`]); an entry that the queue
/// refuses within an accepted batch is that letter's error alone.
#[derive(Debug, Clone)]
pub struct Sqs {
    client: Client,
    queue: Arc<str>,
    limit: usize,
}

impl Sqs {
    /// Letters to the queue at `queue_url`, with a client of your own.
    pub fn new(client: Client, queue_url: impl Into<Arc<str>>) -> Self {
        Self { client, queue: queue_url.into(), limit: DEFAULT_LIMIT }
    }

    /// Letters to the queue at `queue_url`, with region, credentials and endpoint from the environment.
    pub async fn from_env(queue_url: impl Into<Arc<str>>) -> Self {
        Self::new(Client::new(&aws::load().await), queue_url)
    }

    /// Says how many bytes the queue's `MaximumMessageSize` allows, 1,048,576 unless said otherwise.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Sends one request, and answers with the result of each of its letters.
    async fn send_batch(&self, batch: Batch) -> Vec<(usize, Result<(), DeadLetterError>)> {
        let letters = batch.letters;
        let sent = self
            .client
            .send_message_batch()
            .queue_url(&*self.queue)
            .set_entries(Some(batch.entries))
            .send()
            .await
            .map_err(|error| self.failure(AwsFailure::of(&error)));
        let result = |at: usize| match &sent {
            Ok(answer) => self.entry(answer, at),
            Err(error) => Err(error.clone()),
        };
        letters.iter().enumerate().map(|(at, letter)| (*letter, result(at))).collect()
    }

    fn entry(&self, answer: &SendMessageBatchOutput, at: usize) -> Result<(), DeadLetterError> {
        let id = at.to_string();
        if answer.successful().iter().any(|entry| entry.id() == id) {
            return Ok(());
        }
        let refused = answer.failed().iter().find(|entry| entry.id() == id);
        let refused = refused.ok_or(DeadLetterError::Unanswered)?;
        Err(self.failure(AwsFailure::of_entry(refused.code(), refused.message())))
    }

    fn failure(&self, failure: AwsFailure) -> DeadLetterError {
        DeadLetterError::Queue { queue: Arc::clone(&self.queue), failure }
    }
}

impl DeadLetterSink for Sqs {
    fn send<'a>(&'a self, letters: &'a [DeadLetter]) -> BoxFuture<'a, Vec<Result<(), DeadLetterError>>> {
        async move {
            let mut results = vec![Err(DeadLetterError::Unanswered); letters.len()];
            let (batches, misfits) = batches(letters, self.limit);
            let sent: Vec<_> =
                stream::iter(batches).map(|batch| self.send_batch(batch)).buffer_unordered(REQUESTS).collect().await;
            for (letter, result) in sent.into_iter().flatten().chain(misfits) {
                results[letter] = result;
            }
            results
        }
        .boxed()
    }
}

/// The entries of one request, and which letter each of them is.
#[derive(Default)]
struct Batch {
    entries: Vec<SendMessageBatchRequestEntry>,
    letters: Vec<usize>,
    bytes: usize,
}

impl Batch {
    fn takes(&self, document: &str) -> bool {
        self.entries.len() < ENTRIES && self.bytes + document.len() <= COMMON
    }

    fn push(&mut self, letter: usize, document: String) {
        self.bytes += document.len();
        self.letters.push(letter);
        self.entries.push(
            SendMessageBatchRequestEntry::builder()
                .id(self.entries.len().to_string())
                .message_body(document)
                .build()
                .expect("id and body are set"),
        );
    }
}

type Misfit = (usize, Result<(), DeadLetterError>);

/// Packs letters into requests in order; those that no request can hold come back as errors.
fn batches(letters: &[DeadLetter], limit: usize) -> (Vec<Batch>, Vec<Misfit>) {
    let (mut batches, mut misfits) = (Vec::<Batch>::new(), Vec::new());
    for (index, letter) in letters.iter().enumerate() {
        let document = match letter.to_json_within(limit.min(COMMON)).or_else(|_| letter.to_json_within(limit)) {
            Ok(document) => document,
            Err(error) => {
                misfits.push((index, Err(error)));
                continue;
            }
        };
        if !batches.last().is_some_and(|batch| batch.takes(&document)) {
            batches.push(Batch::default());
        }
        let batch = batches.last_mut().expect("one was pushed");
        batch.push(index, document);
    }
    (batches, misfits)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Mutex, time::UNIX_EPOCH};

    use serde_json::{Value, json};

    use super::*;
    use crate::aws::double::{self, Answer};

    const QUEUE: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/dead";

    /// A queue with the limits of the service.
    #[derive(Default)]
    struct Queue {
        bodies: Vec<String>,
        requests: usize,
        /// Answers to give before the queue works, first to last.
        faults: Vec<Answer>,
        /// Errors of entries, by a text in their body.
        refusals: HashMap<&'static str, &'static str>,
    }

    impl Queue {
        fn answer(&mut self, operation: &str, request: &Value) -> Answer {
            assert_eq!(operation, "SendMessageBatch");
            assert_eq!(request["QueueUrl"], QUEUE);
            self.requests += 1;
            if !self.faults.is_empty() {
                return self.faults.remove(0);
            }
            let entries = request["Entries"].as_array().unwrap();
            let body = |entry: &Value| entry["MessageBody"].as_str().unwrap().to_owned();
            assert!((1..=10).contains(&entries.len()));
            let bytes: usize = entries.iter().map(|entry| body(entry).len()).sum();
            assert!(bytes <= COMMON || entries.len() == 1 && bytes <= DEFAULT_LIMIT, "{bytes} bytes in one request");
            let (mut kept, mut failed) = (Vec::new(), Vec::new());
            for entry in entries {
                match self.keep(body(entry)) {
                    Ok(()) => kept.push(json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "x"})),
                    Err("") => {}
                    Err(code) => failed.push(json!({"Id": entry["Id"], "Code": code, "SenderFault": false})),
                }
            }
            kept.reverse();
            (200, json!({"Successful": kept, "Failed": failed}))
        }

        fn keep(&mut self, body: String) -> Result<(), &'static str> {
            let refusal = self.refusals.iter().find(|(text, _)| body.contains(**text));
            match refusal {
                Some((_, code)) => Err(code),
                None => {
                    self.bodies.push(body);
                    Ok(())
                }
            }
        }
    }

    async fn sink(queue: Queue) -> (Sqs, Arc<Mutex<Queue>>) {
        let queue = Arc::new(Mutex::new(queue));
        let shared = Arc::clone(&queue);
        let answer = move |operation: &str, body| shared.lock().unwrap().answer(operation, &body);
        let client = Client::new(&double::config(answer).await);
        (Sqs::new(client, QUEUE), queue)
    }

    fn letters(records: &[&'static str]) -> Vec<DeadLetter> {
        let letter = |record: &&'static str| DeadLetter::new(*record, "why", "f", UNIX_EPOCH);
        records.iter().map(letter).collect()
    }

    #[tokio::test]
    async fn conforms() {
        let (sink, queue) = sink(Queue::default()).await;
        let read = async || {
            let queue = queue.lock().unwrap();
            let read = |body: &String| DeadLetter::from_json(body).unwrap();
            queue.bodies.iter().map(read).collect()
        };
        crate::sink::conformance::dead_letter_sink(&sink, read).await;
    }

    #[tokio::test]
    async fn each_entry_gets_its_own_result() {
        let refusals = HashMap::from([("two", "InternalError"), ("four", "")]);
        let (sink, _) = sink(Queue { refusals, ..Queue::default() }).await;
        let letters = letters(&[r#""one""#, r#""two""#, r#""three""#, r#""four""#]);
        let results = sink.send(&letters).await;
        assert!(results[0].is_ok() && results[2].is_ok());
        let refused = results[1].as_ref().unwrap_err().to_string();
        assert!(refused.contains(QUEUE) && refused.contains("InternalError"), "{refused}");
        assert!(matches!(results[3], Err(DeadLetterError::Unanswered)));
    }

    /// A record whose text cannot be compressed to less than three quarters.
    fn noise(bytes: usize) -> DeadLetter {
        let random =
            std::iter::successors(Some(1_u64), |n| Some(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1)));
        let text: String = random
            .take(bytes)
            .map(|n| {
                char::from(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[(n >> 58) as usize])
            })
            .collect();
        DeadLetter::new(format!("\"{text}\""), "why", "f", UNIX_EPOCH)
    }

    #[tokio::test]
    async fn a_large_letter_goes_compressed_and_alone() {
        let (sink, queue) = sink(Queue::default()).await;
        let letters = [noise(300), noise(200_000), noise(500_000), noise(300), noise(1_500_000)];
        let results = sink.send(&letters).await;
        let sent: Vec<_> = results.iter().map(Result::is_ok).collect();
        assert_eq!(sent, [true, true, true, true, false]);
        {
            let queue = queue.lock().unwrap();
            assert_eq!((queue.bodies.len(), queue.requests), (4, 3));
            for letter in &letters[..4] {
                assert!(queue.bodies.iter().any(|body| DeadLetter::from_json(body).unwrap().record == letter.record));
            }
        }
        let small = Sqs { limit: COMMON, ..sink };
        assert!(matches!(small.send(&letters[2..3]).await[..], [Err(DeadLetterError::TooLarge { .. })]));
    }

    #[tokio::test(start_paused = true)]
    async fn throttles_are_tried_again() {
        let throttled = double::error(400, "ThrottlingException", "slow down");
        let broken = double::error(500, "InternalFailure", "oh");
        let faults = vec![throttled, broken];
        let (sink, queue) = sink(Queue { faults, ..Queue::default() }).await;
        assert!(sink.send(&letters(&["{}"])).await[0].is_ok());
        assert_eq!(queue.lock().unwrap().requests, 3);
    }

    #[tokio::test]
    async fn a_refused_request_names_queue_code_and_request() {
        let gone = double::error(400, "QueueDoesNotExist", "no such queue");
        let (sink, _) = sink(Queue { faults: vec![gone], ..Queue::default() }).await;
        let results = sink.send(&letters(&["{}", "[]"])).await;
        assert_eq!(results.len(), 2);
        for result in results {
            assert_eq!(
                result.unwrap_err().to_string(),
                format!("queue {QUEUE}: QueueDoesNotExist: no such queue (request id REQ-1)")
            );
        }
    }
}
