//! The SQS adapter against a real SQS API, such as moto's:
//!
//! ```text
//! pip install 'moto[server]'
//! moto_server -H 127.0.0.1 -p 5555 &
//! ANABRANCH_TEST_SQS_ENDPOINT=http://127.0.0.1:5555 cargo test --features sqs,testing --test sqs_moto
//! ```
//!
//! It is not part of a plain `cargo test`, since it fails without that server.

use std::sync::Mutex;

use anabranch::{
    aws,
    sink::{
        conformance,
        dead_letter::{DeadLetter, Sqs},
    },
};
use aws_config::Region;
use aws_sdk_sqs::{Client, config::Credentials};

const ENDPOINT: &str = "ANABRANCH_TEST_SQS_ENDPOINT";

async fn client() -> Client {
    let endpoint = std::env::var(ENDPOINT)
        .unwrap_or_else(|_| panic!("{ENDPOINT} must hold the address of an SQS API, such as http://127.0.0.1:5555"));
    let config = aws::defaults()
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .load()
        .await;
    Client::new(&config)
}

async fn new_queue(client: &Client) -> String {
    let name = format!("dead-letters-{}", std::process::id());
    let queue = client.create_queue().queue_name(name).send().await.expect("a new queue");
    queue.queue_url.expect("its address")
}

/// Takes everything out of the queue.
async fn drain(client: &Client, queue: &str) -> Vec<DeadLetter> {
    let mut letters = Vec::new();
    loop {
        let receive = client.receive_message().queue_url(queue).max_number_of_messages(10);
        let page = receive.send().await.expect("a page of messages");
        if page.messages().is_empty() {
            return letters;
        }
        for message in page.messages() {
            let body = message.body().expect("a body");
            letters.push(DeadLetter::from_json(body).expect("a letter"));
            let delete = client.delete_message().queue_url(queue).set_receipt_handle(message.receipt_handle.clone());
            delete.send().await.expect("a message less");
        }
    }
}

#[tokio::test]
async fn conforms() {
    let client = client().await;
    let queue = new_queue(&client).await;
    let kept = Mutex::new(Vec::new());
    let read = async || {
        let fresh = drain(&client, &queue).await;
        let mut kept = kept.lock().unwrap();
        kept.extend(fresh);
        kept.clone()
    };
    let sink = Sqs::new(client.clone(), &*queue);
    conformance::dead_letter_sink(&sink, read).await;
    client.delete_queue().queue_url(queue).send().await.unwrap();
}

#[tokio::test]
async fn a_missing_queue_is_named() {
    use anabranch::sink::dead_letter::DeadLetterSink;
    let client = client().await;
    let existing = new_queue(&client).await;
    let missing = existing.replace("dead-letters", "no-such-queue");
    let letter = DeadLetter::new("{}", "why", "f", std::time::UNIX_EPOCH);
    let results = Sqs::new(client, &*missing).send(&[letter]).await;
    let error = results[0].as_ref().unwrap_err().to_string();
    assert!(error.contains(&missing), "{error}");
    assert!(error.contains("NonExistentQueue") || error.contains("QueueDoesNotExist"), "{error}");
}
