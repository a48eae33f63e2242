//! `anabranch mapping print` against the page that shows what it prints.

use std::process::{Command, Output};

fn print(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["mapping", "print"]).args(arguments);
    command.output().expect("the command runs")
}

fn printed(arguments: &[&str]) -> String {
    let output = print(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_page_shows_what_the_command_prints() {
    let page = include_str!("../src/docs/deploy.md");
    let command = page.lines().find(|line| line.starts_with("anabranch mapping print")).expect("the command is shown");
    let arguments: Vec<&str> = command.split(' ').skip(3).collect();
    let shown = format!("```text\n{}```", printed(&arguments));
    assert!(page.contains(&shown), "src/docs/deploy.md should show:\n{shown}");
}

#[test]
fn one_function_can_be_chosen() {
    let one = printed(&["notify"]);
    assert_eq!(one.matches("create-event-source-mapping").count(), 1);
    assert!(one.contains("--function-name notify") && one.contains("--no-enabled"), "{one}");
    let unknown = print(&["nobody"]);
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no function nobody"));
}

/// The shell reads each call back as the words that were meant.
#[test]
fn the_shell_understands_it() {
    let script = format!(
        "aws() {{ for word in \"$@\"; do printf '%s\\n' \"$word\"; done; }}\n\
         PET_TRACKER_STREAM_ARN=stream FAILURES_ARN=queue\n{}",
        printed(&["materialize"])
    );
    let output = Command::new("sh").args(["-euc", &script]).output().expect("a shell");
    let words = String::from_utf8(output.stdout).expect("text");
    let value = |flag: &str| words.lines().skip_while(|word| *word != flag).nth(1).unwrap_or_default().to_owned();
    assert_eq!(value("--event-source-arn"), "stream");
    assert_eq!(value("--destination-config"), r#"{"OnFailure":{"Destination":"queue"}}"#);
    let criteria: serde_json::Value = serde_json::from_str(&value("--filter-criteria")).expect("JSON");
    let pattern = criteria["Filters"][0]["Pattern"].as_str().expect("a pattern");
    assert_eq!(pattern, r#"{"dynamodb":{"NewImage":{"entityType":{"S":["ACTIVITY","PET"]}}}}"#);
}

/// A template with a table, and these mappings of its stream to the function `Feed`.
fn written(mappings: &str) -> tempfile::NamedTempFile {
    let text = format!(
        "Parameters: {{Open: {{Type: String}}, Off: {{Type: String, Default: 'no'}}}}
Conditions:
  Never: !Equals [!Ref Off, 'yes']
  Perhaps: !Equals [!Ref Open, 'yes']
Resources:
  Pets: {{Type: AWS::DynamoDB::Table, Properties: {{StreamSpecification: {{StreamViewType: NEW_IMAGE}}}}}}
  Feed: {{Type: AWS::Lambda::Function, Properties: {{FunctionName: feed-of-pets}}}}
  Live: {{Type: AWS::Lambda::Alias, Properties: {{FunctionName: !Ref Feed, FunctionVersion: '1', Name: live}}}}
  First: {{Type: AWS::Lambda::Version, Properties: {{FunctionName: !Ref Feed}}}}
{mappings}"
    );
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    file
}

/// A mapping of the table with these settings besides.
fn mapping(settings: &str) -> String {
    format!(
        "  Map:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {{EventSourceArn: !GetAtt Pets.StreamArn, StartingPosition: TRIM_HORIZON, {settings}}}
"
    )
}

fn print_of(file: &tempfile::NamedTempFile, arguments: &[&str]) -> Output {
    let path = file.path().to_str().expect("a path");
    print(&[&["--template", path], arguments].concat())
}

/// What is printed for a mapping with these settings, or the error.
fn outcome(settings: &str) -> String {
    let output = print_of(&written(&mapping(settings)), &[]);
    let text = if output.status.success() { output.stdout } else { output.stderr };
    String::from_utf8(text).expect("text")
}

#[test]
fn what_is_not_known_is_a_variable_or_an_error() {
    let pattern = r#"{Pattern: '{"eventName": ["INSERT"]}'}"#;
    for (setting, expected) in [
        ("BatchSize: !Ref Open", r#"--batch-size "$OPEN""#),
        ("BatchSize: !If [Perhaps, 1, 2]", r#"--batch-size "$MAP_BATCH_SIZE""#),
        ("BatchSize: [1]", "error: Map: BatchSize is no text"),
        ("FilterCriteria: {Filters: [{Pattern: !Ref Open}]}", r#"--filter-criteria "$MAP_FILTER_CRITERIA""#),
        (
            &format!("FilterCriteria: {{Filters: [{pattern}, !If [Perhaps, {pattern}, !Ref 'AWS::NoValue']]}}"),
            r#"--filter-criteria "$MAP_FILTER_CRITERIA""#,
        ),
        (
            "FilterCriteria: !If [Perhaps, {Filters: []}, !Ref 'AWS::NoValue']",
            r#"--filter-criteria "$MAP_FILTER_CRITERIA""#,
        ),
        ("FilterCriteria: {Filters: [{}]}", "error: Map: FilterCriteria has a filter without a pattern"),
        ("FilterCriteria: {Filters: none}", "error: Map: FilterCriteria has no list"),
        ("BisectBatchOnFunctionError: !Ref Open", "error: Map: BisectBatchOnFunctionError cannot be told"),
        ("Enabled: perhaps", "error: Map: Enabled is neither true nor false"),
        ("Enabled: !Ref Open", "error: Map: Enabled cannot be told"),
        ("Fn::Transform: {Name: 'AWS::Include'}", "error: Map: only the deployment knows"),
        (
            "DestinationConfig: {OnFailure: {Destination: !Sub 'arn:aws:sqs:${AWS::Region}:1:q'}}",
            r#"'{"OnFailure":{"Destination":"'"arn:aws:sqs:${AWS_REGION}:1:q"'"}}'"#,
        ),
    ] {
        let outcome = outcome(&format!("FunctionName: !Ref Feed, {setting}"));
        assert!(outcome.contains(expected), "{setting}: {outcome}");
    }
    let note = print_of(&written(&mapping("FunctionName: !Ref Feed, SomethingNew: 1")), &[]);
    assert!(String::from_utf8_lossy(&note.stderr).contains("note: Map: SomethingNew is not printed"));
}

/// Above all the key: a filter that is encrypted must not be created in the clear.
#[test]
fn what_else_the_api_knows_is_printed() {
    for (setting, expected) in [
        ("KmsKeyArn: 'arn:aws:kms:eu-west-1:1:key/k'", "--kms-key-arn arn:aws:kms:eu-west-1:1:key/k"),
        ("KmsKeyArn: !GetAtt Pets.Key", r#"--kms-key-arn "$PETS_KEY""#),
        ("KmsKeyArn: [a]", "error: Map: KmsKeyArn is no text"),
        ("MetricsConfig: {Metrics: [EventCount]}", r#"--metrics-config '{"Metrics":["EventCount"]}'"#),
        ("MetricsConfig: {Metrics: [!Ref Open]}", r#"--metrics-config "$MAP_METRICS_CONFIG""#),
        ("LoggingConfig: {SystemLogLevel: INFO}", r#"--logging-config '{"SystemLogLevel":"INFO"}'"#),
        ("Tags: [{Key: team, Value: pets}, {Key: b, Value: 1}]", r#"--tags '{"b":"1","team":"pets"}'"#),
        ("Tags: [{Key: team, Value: !Ref Open}]", r#"--tags "$MAP_TAGS""#),
        ("Tags: {team: pets}", "error: Map: Tags has no list of keys and values"),
        ("Tags: [{Key: team}]", "error: Map: Tags has no list of keys and values"),
    ] {
        let output = print_of(&written(&mapping(&format!("FunctionName: !Ref Feed, {setting}"))), &[]);
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(out.lines().chain(err.lines()).any(|line| line.trim_start() == expected), "{setting}: {out}{err}");
        assert!(!err.contains("is not printed"), "{setting}: {err}");
    }
    let none = outcome("FunctionName: !Ref Feed, Tags: []");
    assert!(!none.contains("--tags"), "{none}");
}

#[test]
fn functions_keep_their_names_and_qualifiers() {
    for (name, expected) in [
        ("!Ref Feed", "feed-of-pets"),
        ("!GetAtt Feed.Arn", "feed-of-pets"),
        ("!Ref Live", "feed-of-pets:live"),
        ("!Sub '${Feed.Arn}:beta'", "feed-of-pets:beta"),
        ("!Sub '${Feed}:${Open}'", r#""feed-of-pets:${OPEN}""#),
        ("some-other-function", "some-other-function"),
        ("!Sub '${Open}-feed'", r#""${OPEN}-feed""#),
        ("!ImportValue feed", r#""$MAP_FUNCTION_NAME""#),
        ("!Ref First", r#""feed-of-pets:${FIRST_VERSION}""#),
        ("!Sub 'arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:${Feed}:live'", "feed-of-pets:live"),
    ] {
        let outcome = outcome(&format!("FunctionName: {name}"));
        assert!(outcome.contains(&format!("--function-name {expected} \\\n")), "{name}: {outcome}");
    }
}

#[test]
fn an_alias_that_sam_publishes_is_mapped() {
    let function = "  Work:
    Type: AWS::Serverless::Function
    Properties:
      AutoPublishAlias: live
      Events: {Pets: {Type: DynamoDB, Properties: {Stream: !GetAtt Pets.StreamArn, StartingPosition: LATEST}}}
";
    let output = print_of(&written(function), &["Work"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("--function-name Work:live"), "{output:?}");
    for (name, expected) in [
        ("!Ref WorkAliaslive", "Work:live"),
        ("!Ref Work.Alias", "Work:live"),
        ("!Sub '${Work.Alias}'", "Work:live"),
        ("!Ref Work.Version", r#""Work:${WORK_VERSION}""#),
        ("!Ref Work", "Work"),
        ("!Ref WorkAliasbeta", r#""$WORK_ALIASBETA""#),
    ] {
        let text = function.to_owned() + &mapping(&format!("FunctionName: {name}"));
        let output = print_of(&written(&text), &[]);
        let out = String::from_utf8_lossy(&output.stdout);
        let of_mapping = out.split("\n\n").nth(1).unwrap_or_default();
        assert!(of_mapping.contains(&format!("--function-name {expected} \\\n")), "{name}: {out}");
    }
}

#[test]
fn what_is_not_deployed_is_left_out() {
    let two = mapping("FunctionName: !Ref Feed, BatchSize: 7")
        + &mapping("FunctionName: !Ref Feed").replace("Map:", "Other:");
    let under = |condition: &str| {
        let text = two.replacen("    Type:", &format!("    Condition: {condition}\n    Type:"), 1);
        String::from_utf8(print_of(&written(&text), &[]).stdout).expect("text")
    };
    let never = under("Never");
    assert!(!never.contains("--batch-size 7") && never.contains("--function-name feed-of-pets"), "{never}");
    assert!(under("Perhaps").contains("# Map: only where its condition holds\naws lambda"));
    let none = print_of(&written(""), &[]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("maps no DynamoDB stream"), "{none:?}");
}

#[test]
fn a_function_has_several_names() {
    for name in ["notify", "Notify"] {
        let one = printed(&[name]);
        assert_eq!(one.matches("create-event-source-mapping").count(), 1, "{name}");
    }
    let file = written(&mapping("FunctionName: !Ref Live"));
    for name in ["Feed", "feed-of-pets", "Live"] {
        assert!(print_of(&file, &[name]).status.success(), "{name}");
    }
}
