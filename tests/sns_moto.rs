//! The SNS adapter against a real SNS API, such as moto's:
//!
//! ```text
//! pip install 'moto[server]'
//! moto_server -H 127.0.0.1 -p 5555 &
//! ANABRANCH_TEST_SNS_ENDPOINT=http://127.0.0.1:5555 cargo test --features sns,sqs,testing --test sns_moto
//! ```
//!
//! It is not part of a plain `cargo test`, since it fails without that server, which must offer SQS as well: that is where
//! the messages are looked for.

use std::sync::Mutex;

use anabranch::{
    aws,
    sink::{
        conformance,
        publisher::{Attribute, Message, PublishError, Publisher, Sns},
    },
};
use aws_config::{Region, SdkConfig};
use aws_sdk_sns::config::Credentials;
use futures_util::StreamExt;
use serde_json::Value;

const ENDPOINT: &str = "ANABRANCH_TEST_SNS_ENDPOINT";

/// A topic, and a queue that has subscribed to it.
struct Topic {
    config: SdkConfig,
    arn: String,
    queue: String,
    received: Mutex<Vec<Message>>,
}

async fn config() -> SdkConfig {
    let endpoint = std::env::var(ENDPOINT)
        .unwrap_or_else(|_| panic!("{ENDPOINT} must hold the address of an SNS API, such as http://127.0.0.1:5555"));
    aws::defaults()
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .load()
        .await
}

impl Topic {
    async fn new(name: &str) -> Self {
        let config = config().await;
        let (sns, sqs) = (aws_sdk_sns::Client::new(&config), aws_sdk_sqs::Client::new(&config));
        let name = format!("test-{}-{name}", std::process::id());
        let (mut topic, mut queue) = (sns.create_topic().name(&name), sqs.create_queue().queue_name(&name));
        if name.ends_with(".fifo") {
            topic = topic.attributes("FifoTopic", "true");
            queue = queue.attributes(aws_sdk_sqs::types::QueueAttributeName::FifoQueue, "true");
        }
        let arn = topic.send().await.expect("a new topic").topic_arn.expect("its ARN");
        let queue = queue.send().await.expect("a new queue").queue_url.expect("its address");
        let subscribe = sns.subscribe().topic_arn(&arn).protocol("sqs");
        subscribe.endpoint(arn.replace(":sns:", ":sqs:")).send().await.expect("a subscription");
        Self { config, arn, queue, received: Mutex::default() }
    }

    fn publisher(&self) -> Sns {
        Sns::new(aws_sdk_sns::Client::new(&self.config), &*self.arn)
    }

    /// Everything that has arrived since the topic was created.
    async fn messages(&self) -> Vec<Message> {
        let sqs = aws_sdk_sqs::Client::new(&self.config);
        let name = aws_sdk_sqs::types::MessageSystemAttributeName::All;
        loop {
            let receive = sqs.receive_message().queue_url(&self.queue).max_number_of_messages(10);
            let page = receive.message_system_attribute_names(name.clone()).send().await.expect("a page of messages");
            if page.messages().is_empty() {
                return self.received.lock().unwrap().clone();
            }
            for message in page.messages() {
                self.received.lock().unwrap().push(read(message));
                let delete = sqs.delete_message().queue_url(&self.queue);
                delete.set_receipt_handle(message.receipt_handle.clone()).send().await.expect("a message less");
            }
        }
    }
}

fn read(received: &aws_sdk_sqs::types::Message) -> Message {
    let envelope: Value = serde_json::from_str(received.body().expect("a body")).expect("an SNS envelope");
    let mut message = Message::new(envelope["Message"].as_str().expect("a text"));
    if let Some(subject) = envelope["Subject"].as_str() {
        message = message.subject(subject);
    }
    for (name, attribute) in envelope["MessageAttributes"].as_object().into_iter().flatten() {
        let value = attribute["Value"].as_str().expect("a value").to_owned();
        message = message.attribute(
            name,
            match attribute["Type"].as_str() {
                Some("Number") => Attribute::Number(value),
                Some("String.Array") => Attribute::Strings(serde_json::from_str(&value).expect("texts")),
                _ => Attribute::String(value),
            },
        );
    }
    let system = received.attributes().expect("system attributes");
    let attribute = |name| system.get(&name).cloned();
    if let Some(group) = attribute(aws_sdk_sqs::types::MessageSystemAttributeName::MessageGroupId) {
        message = message.group(group);
    }
    if let Some(id) = attribute(aws_sdk_sqs::types::MessageSystemAttributeName::MessageDeduplicationId) {
        message = message.deduplication_id(id);
    }
    message
}

#[tokio::test]
async fn a_fifo_topic_conforms() {
    let topic = Topic::new("conforms.fifo").await;
    conformance::publisher(&topic.publisher(), async || topic.messages().await).await;
}

#[tokio::test]
async fn a_standard_topic_takes_batches() {
    let topic = Topic::new("standard").await;
    let messages: Vec<_> = (0..25).map(|at| Message::new(at.to_string()).attribute("at", at)).collect();
    let results: Vec<_> = topic.publisher().publish(&messages).collect().await;
    assert!(results.len() == 25 && results.iter().all(|(_, result)| result.is_ok()), "{results:?}");
    let mut received = topic.messages().await;
    received.sort_by_key(|message| message.body().parse::<usize>().expect("a number"));
    assert_eq!(received, messages);
}

#[tokio::test]
async fn a_fifo_topic_takes_an_id_once() {
    let topic = Topic::new("once.fifo").await;
    let message = Message::new("once").group("g").deduplication_id("once").attribute("case", "once");
    for _ in 0..2 {
        let results: Vec<_> = topic.publisher().publish(std::slice::from_ref(&message)).collect().await;
        assert!(matches!(results[..], [(0, Ok(()))]), "{results:?}");
    }
    let received = topic.messages().await;
    assert_eq!(received.iter().filter(|received| **received == message).count(), 1);
}

#[tokio::test]
async fn a_missing_topic_is_a_retry_that_names_the_remedy() {
    let config = config().await;
    let missing = "arn:aws:sns:us-east-1:123456789012:no-such-topic";
    let sns = Sns::new(aws_sdk_sns::Client::new(&config), missing);
    let messages = [Message::new("hi")];
    let (_, result) = sns.publish(&messages).next().await.expect("a result");
    let error = result.unwrap_err();
    assert!(matches!(error, PublishError::NoSuchTopic { .. }) && !error.is_reject(), "{error:?}");
    assert!(error.to_string().contains(missing), "{error}");
}
