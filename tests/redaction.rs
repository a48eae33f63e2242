//! Nothing that users store is in logs, metrics, reports or answers at the default level, whatever fails.
//!
//! Secrets are planted wherever a record has room for one: keys, values of every type, entity types, and what makes a record
//! unreadable. Every kind of handler runs over its real adapters, which talk to a service that quotes what it was sent.

use std::{
    fmt::Write as _,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use anabranch::{
    aws,
    dispatch::Dispatcher,
    handler::{Context, Deadline, Failure},
    idempotency::IdempotentExt,
    metric::{Collector, Emf},
    notify::Notify,
    record::{NewAndOldImages, Record},
    replica::Replica,
    router::Router,
    search::{Search, all_attributes},
    sink::{
        dead_letter::{Memory, Sqs},
        index::OpenSearch,
        ledger,
        publisher::{Message, Sns},
        table::{DynamoDb, text},
    },
    view::{Contribution, Row, View},
};
use aws_config::{Region, SdkConfig, retry::RetryConfig};
use axum::{
    Router as Http,
    body::Bytes,
    http::{HeaderMap, StatusCode},
};
use serde_json::{Value, json};
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

/// What must not be found, as text, as a number, and as text in base64.
const SECRETS: [&str; 3] = ["zq9secret", "731973197319", "enE5c2VjcmV0"];

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Pet {
    name: String,
    weight: Option<f64>,
}

/// A log in memory.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic under the lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

// ------------------------------------------------------------------------------------------------------------------ the service

/// How the service behind every adapter behaves.
#[derive(Debug, Clone, Copy)]
enum Mood {
    /// It does not like what it is sent, and says so with it.
    Refuses,
    Throttles,
    Fails,
    /// It succeeds, with nonsense.
    Babbles,
}

const MOODS: [Mood; 4] = [Mood::Refuses, Mood::Throttles, Mood::Fails, Mood::Babbles];

fn answer(mood: Mood, headers: &HeaderMap, body: &str) -> (StatusCode, String) {
    let quoted = format!("1 validation error detected: Value '{body}' at 'item' failed to satisfy constraint");
    let (status, code) = match mood {
        Mood::Refuses => (StatusCode::BAD_REQUEST, "ValidationException"),
        Mood::Throttles => (StatusCode::BAD_REQUEST, "ThrottlingException"),
        Mood::Fails => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        Mood::Babbles => return (StatusCode::OK, body.to_owned()),
    };
    let form = headers.get("content-type").is_some_and(|kind| kind.as_bytes().ends_with(b"urlencoded"));
    let text = if headers.contains_key("x-amz-target") {
        json!({"__type": code, "message": quoted}).to_string()
    } else if form {
        format!("<ErrorResponse><Error><Code>{code}</Code><Message>{quoted}</Message></Error></ErrorResponse>")
    } else {
        let reason = format!("failed to parse field [weight] of type [long]. Preview of field's value: '{body}'");
        json!({"error": {"type": "mapper_parsing_exception", "reason": reason}, "status": status.as_u16()}).to_string()
    };
    (status, text)
}

async fn service(mood: Mood) -> String {
    let handler =
        move |headers: HeaderMap, body: Bytes| async move { answer(mood, &headers, &String::from_utf8_lossy(&body)) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    tokio::spawn(axum::serve(listener, Http::new().fallback(handler)).into_future());
    url
}

async fn config(url: &str) -> SdkConfig {
    let loader = aws::defaults().region(Region::new("eu-west-1")).endpoint_url(url).test_credentials();
    // Repetitions say nothing new.
    loader.retry_config(RetryConfig::disabled()).load().await
}

// ----------------------------------------------------------------------------------------------------------------- the handlers

type Named = (&'static str, Router<NewAndOldImages>);

fn message(record: &Record<Pet>) -> Option<Message> {
    record.change.current().map(|pet| Message::new(pet.name.clone()).attribute("name", pet.name.as_str()))
}

/// Every kind of handler over the service.
async fn kinds(url: &str) -> Vec<Named> {
    let config = config(url).await;
    let dynamodb = || aws_sdk_dynamodb::Client::new(&config);
    let table = || DynamoDb::new(dynamodb(), "Target");
    let topic = || Sns::new(aws_sdk_sns::Client::new(&config), "arn:aws:sns:eu-west-1:123456789012:news.fifo");
    let once = ledger::DynamoDb::new(dynamodb(), "Once", "news");
    let server = OpenSearch::at(url).expect("a URL");
    let counted =
        View::aggregate("names", table(), |pet: &Pet| vec![Contribution::to("NAME", &*pet.name).count("pets")]);
    let projected =
        View::project("by-name", table(), |pet: &Pet| vec![Row::at("NAME", &*pet.name).set("name", text(&*pet.name))]);
    let pets = || Router::<NewAndOldImages>::by_attribute("entityType");
    vec![
        ("function", pets().route("PET", |_: Record<Pet>| async { Err::<(), _>(Failure::retry("no")) })),
        ("refusing function", pets().route("PET", |_: Record<Pet>| async { Err::<(), _>(Failure::reject("no")) })),
        ("replica", Router::new().every(Replica::new(table()))),
        ("plain replica", Router::new().every(Replica::plain(table()))),
        ("aggregate", pets().route("PET", counted)),
        ("projection", pets().route("PET", projected)),
        ("search", Router::new().every(Search::new(server, "pets", all_attributes))),
        ("notify", pets().route("PET", Notify::new(topic(), message))),
        ("changes", pets().route("PET", Notify::<Pet>::changes(topic()))),
        ("notify once", pets().route("PET", Notify::new(topic(), message).idempotent(once))),
        ("by key", Router::by_key_prefix("PK", '#').route("PET", |_: Record<Pet>| async {})),
    ]
}

// ------------------------------------------------------------------------------------------------------------------ the payloads

fn image(attributes: Value) -> Value {
    let mut image = json!({
        "PK": {"S": "zq9secret"}, "SK": {"S": "PET#zq9secret"}, "entityType": {"S": "PET"}, "name": {"S": "zq9secret"},
        "weight": {"N": "731973197319"}, "photo": {"B": "enE5c2VjcmV0"}, "tags": {"SS": ["zq9secret"]},
        "visits": {"L": [{"M": {"vet": {"S": "zq9secret"}}}, {"NS": ["731973197319"]}]}
    });
    let (image, more) = (image.as_object_mut().expect("a map"), attributes.as_object().expect("a map"));
    image.extend(more.clone());
    json!(image)
}

fn record(name: &str, n: usize, attributes: Value) -> Value {
    let keys = json!({"PK": {"S": "zq9secret"}, "SK": {"S": "PET#zq9secret"}});
    let mut body =
        json!({"SequenceNumber": format!("{}", 1_000 + n), "Keys": keys, "ApproximateCreationDateTime": 1.7e9});
    if name != "INSERT" {
        body["OldImage"] = image(json!({}));
    }
    if name != "REMOVE" {
        body["NewImage"] = image(attributes);
    }
    let arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/T/stream/2026-01-01T00:00:00.000";
    json!({"eventID": format!("e{n}"), "eventName": name, "eventSourceARN": arn, "dynamodb": body})
}

fn batch(records: &[Value]) -> String {
    json!({ "Records": records }).to_string()
}

/// A good record, then one in which `from` has become `to`.
fn spoilt(from: &str, to: &str) -> String {
    let second = record("MODIFY", 2, json!({})).to_string();
    assert!(second.contains(from), "{from} is in a record");
    format!(r#"{{"Records":[{},{}]}}"#, record("INSERT", 1, json!({})), second.replacen(from, to, 1))
}

fn payloads() -> Vec<String> {
    vec![
        batch(&[record("INSERT", 1, json!({})), record("MODIFY", 2, json!({})), record("REMOVE", 3, json!({}))]),
        batch(&[record("INSERT", 1, json!({"entityType": {"S": "zq9secret"}}))]),
        batch(&[record("MODIFY", 1, json!({"entityType": {"N": "731973197319"}}))]),
        batch(&[record("INSERT", 1, json!({"name": {"N": "731973197319"}}))]),
        batch(&[record("INSERT", 1, json!({"weight": {"S": "zq9secret"}}))]),
        batch(&[record("INSERT", 1, json!({"weight": {"N": "zq9secret"}}))]),
        batch(&[record("INSERT", 1, json!({"photo": {"B": "zq9secret!"}}))]),
        batch(&[record("INSERT", 1, json!({"tags": {"zq9secret": 1}}))]),
        spoilt(r#","SequenceNumber":"1002""#, r#","SequenceNumber":"zq9secret""#),
        spoilt(r#","SequenceNumber":"1002""#, ""),
        spoilt(r#""eventName":"MODIFY""#, r#""eventName":"zq9secret""#),
        spoilt(r#"{"S":"zq9secret"}"#, r#"{"S":"zq9secret}"#),
        spoilt(r#"{"S":"zq9secret"}"#, r#"{"S":zq9secret}"#),
        spoilt(r#"{"S":"zq9secret"}"#, "\"zq9secret\""),
        spoilt(r#""Keys":{"#, r#""Keys":"zq9secret","other":{"#),
        r#"{"Records":[], zq9secret}"#.to_owned(),
        r#""zq9secret""#.to_owned(),
        "zq9secret".to_owned(),
    ]
}

// --------------------------------------------------------------------------------------------------------------------- the test

/// Everything that a dispatch lets out, but for records in dead letters.
async fn let_out(dispatcher: &Dispatcher, payload: &str, log: &Log) -> String {
    let context = Context { deadline: Deadline::after(Duration::from_millis(200)), ..Context::default() };
    let collector = Collector::default();
    let answer = collector.scope(dispatcher.dispatch(payload.as_bytes().to_vec(), &context)).await;
    let mut text = format!("{answer:?}\n");
    match &answer {
        Ok(report) => {
            let response = serde_json::to_string(&report.response()).expect("JSON");
            let cause = report.unfinished.as_ref().map(|it| it.cause.to_string());
            writeln!(text, "{response}\n{cause:?}").expect("a string takes text");
        }
        Err(error) => text.push_str(&error.to_string()),
    }
    for emf in [Emf::ByFunction, Emf::ByEntity, Emf::Log] {
        text.push_str(&emf.lines(&collector, "f", &[]));
    }
    assert!(text.contains("RecordsRead") || text.contains("BatchesFailed"), "there are metrics: {text}");
    text + &String::from_utf8_lossy(&std::mem::take(&mut *log.0.lock().expect("no panic under the lock")))
}

fn assert_no_secret(what: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what} lets {secret} out:\n{text}");
    }
}

/// A log that everything on this thread goes to, until the guard is dropped.
fn capture() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().json().with_writer(log.clone()).with_max_level(Level::INFO);
    let capturing = tracing::subscriber::set_default(subscriber.finish());
    (log, capturing)
}

#[tokio::test]
async fn nothing_that_users_store_is_let_out() {
    let (log, _capturing) = capture();
    let (mut lines, mut letters) = (0, 0);
    for mood in MOODS {
        let url = service(mood).await;
        let queue = aws_sdk_sqs::Client::new(&config(&url).await);
        // How records are read has nothing to do with the service.
        let payloads = payloads().into_iter().take(if matches!(mood, Mood::Refuses) { usize::MAX } else { 2 });
        let payloads: Vec<_> = payloads.collect();
        for ((name, router), (_, again)) in kinds(&url).await.into_iter().zip(kinds(&url).await) {
            let memory = Arc::new(Memory::default());
            let buries = Dispatcher::with_dead_letters(router, memory.clone());
            let cannot = Dispatcher::with_dead_letters(again, Sqs::new(queue.clone(), format!("{url}/dead")));
            for (payload, dispatcher) in payloads.iter().flat_map(|payload| [(payload, &buries), (payload, &cannot)]) {
                let text = let_out(dispatcher, payload, &log).await;
                assert_no_secret(&format!("{name}, over a service that {mood:?}"), &text);
                lines += text.matches("\"level\":\"WARN\"").count();
            }
            for letter in memory.letters() {
                assert_no_secret(&format!("a letter of {name}"), &letter.reason);
                letters += 1;
            }
        }
    }
    assert!(lines > 300 && letters > 100, "much was to be said: {lines} warnings, {letters} letters");
}

#[tokio::test]
async fn what_is_let_out_would_be_found() {
    let (log, _capturing) = capture();
    let tells = |pet: Record<Pet>| async move {
        let name = pet.change.current().map(|pet| pet.name.clone()).unwrap_or_default();
        Err::<(), _>(Failure::retry(name))
    };
    let dispatcher = Dispatcher::new(Router::by_attribute("entityType").route("PET", tells));
    let text = let_out(&dispatcher, &payloads()[0], &log).await;
    assert!(text.contains(SECRETS[0]) && text.contains("record unfinished"), "{text}");
}
