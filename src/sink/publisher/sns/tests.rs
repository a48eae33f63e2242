//! The adapter against a topic with the limits of the service, played in process.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    error::Error,
    sync::Mutex,
};

use super::*;
use crate::{aws::double, sink::publisher::Attribute};

const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:pets";
const FIFO: &str = "arn:aws:sns:eu-central-1:123456789012:pets.fifo";

/// A topic with the limits of the service.
#[derive(Default)]
struct Topic {
    taken: Vec<Message>,
    /// `MaximumMessageSize`, if it was raised.
    limit: Option<usize>,
    /// Bodies of each request.
    requests: Vec<Vec<String>>,
    /// Answers to give before the topic works, first to last: code, status and message.
    faults: Vec<(u16, &'static str, &'static str)>,
    /// Codes of entries, and whether they are the sender's fault, by a text in the body.
    refusals: HashMap<&'static str, (&'static str, bool)>,
}

type Fields<'f> = BTreeMap<&'f str, &'f str>;

impl Topic {
    fn answer(&mut self, form: &[(String, String)]) -> (u16, String) {
        let fields: Fields<'_> = form.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(fields["Action"], "PublishBatch");
        let fifo = fields["TopicArn"] == FIFO;
        let entries: Vec<_> = (1..).map_while(|place| Entry::read(&fields, place, fifo)).collect();
        self.requests.push(entries.iter().map(|entry| entry.message.body().to_owned()).collect());
        if !self.faults.is_empty() {
            let (status, code, message) = self.faults.remove(0);
            return (status, error_answer(code, message));
        }
        assert!((1..=10).contains(&entries.len()), "{} entries", entries.len());
        assert_eq!(entries.iter().map(|entry| &entry.id).collect::<HashSet<_>>().len(), entries.len());
        let bytes: usize = entries.iter().map(|entry| entry.bytes).sum();
        assert!(bytes <= self.limit.unwrap_or(262_144), "{bytes} bytes in one request");
        if entries.iter().any(|entry| entry.message.body().contains("poison")) {
            return (400, error_answer("InvalidParameter", "Invalid parameter: Message"));
        }
        (200, self.take(entries))
    }

    fn take(&mut self, entries: Vec<Entry>) -> String {
        let (mut successful, mut failed) = (String::new(), String::new());
        for Entry { id, message, .. } in entries.into_iter().rev() {
            let refusal = self.refusals.iter().find(|(text, _)| message.body().contains(**text));
            match refusal {
                None => successful += &format!("<member><Id>{id}</Id><MessageId>m</MessageId></member>"),
                Some((_, ("", _))) => {}
                Some((_, (code, fault))) => {
                    failed += &format!(
                        "<member><Id>{id}</Id><Code>{code}</Code><Message>no</Message><SenderFault>{fault}</SenderFault></member>"
                    );
                }
            }
            if refusal.is_none() {
                self.taken.push(message);
            }
        }
        let result = format!("<Successful>{successful}</Successful><Failed>{failed}</Failed>");
        format!(
            "<PublishBatchResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishBatchResult>{result}\
             </PublishBatchResult><ResponseMetadata><RequestId>R</RequestId></ResponseMetadata></PublishBatchResponse>"
        )
    }
}

fn error_answer(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>R</RequestId></ErrorResponse>"
    )
}

struct Entry {
    id: String,
    message: Message,
    bytes: usize,
}

impl Entry {
    fn read(fields: &Fields<'_>, place: usize, fifo: bool) -> Option<Self> {
        let prefix = format!("PublishBatchRequestEntries.member.{place}");
        let field = |name: &str| fields.get(&*format!("{prefix}.{name}")).map(|value| (*value).to_owned());
        let mut message = Message::new(field("Message")?);
        let mut bytes = message.body().len();
        if let Some(subject) = field("Subject") {
            message = message.subject(subject);
        }
        for at in 1.. {
            let part = |part: &str| field(&format!("MessageAttributes.entry.{at}.{part}"));
            let Some(name) = part("Name") else { break };
            let (kind, value) = (part("Value.DataType")?, part("Value.StringValue")?);
            bytes += name.len() + kind.len() + value.len();
            message = message.attribute(name, attribute(&kind, value));
        }
        let (group, id) = (field("MessageGroupId"), field("MessageDeduplicationId"));
        assert_eq!((group.is_some(), id.is_some()), (fifo, fifo), "sent to FIFO topics only");
        if let (Some(group), Some(id)) = (group, id) {
            message = message.group(group).deduplication_id(id);
        }
        Some(Self { id: field("Id")?, message, bytes })
    }
}

fn attribute(kind: &str, value: String) -> Attribute {
    match kind {
        "String" => Attribute::String(value),
        "Number" => Attribute::Number(value),
        "String.Array" => Attribute::Strings(serde_json::from_str(&value).unwrap()),
        other => panic!("no such type: {other}"),
    }
}

async fn publisher(arn: &str, topic: Topic) -> (Sns, Arc<Mutex<Topic>>) {
    let topic = Arc::new(Mutex::new(topic));
    let shared = Arc::clone(&topic);
    let config = double::query_config(move |form| shared.lock().unwrap().answer(form)).await;
    (Sns::new(Client::new(&config), arn), topic)
}

fn messages(bodies: &[&str]) -> Vec<Message> {
    let message = |body: &&str| Message::new(*body).group(body.replace(char::is_numeric, "")).deduplication_id(*body);
    bodies.iter().map(message).collect()
}

/// Results by message, as their kind.
async fn publish(sns: &Sns, messages: &[Message]) -> BTreeMap<usize, &'static str> {
    let kind = |result| match result {
        Ok(()) => "ok",
        Err(PublishError::Unanswered { .. }) => "unanswered",
        Err(error) if error.is_reject() => "reject",
        Err(_) => "retry",
    };
    sns.publish(messages).map(|(at, result)| (at, kind(result))).collect().await
}

#[tokio::test]
async fn a_fifo_topic_conforms() {
    let (sns, topic) = publisher(FIFO, Topic::default()).await;
    crate::sink::conformance::publisher(&sns, async || topic.lock().unwrap().taken.clone()).await;
}

#[tokio::test]
async fn ten_messages_are_one_request() {
    let bodies: Vec<_> = (0..1000).map(|at| format!("{at}x")).collect();
    for arn in [TOPIC, FIFO] {
        let (sns, topic) = publisher(arn, Topic::default()).await;
        let messages: Vec<_> =
            bodies.iter().map(|body| Message::new(body).group(body).deduplication_id(body)).collect();
        assert!(publish(&sns, &messages).await.values().all(|result| *result == "ok"));
        assert_eq!(topic.lock().unwrap().requests.len(), 100);
    }
}

#[tokio::test]
async fn a_group_shares_a_request_only_where_there_is_no_order_to_lose() {
    for (arn, requests) in [(TOPIC, vec!["a1 a2 a3 b1"]), (FIFO, vec!["a1 b1", "a2", "a3"])] {
        let (sns, topic) = publisher(arn, Topic::default()).await;
        assert_eq!(publish(&sns, &messages(&["a1", "a2", "b1", "a3"])).await.len(), 4);
        let sent: Vec<_> = topic.lock().unwrap().requests.iter().map(|bodies| bodies.join(" ")).collect();
        assert_eq!(sent, requests);
    }
}

#[tokio::test]
async fn each_entry_gets_its_own_result() {
    let refusals = HashMap::from([
        ("two", ("InternalError", false)),
        ("three", ("InvalidParameter", true)),
        ("four", ("", false)),
        ("five", ("Unheard", true)),
    ]);
    let (sns, _) = publisher(TOPIC, Topic { refusals, ..Topic::default() }).await;
    let results = publish(&sns, &messages(&["one", "two", "three", "four", "five", "six"])).await;
    let kinds: Vec<_> = results.into_values().collect();
    assert_eq!(kinds, ["ok", "retry", "reject", "unanswered", "reject", "ok"]);
}

#[tokio::test]
async fn nothing_overtakes_a_failure_in_its_group() {
    let refusals = HashMap::from([("a2", ("InvalidParameter", true))]);
    let (sns, topic) = publisher(FIFO, Topic { refusals, ..Topic::default() }).await;
    let results = publish(&sns, &messages(&["a1", "a2", "b1", "a3", "b2", "b3"])).await;
    let expected = [(0, "ok"), (1, "reject"), (2, "ok"), (4, "ok"), (5, "ok")];
    assert_eq!(results, BTreeMap::from(expected), "the third of group a is not published");
    assert!(topic.lock().unwrap().requests.iter().flatten().all(|body| body != "a3"));
}

#[tokio::test]
async fn nothing_is_started_behind_a_failure_that_may_pass() {
    let refusals = HashMap::from([("a1", ("InternalError", false))]);
    let (sns, topic) = publisher(FIFO, Topic { refusals, ..Topic::default() }).await;
    let results = publish(&sns, &messages(&["a1", "b1", "b2"])).await;
    assert_eq!(results, BTreeMap::from([(0, "retry"), (1, "ok")]));
    assert_eq!(topic.lock().unwrap().requests.len(), 1);
}

#[tokio::test]
async fn a_refused_request_is_halved_until_the_misfit_is_found() {
    let (sns, topic) = publisher(TOPIC, Topic::default()).await;
    let bodies = ["a", "b", "c", "poison", "d", "e", "f", "g", "h", "i"];
    let results = publish(&sns, &messages(&bodies)).await;
    assert!(results.iter().all(|(at, result)| *result == if *at == 3 { "reject" } else { "ok" }), "{results:?}");
    assert_eq!(topic.lock().unwrap().taken.len(), 9);
}

#[tokio::test]
async fn requests_split_by_size_and_giants_are_rejected() {
    let (sns, topic) = publisher(TOPIC, Topic::default()).await;
    let heavy = |bytes| Message::new("x".repeat(bytes));
    let messages = [heavy(200_000), heavy(60_000), heavy(262_145), heavy(100_000), heavy(262_144)];
    let results = publish(&sns, &messages).await;
    assert_eq!(results.into_values().collect::<Vec<_>>(), ["ok", "ok", "reject", "ok", "ok"]);
    let sizes: Vec<_> = topic.lock().unwrap().requests.iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 1, 1]);
}

#[tokio::test]
async fn a_topic_may_take_more() {
    let (sns, topic) = publisher(TOPIC, Topic { limit: Some(1_048_576), ..Topic::default() }).await;
    let heavy = |bytes| Message::new("x".repeat(bytes));
    let messages = [heavy(500_000), heavy(500_000), heavy(60_000), heavy(1_048_577)];
    let results = publish(&sns.limit(1_048_576), &messages).await;
    assert_eq!(results.into_values().collect::<Vec<_>>(), ["ok", "ok", "ok", "reject"]);
    assert_eq!(topic.lock().unwrap().requests.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn throttles_and_server_errors_are_tried_again() {
    let faults = vec![(400, "Throttling", "slow"), (500, "InternalFailure", "oh"), (503, "ServiceUnavailable", "oh")];
    let (sns, topic) = publisher(TOPIC, Topic { faults, ..Topic::default() }).await;
    assert_eq!(publish(&sns, &messages(&["a"])).await, BTreeMap::from([(0, "ok")]));
    assert_eq!(topic.lock().unwrap().requests.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn errors_are_classed_by_what_can_be_done() {
    let cases = [
        (404, "NotFound", "Topic does not exist", false, "does not exist; create it"),
        (400, "InvalidParameter", "Invalid parameter: TopicArn", false, "does not exist; create it"),
        (403, "AuthorizationError", "not authorized to perform SNS:Publish", false, "allow `sns:Publish`"),
        (403, "InvalidClientTokenId", "the token is invalid", false, "is denied"),
        (400, "KMSAccessDenied", "no", false, "the use of its key"),
        (400, "KMSThrottling", "slow", false, "is throttled"),
        (400, "InvalidParameter", "Invalid parameter: Subject", true, "refuses the message"),
        (400, "Unheard", "of", false, "the request to topic"),
        (500, "InternalFailure", "oh", false, "the request to topic"),
    ];
    for (status, code, message, reject, text) in cases {
        let (sns, _) = publisher(TOPIC, Topic { faults: vec![(status, code, message); 8], ..Topic::default() }).await;
        let (_, result) = sns.publish(&messages(&["secret"])).next().await.unwrap();
        let error = result.unwrap_err();
        assert_eq!(error.is_reject(), reject, "{code}");
        let said = error.to_string();
        assert!(said.contains(text) && said.contains(TOPIC), "{code}: {said}");
        let source = error.source().expect("the service's answer").to_string();
        assert!(source.starts_with(&format!("{code}: {message}")), "{source}");
        assert!(!format!("{error:?}").contains("secret"));
    }
}
