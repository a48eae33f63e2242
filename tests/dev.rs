//! `anabranch dev` as its users start it: a write to the table ends in the replica.

use std::{
    collections::{HashMap, VecDeque},
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::{Client, config::Credentials, types::AttributeValue};
use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The program at work; killed when a test fails.
struct Dev {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Dev {
    fn start(arguments: &[&str]) -> Self {
        Self::start_in(&[], arguments)
    }

    fn start_in(environment: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
        command.args(["dev", "--json", "--port", "0"]).args(arguments).envs(environment.iter().copied());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    /// Reads on to a line that is wanted.
    fn until<T>(&mut self, mut wanted: impl FnMut(&Value) -> Option<T>) -> T {
        loop {
            let line = self.lines.next().expect("the program goes on").expect("text");
            let line: Value = serde_json::from_str(&line).expect("a line is JSON");
            if let Some(found) = wanted(&line) {
                return found;
            }
        }
    }

    fn endpoint(&mut self) -> String {
        self.until(|line| {
            let (_, address) = line["text"].as_str()?.split_once("AWS_ENDPOINT_URL=")?;
            Some(address.to_owned())
        })
    }

    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
        self.until(|line| (line["text"] == "stopped; positions are saved").then_some(()));
        assert!(self.child.wait().expect("the program ends").success());
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(endpoint: &str) -> Client {
    let config = aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("local"))
        .credentials_provider(aws_sdk_dynamodb::config::SharedCredentialsProvider::new(Credentials::new(
            "embedded", "embedded", None, None, "test",
        )))
        .endpoint_url(endpoint)
        .build();
    Client::new(&config)
}

fn item(names: &[&str], n: usize) -> HashMap<String, AttributeValue> {
    names.iter().map(|name| ((*name).to_owned(), AttributeValue::S(format!("{name}-{n}")))).collect()
}

async fn put(client: &Client, table: &str, keys: &[&str], count: usize) {
    for n in 0..count {
        client.put_item().table_name(table).set_item(Some(item(keys, n))).send().await.expect("a put");
    }
}

async fn rows(client: &Client, table: &str) -> usize {
    client.scan().table_name(table).send().await.expect("a scan").items().len()
}

/// So many records of a mapping were handled, filtered or given up on.
fn done(line: &Value, mapping: &str, count: u64) -> Option<()> {
    let of = |name: &str| line[name].as_u64().unwrap_or(0);
    let all = of("invoked") + of("filtered_out") >= count && line["event"] == "handled";
    (line["mapping"] == mapping && all).then_some(())
}

#[tokio::test]
async fn without_a_template_pet_tracker_is_replicated() {
    let mut dev = Dev::start(&[]);
    let client = client(&dev.endpoint());
    put(&client, "PetTracker", &["PK", "SK"], 12).await;
    dev.until(|line| done(line, "replicate", 12));
    assert_eq!(rows(&client, "PetTrackerReplica").await, 12);
    dev.stop();
}

/// A template whose function copies the changes of `Pets` that its filter lets through; in place of `BATCH_SIZE` and `PREFIX`
/// stands what a test wants there.
const TEMPLATE: &str = r#"
Transform: AWS::Serverless-2016-10-31
Resources:
  Pets:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: Pets
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
  Copy: {Type: AWS::Serverless::SimpleTable, Properties: {TableName: Copy}}
  Replicate:
    Type: AWS::Serverless::Function
    Properties:
      Environment: {Variables: {TARGET_TABLE: !Ref Copy}}
      Events:
        Pets:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Pets.StreamArn
            StartingPosition: TRIM_HORIZON
            BatchSize: BATCH_SIZE
            FunctionResponseTypes: [ReportBatchItemFailures]
            FilterCriteria:
              Filters: [{Pattern: !Sub '{"dynamodb": {"Keys": {"id": {"S": [{"prefix": "PREFIX"}]}}}}'}]
"#;

/// What is left out without `Extra`; and parameters, of which those without default have to be said.
const CONDITIONS: &str = r#"
  Unused: {Type: AWS::Serverless::SimpleTable, Condition: Extra}
  More:
    Type: AWS::Serverless::Function
    Condition: Extra
    Properties:
      Events:
        Pets: {Type: DynamoDB, Properties: {Stream: !GetAtt Pets.StreamArn, StartingPosition: TRIM_HORIZON}}
Parameters: {Kind: {Type: String}, Size: {Type: Number}, Extra: {Type: String, Default: 'no'}}
Conditions: {Extra: !Equals [!Ref Extra, 'yes']}
"#;

fn plain() -> String {
    TEMPLATE.replace("BATCH_SIZE", "5").replace("!Sub ", "").replace("PREFIX", "id-1")
}

fn with_conditions() -> String {
    TEMPLATE.replace("BATCH_SIZE", "!Ref Size").replace("PREFIX", "${Kind}") + CONDITIONS
}

/// The path of the template, and its folder, which lasts as long as it is kept.
fn written(template: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("template.yaml");
    std::fs::write(&path, template).expect("a template");
    let path = path.to_str().expect("a path").to_owned();
    (folder, path)
}

#[tokio::test]
async fn a_template_is_run_with_its_filters() {
    let (_folder, path) = written(&plain());
    let mut dev = Dev::start(&["--template", &path, "--function", "Replicate=in-process"]);
    let client = client(&dev.endpoint());
    put(&client, "Pets", &["id"], 20).await;
    dev.until(|line| done(line, "ReplicatePets", 20));
    assert_eq!(rows(&client, "Copy").await, 11, "1 and 10 to 19");
    dev.stop();
}

#[tokio::test]
async fn parameters_decide_what_is_run() {
    let (_folder, path) = written(&with_conditions());
    let arguments = ["--template", &path, "--function", "Replicate=in-process", "--parameter", "Kind=id-1"];
    let mut dev = Dev::start(&arguments);
    for note in ["table Unused is left out", "ReplicatePets: BatchSize is not known", "MorePets is left out"] {
        dev.until(|line| line["text"].as_str()?.contains(note).then_some(()));
    }
    let client = client(&dev.endpoint());
    put(&client, "Pets", &["id"], 20).await;
    dev.until(|line| done(line, "ReplicatePets", 20));
    assert_eq!(rows(&client, "Copy").await, 11, "1 and 10 to 19");
    let tables = client.list_tables().send().await.expect("a list");
    assert_eq!(tables.table_names(), ["Copy", "Pets"]);
    dev.stop();
}

#[test]
fn a_filter_that_is_not_known_is_no_filter_to_run_without() {
    let (_folder, path) = written(&with_conditions());
    let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
    command.args(["dev", "--port", "0", "--function", "Replicate=in-process", "--template", &path]);
    let output = command.output().expect("the program ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("ReplicatePets: the pattern at"), "{said}");
    assert!(said.contains("cannot be told from the template"), "{said}");
}

/// A call of the Lambda API.
struct Call {
    path: String,
    authorization: String,
    /// The keys of its records.
    keys: Vec<String>,
}

/// What the Lambda API answers: to the batch with these sequence numbers.
type Script = VecDeque<fn(&[String]) -> Response>;

/// The Lambda API as far as the program needs it: it answers by a script, and has everything well from then on.
#[derive(Clone, Default)]
struct Lambda {
    calls: Arc<Mutex<Vec<Call>>>,
    script: Arc<Mutex<Script>>,
}

impl Lambda {
    fn call(&self, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
        let event: Value = serde_json::from_slice(body).expect("an event");
        let records = event["Records"].as_array().expect("records");
        let texts = |place: fn(&Value) -> &Value| -> Vec<String> {
            records.iter().map(|record| place(record).as_str().expect("a text").to_owned()).collect()
        };
        let authorization = headers.get("authorization").and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
        let keys = texts(|record| &record["dynamodb"]["Keys"]["id"]["S"]);
        self.calls.lock().expect("no panic under the lock").push(Call {
            path: uri.path().to_owned(),
            authorization,
            keys,
        });
        match self.script.lock().expect("no panic under the lock").pop_front() {
            Some(answer) => answer(&texts(|record| &record["dynamodb"]["SequenceNumber"])),
            None => "{}".into_response(),
        }
    }

    async fn serve(script: Script) -> (Self, String) {
        let lambda = Self { script: Arc::new(Mutex::new(script)), ..Self::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let served = lambda.clone();
        let answer = async move |uri: Uri, headers: HeaderMap, body: Bytes| served.call(&uri, &headers, &body);
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
        (lambda, endpoint)
    }
}

fn third_failed(numbers: &[String]) -> Response {
    json!({ "batchItemFailures": [{ "itemIdentifier": numbers[2] }] }).to_string().into_response()
}

fn raised(_: &[String]) -> Response {
    let headers = [("x-amz-function-error", "Unhandled"), ("x-amz-executed-version", "7"), ("x-amzn-requestid", "r-7")];
    (headers, r#"{"errorMessage":"out of luck","errorType":"Error"}"#).into_response()
}

fn throttled(_: &[String]) -> Response {
    (StatusCode::TOO_MANY_REQUESTS, [("x-amzn-errortype", "TooManyRequestsException")], "").into_response()
}

fn well(_: &[String]) -> Response {
    r#"{"batchItemFailures":[]}"#.into_response()
}

/// The only file somewhere under a folder.
fn only_file(folder: &Path) -> Value {
    let mut entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let (first, more) = (entries.next().expect("something"), entries.next());
    assert_eq!(more, None);
    if first.is_dir() {
        only_file(&first)
    } else {
        serde_json::from_slice(&std::fs::read(first).expect("a file")).expect("JSON")
    }
}

/// Batches of five, of which each may be tried again once.
fn with_one_retry() -> String {
    let settings = [
        "5",
        "MaximumBatchingWindowInSeconds: 60",
        "MaximumRetryAttempts: 1",
        "DestinationConfig: {OnFailure: {Type: SQS, Destination: 'arn:aws:sqs:eu-west-1:123456789012:failures'}}",
    ];
    TEMPLATE.replace("BATCH_SIZE", &settings.join("\n            ")).replace("!Sub ", "").replace("PREFIX", "id-")
}

/// ESM-31, 35, 36, 37 and 39, with a function on AWS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_on_aws_is_invoked_over_its_api_and_its_answers_count_as_they_do_there() {
    let (folder, path) = written(&with_one_retry());
    let failures = folder.path().join("failures");
    let (lambda, address) = Lambda::serve(
        [third_failed, throttled, raised, well, raised, raised].map(|it| it as fn(&[String]) -> _).into(),
    )
    .await;
    let (elsewhere, other_address) = Lambda::serve(Script::new()).await;
    let environment = [
        ("AWS_ENDPOINT_URL_LAMBDA", &*address),
        ("AWS_ENDPOINT_URL", &*other_address),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let failures_folder = failures.to_str().expect("a path");
    let arguments = ["--template", &path, "--function", "Replicate=aws", "--failures", failures_folder];
    let mut dev = Dev::start_in(&environment, &arguments);
    let client = client(&dev.endpoint());
    put(&client, "Pets", &["id"], 10).await;
    let mut failed = Vec::new();
    dev.until(|line| {
        if line["event"] == "failed" {
            failed.push(line["text"].as_str().unwrap_or_default().to_owned());
        }
        (line["event"] == "reported").then_some(()).or_else(|| done(line, "ReplicatePets", 10))
    });
    dev.stop();

    assert!(elsewhere.calls.lock().expect("no panic under the lock").is_empty(), "Lambda has an endpoint of its own");
    let calls = lambda.calls.lock().expect("no panic under the lock");
    let keys: Vec<_> = calls.iter().map(|call| call.keys.concat().replace("id-", "")).collect();
    assert_eq!(keys, ["01234", "234", "234", "234", "56789", "56789"]);
    for call in calls.iter() {
        assert_eq!(call.path, "/2015-03-31/functions/Replicate/invocations");
        let signed = call.authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/");
        assert!(signed && call.authorization.contains("/eu-west-1/lambda/aws4_request"), "{}", call.authorization);
    }
    let reasons: Vec<_> = failed.iter().filter_map(|text| text.rsplit_once(": ")).map(|(_, reason)| reason).collect();
    let throttled = "TooManyRequestsException (HTTP status 429)";
    assert_eq!(reasons[1..], [throttled, "out of luck", "out of luck", "out of luck"], "{failed:?}");
    let document = only_file(&failures);
    assert_eq!(document["requestContext"]["requestId"], "r-7");
    assert_eq!(document["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(document["requestContext"]["approximateInvokeCount"], 2);
    let response = json!({ "statusCode": 200, "executedVersion": "7", "functionError": "Unhandled" });
    assert_eq!(document["responseContext"], response);
    assert_eq!(document["DDBStreamBatchInfo"]["batchSize"], 5);
}
