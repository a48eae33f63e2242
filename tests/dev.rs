//! `anabranch dev` as its users start it: a write to the table ends in the replica.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::{Client, config::Credentials, types::AttributeValue};
use serde_json::Value;
use tempfile::TempDir;

/// The program at work; killed when a test fails.
struct Dev {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Dev {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
        command.args(["dev", "--json", "--port", "0"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    /// Reads on to a line that is wanted.
    fn until<T>(&mut self, wanted: impl Fn(&Value) -> Option<T>) -> T {
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
