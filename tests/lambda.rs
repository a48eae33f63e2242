//! The whole `main` of a function, against a Lambda Runtime API of our own: answers, errors, concurrency and logs.
//!
//! `lambda::run` takes its settings from the environment, so the function runs in a process of its own: this test binary
//! again, asked for the one test that is the function.

mod support;

use std::{
    collections::HashMap,
    process::Stdio,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anabranch::{
    handler::Failure,
    lambda,
    record::{Change, Record},
    router::Router,
};
use axum::{
    Router as Http,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::{Value, json};
use support::{Row, Step, payload, record, sequence};
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    process::{Child, Command},
    sync::{Barrier, Mutex, mpsc},
};

/// The span of X-Ray that every invocation is below.
const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
const SIDE_BY_SIDE: usize = 4;

/// What the function does: fails at 13, waits for its fellows at 77, panics at 99.
async fn handle(record: Record<Row>, fellows: Arc<Barrier>) -> Result<(), Failure> {
    match &record.change {
        Change::Insert { new } if new.value == 13 => Err(Failure::retry("thirteen")),
        Change::Insert { new } if new.value == 77 => {
            fellows.wait().await;
            metrics::counter!("Met").increment(1);
            Ok(())
        }
        Change::Insert { new } if new.value == 99 => panic!("{} is a secret", new.key),
        _ => Ok(()),
    }
}

/// The function itself, when it is asked for in a process of its own; nothing otherwise.
#[test]
fn function() {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        return;
    }
    let fellows = Arc::new(Barrier::new(SIDE_BY_SIDE));
    let router = Router::by_attribute("entityType").route("ROW", move |record| handle(record, fellows.clone()));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    #[cfg(feature = "otel")]
    if std::env::var_os(traced::ASKED).is_some() {
        return runtime.block_on(traced::run(router));
    }
    // It ends with an error when the Runtime API goes away.
    _ = runtime.block_on(lambda::run(router));
}

/// What the function sent for an invocation: `response` or `error`, and the body.
type Sent = (String, String, Value);

struct Api {
    events: Mutex<mpsc::UnboundedReceiver<(String, Vec<u8>)>>,
    sent: mpsc::UnboundedSender<Sent>,
}

async fn next(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let Some((id, body)) = api.events.lock().await.recv().await else {
        return std::future::pending().await;
    };
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") + Duration::from_secs(30);
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-trace-id", TRACE.to_owned()),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:123456789012:function:f".to_owned()),
    ];
    let header = |(name, value): (&'static str, String)| {
        (HeaderName::from_static(name), HeaderValue::from_str(&value).expect("visible text"))
    };
    (headers.into_iter().map(header).collect::<HeaderMap>(), body)
}

async fn sent(State(api): State<Arc<Api>>, Path((id, kind)): Path<(String, String)>, body: Bytes) -> StatusCode {
    // The runtime does not say that its answers are JSON.
    let body = serde_json::from_slice(&body).expect("JSON");
    api.sent.send((id, kind, body)).expect("the test waits for it");
    StatusCode::ACCEPTED
}

/// A function in a process of its own, and the way to invoke it.
struct Function {
    process: Child,
    events: mpsc::UnboundedSender<(String, Vec<u8>)>,
    sent: mpsc::UnboundedReceiver<Sent>,
}

impl Function {
    async fn start(concurrency: Option<usize>) -> Self {
        let limit = concurrency.map(|limit| limit.to_string());
        let limit = limit.as_deref().map(|limit| ("AWS_LAMBDA_MAX_CONCURRENCY", limit));
        Self::start_with(limit.into_iter().collect()).await
    }

    async fn start_with(settings: Vec<(&str, &str)>) -> Self {
        let (events, inbox) = mpsc::unbounded_channel();
        let (outbox, sent_by) = mpsc::unbounded_channel();
        let api = Arc::new(Api { events: Mutex::new(inbox), sent: outbox });
        let http = Http::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(sent))
            .with_state(api);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens").to_string();
        tokio::spawn(axum::serve(listener, http).into_future());
        Self { process: spawn(&address, settings), events, sent: sent_by }
    }

    fn send(&self, id: &str, payload: impl Into<Vec<u8>>) {
        self.events.send((id.to_owned(), payload.into())).expect("the API is up");
    }

    async fn answer(&mut self) -> Sent {
        let answer = tokio::time::timeout(Duration::from_secs(60), self.sent.recv()).await;
        answer.expect("the function answers").expect("the API is up")
    }

    /// Ends it; gives what it logged.
    async fn stop(mut self) -> String {
        self.process.start_kill().expect("it runs");
        let mut logs = String::new();
        self.process.stdout.take().expect("piped").read_to_string(&mut logs).await.expect("text");
        self.process.stderr.take().expect("piped").read_to_string(&mut logs).await.expect("text");
        logs
    }

    /// The lines of its log that are JSON, once it has ended.
    async fn lines(self) -> Vec<Value> {
        self.stop().await.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

fn spawn(api: &str, settings: Vec<(&str, &str)>) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "function", "--nocapture"]).env_clear().kill_on_drop(true);
    command.env("AWS_LAMBDA_RUNTIME_API", api).env("AWS_LAMBDA_FUNCTION_NAME", "f");
    command.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128").env("AWS_LAMBDA_FUNCTION_VERSION", "1");
    command.env("AWS_LAMBDA_LOG_GROUP_NAME", "g").env("AWS_LAMBDA_LOG_STREAM_NAME", "s");
    command.envs(settings);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

fn put(item: u8, value: u64) -> Step {
    Step { item, value: Some(value) }
}

fn event(n: usize, value: u64) -> Vec<u8> {
    json!({"Records": [record(n, &put(0, value), None)]}).to_string().into_bytes()
}

#[tokio::test]
async fn a_function_answers_one_event_after_another() {
    let mut function = Function::start(None).await;
    function.send("first", payload(&[put(0, 1), put(1, 13), put(2, 3)], 0));
    function.send("second", payload(&[put(0, 1)], 0));
    let partial = json!({"batchItemFailures": [{"itemIdentifier": sequence(1)}]});
    assert_eq!(function.answer().await, ("first".into(), "response".into(), partial));
    assert_eq!(function.answer().await, ("second".into(), "response".into(), json!({"batchItemFailures": []})));
}

#[tokio::test]
async fn what_is_no_stream_event_is_an_error_of_the_invocation() {
    let mut function = Function::start(None).await;
    function.send("first", r#"{"hello": "world"}"#);
    function.send("second", event(0, 1));
    let (id, kind, body) = function.answer().await;
    assert_eq!((id.as_str(), kind.as_str()), ("first", "error"));
    assert_eq!(body["errorType"], "anabranch::Payload");
    assert_eq!(function.answer().await.1, "response", "the next event is none the worse for it");
}

#[tokio::test]
async fn invocations_run_side_by_side_and_keep_their_bodies_apart() {
    let mut function = Function::start(Some(SIDE_BY_SIDE)).await;
    for n in 0..SIDE_BY_SIDE {
        // None of them ends before all have begun; each then fails with a record of its own.
        let records = [record(0, &put(0, 77), None), record(n + 1, &put(0, 13), None)];
        function.send(&format!("id-{n}"), json!({ "Records": records }).to_string());
    }
    let mut answers = HashMap::new();
    for _ in 0..SIDE_BY_SIDE {
        let (id, kind, body) = function.answer().await;
        assert_eq!(kind, "response");
        answers.insert(id, body["batchItemFailures"][0]["itemIdentifier"].clone());
    }
    let expected = (0..SIDE_BY_SIDE).map(|n| (format!("id-{n}"), json!(sequence(n + 1)))).collect();
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn a_line_of_json_says_what_became_of_a_batch_and_nothing_of_its_items() {
    let mut function = Function::start(None).await;
    let mut poison = record(1, &put(1, 2), None);
    poison["dynamodb"]["NewImage"]["value"] = json!({"S": "secret-value"});
    function.send("the-request", json!({"Records": [record(0, &put(0, 1), None), poison]}).to_string());
    function.answer().await;
    let logs = function.stop().await;
    let lines: Vec<Value> = logs.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let batch =
        lines.iter().find(|line| line["message"] == "batch").unwrap_or_else(|| panic!("no line of the batch: {logs}"));
    assert_eq!((&batch["read"], &batch["applied"], &batch["redelivered"]), (&json!(2), &json!(1), &json!(1)));
    assert_eq!(batch["unfinished"], json!(sequence(1)));
    assert_eq!(batch["span"]["requestId"], "the-request");
    for private in ["secret-value", "item-0", "item-1"] {
        assert!(!logs.contains(private), "{private} is in the logs: {logs}");
    }
}

#[tokio::test]
async fn the_metrics_of_each_invocation_are_a_line_of_its_own() {
    let mut function = Function::start(Some(SIDE_BY_SIDE)).await;
    for n in 0..SIDE_BY_SIDE {
        // All at the same time, and each of another size.
        let more = (1..=n).map(|item| record(item, &put(item as u8, 1), None));
        let records: Vec<_> = std::iter::once(record(0, &put(0, 77), None)).chain(more).collect();
        function.send(&format!("id-{n}"), json!({ "Records": records }).to_string());
    }
    for _ in 0..SIDE_BY_SIDE {
        assert_eq!(function.answer().await.1, "response");
    }
    let lines = function.lines().await;
    let metrics: HashMap<_, _> =
        lines.iter().filter(|line| line["_aws"].is_object()).map(|line| (&line["requestId"], line)).collect();
    assert_eq!(metrics.len(), SIDE_BY_SIDE, "{lines:?}");
    for n in 0..SIDE_BY_SIDE {
        let line = metrics[&json!(format!("id-{n}"))];
        let read = n + 1;
        assert_eq!(
            (&line["RecordsRead"], &line["RecordsApplied"], &line["Met"]),
            (&json!(read), &json!(read), &json!(1))
        );
        assert_eq!((&line["FunctionName"], &line["Entities"]["ROW"]["EntityApplied"]), (&json!("f"), &json!(read)));
        assert!(line["IteratorLag"].as_f64() > Some(0.0) && line["RemainingTime"].as_f64() > Some(0.0), "{line}");
    }
}

#[tokio::test]
async fn metrics_can_be_switched_off() {
    let mut function = Function::start_with(vec![("ANABRANCH_METRICS", "off")]).await;
    function.send("first", event(0, 1));
    function.answer().await;
    let lines = function.lines().await;
    assert!(lines.iter().any(|line| line["message"] == "batch"), "{lines:?}");
    assert!(!lines.iter().any(|line| line["RecordsRead"].is_number()), "{lines:?}");
}

#[tokio::test]
async fn a_panic_is_a_line_with_its_place_and_without_what_it_quotes() {
    let mut function = Function::start(None).await;
    function.send("the-request", event(0, 99));
    assert_eq!(function.answer().await.2, json!({"batchItemFailures": [{"itemIdentifier": sequence(0)}]}));
    let logs = function.stop().await;
    assert!(!logs.contains("item-0") && !logs.contains("is a secret"), "{logs}");
    let panic = logs.lines().find(|line| line.contains(r#""message":"panic""#)).expect("a line of the panic");
    let panic: Value = serde_json::from_str(panic).expect("JSON");
    assert!(panic["place"].as_str().is_some_and(|place| place.contains("lambda.rs:")), "{panic}");
    let span = &panic["span"];
    assert_eq!(
        (&span["name"], &span["route"], &span["requestId"]),
        (&json!("handler"), &json!("ROW"), &json!("the-request"))
    );
    assert_eq!((&span["first"], &span["last"]), (&json!(sequence(0)), &json!(sequence(0))));
}

/// Spans for OpenTelemetry.
#[cfg(feature = "otel")]
mod traced {
    use anabranch::{dispatch::Dispatcher, lambda};
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::{
        error::OTelSdkResult,
        trace::{SdkTracerProvider, SpanData, SpanExporter},
    };
    use serde_json::{Map, Value, json};
    use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

    use super::{Function, event};

    pub(super) const ASKED: &str = "ANABRANCH_TEST_TRACED";

    /// Prints spans when it is asked to, or when five seconds have passed, which no test waits for.
    #[derive(Debug)]
    struct Printer;

    impl SpanExporter for Printer {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            for span in batch {
                let attributes = span.attributes.iter().map(|one| (one.key.to_string(), json!(one.value.to_string())));
                let line = json!({
                    "span": span.name, "trace": span.span_context.trace_id().to_string(), "id": span.span_context.span_id().to_string(),
                    "parent": span.parent_span_id.to_string(), "attributes": attributes.collect::<Map<_, _>>(),
                });
                println!("{line}");
            }
            Ok(())
        }
    }

    pub(super) async fn run(app: impl Into<Dispatcher>) {
        let provider = SdkTracerProvider::builder().with_batch_exporter(Printer).build();
        let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing_subscriber::registry().with(lambda::log_layer()).with(spans).init();
        _ = lambda::run_traced(app, move || provider.force_flush().expect("it prints")).await;
    }

    #[tokio::test]
    async fn spans_are_below_that_of_x_ray_and_out_before_the_next_event() {
        let mut function = Function::start_with(vec![(ASKED, "1")]).await;
        for id in ["first", "second"] {
            function.send(id, event(0, 1));
            assert_eq!(function.answer().await.1, "response");
        }
        let lines = function.lines().await;
        let span = |name: &str| -> &Value {
            let mut named = lines.iter().filter(|line| line["span"] == name);
            named.next().unwrap_or_else(|| panic!("no span {name}: {lines:?}"))
        };
        let (invocation, batch, handler) = (span("f"), span("batch"), span("handler"));
        assert_eq!(invocation["parent"], "53995c3f42cd8ad8");
        for span in [invocation, batch, handler] {
            assert_eq!(span["trace"], "5759e988bd862e3fe1be46a994272793");
        }
        assert_eq!((&batch["parent"], &handler["parent"]), (&invocation["id"], &batch["id"]));
        let attributes = &invocation["attributes"];
        assert_eq!(
            (&attributes["faas.invocation_id"], &attributes["faas.coldstart"]),
            (&json!("first"), &json!("true"))
        );
        assert!(lines.iter().all(|line| line["span"].is_null() || !line.to_string().contains("item-0")), "{lines:?}");
    }
}
