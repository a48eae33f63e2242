//! `anabranch filter`: what it prints, and its exit codes.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

const PETS: &str = r#"{"eventName":["INSERT"],"dynamodb":{"NewImage":{"entityType":{"S":["PET"]}}}}"#;
const INSERT: &str = "events/insert-new-and-old-images.json";
const REMOVE: &str = "events/remove-new-and-old-images.json";

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).arg("filter").args(arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn exit_codes_tell_match_no_match_and_error() {
    let code = |arguments: &[&str]| run(arguments).status.code();
    assert_eq!(code(&["test", "--pattern", PETS, "--event", INSERT]), Some(0));
    assert_eq!(code(&["test", "--pattern", PETS, "--event", REMOVE]), Some(1));
    assert_eq!(code(&["test", "--pattern", PETS, "--event", REMOVE, INSERT]), Some(0));
    assert_eq!(
        code(&["test", "--pattern", PETS, "--pattern", r#"{"eventName":["REMOVE"]}"#, "--event", REMOVE]),
        Some(0)
    );
    assert_eq!(code(&["test", "--pattern", "{}", "--event", INSERT]), Some(2));
    assert_eq!(code(&["test", "--pattern", PETS, "--event", "events/none.json"]), Some(2));
    assert_eq!(code(&["test", "--event", INSERT]), Some(2), "no pattern at all");
    assert_eq!(code(&["test", "--pattern", PETS, "--event", "Cargo.toml"]), Some(2));
}

#[test]
fn why_not_is_told_path_by_path() {
    let output = run(&["test", "--explain", "--pattern", PETS, "--event", REMOVE]);
    let expected = format!(
        "{REMOVE} record 0: no match\npattern 1: no match\n  no   eventName: \"REMOVE\", wanted [\"INSERT\"]\n  \
         no   dynamodb.NewImage.entityType.S: not there, wanted [\"PET\"]\n"
    );
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn errors_say_what_and_where() {
    let output = run(&["test", "--pattern", r#"{"eventName":"INSERT"}"#, "--event", INSERT]);
    let said = text(&output.stderr);
    assert!(said.contains("filter pattern 1 is wrong") && said.contains("eventName (offset 13): "), "{said}");
}

#[test]
fn traps_are_told_though_the_pattern_is_taken() {
    let trap = r#"{"dynamodb":{"NewImage":{"weightKg":{"N":[{"numeric":[">",0]}]}}}}"#;
    let output = run(&["test", "--pattern", trap, "--event", INSERT]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).starts_with("warning: pattern 1: dynamodb.NewImage.weightKg.N (offset 42): never matches")
    );
}

#[test]
fn machines_read_one_object() {
    let output = run(&["test", "--json", "--explain", "--pattern", PETS, "--event", "events/single-table-batch.json"]);
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let records = said["records"].as_array().expect("records");
    assert_eq!((records.len(), &said["matches"]), (9, &Value::Bool(true)));
    for record in records {
        assert_eq!(record["matches"], record["explanations"][0]["matches"]);
    }
}

#[test]
fn records_come_from_the_standard_input_alone_and_in_lists() {
    for (input, code) in [
        (r#"{"eventName":"INSERT","dynamodb":{"NewImage":{"entityType":{"S":"PET"}}}}"#, 0),
        (r#"[{"eventName":"REMOVE"},{"eventName":"INSERT"}]"#, 1),
        ("{", 2),
        ("[7]", 2),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
        command.args(["filter", "test", "--pattern", PETS, "--event", "-"]).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        child.stdin.take().expect("an input").write_all(input.as_bytes()).expect("it reads");
        assert_eq!(child.wait().expect("it ends").code(), Some(code), "{input}");
    }
}

fn template(filters: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("template.yaml");
    let event = |name: &str, filters: &str| {
        format!(
            "        {name}:\n          Type: DynamoDB\n          Properties:\n            Stream: !GetAtt Pets.StreamArn\n            \
             StartingPosition: TRIM_HORIZON\n{filters}"
        )
    };
    let text = format!(
        "Parameters:\n  Entity: {{Type: String, Default: PET}}\n  Secret: {{Type: String}}\nResources:\n  Pets:\n    Type: AWS::DynamoDB::Table\n  \
         Notify:\n    Type: AWS::Serverless::Function\n    Properties:\n      Events:\n{}{}",
        event("Filtered", filters),
        event("All", ""),
    );
    std::fs::write(&path, text).expect("written");
    (folder, path)
}

#[test]
fn a_template_is_tested_mapping_by_mapping() {
    let pattern = r#"!Sub '{"dynamodb":{"NewImage":{"entityType":{"S":["${Entity}"]}}}}'"#;
    let (_folder, path) = template(&format!(
        "            FilterCriteria:\n              Filters:\n                - Pattern: {pattern}\n"
    ));
    let path = path.to_str().expect("text");
    let output = run(&["test", "--template", path, "--event", INSERT, REMOVE]);
    let expected = format!(
        "NotifyFiltered: {INSERT} record 0: match\nNotifyAll: {INSERT} record 0: match\n\
         NotifyFiltered: {REMOVE} record 0: no match\nNotifyAll: {REMOVE} record 0: match\n"
    );
    assert_eq!((text(&output.stdout), text(&output.stderr)), (expected, String::new()));
    let one = |id: &str| run(&["test", "--template", path, "--mapping", id, "--event", REMOVE]).status.code();
    assert_eq!([one("NotifyFiltered"), one("NotifyAll"), one("Other")], [Some(1), Some(0), Some(2)]);
}

#[test]
fn what_only_the_deployment_knows_is_an_error() {
    let (_folder, path) =
        template("            FilterCriteria:\n              Filters:\n                - Pattern: !Ref Secret\n");
    let output = run(&["test", "--template", path.to_str().expect("text"), "--event", INSERT]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot be told from the template"), "{}", text(&output.stderr));
    let said = format!("Secret={PETS}");
    let told =
        run(&["test", "--template", path.to_str().expect("text"), "--parameter", &said, "--event", INSERT, REMOVE]);
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    assert_eq!(text(&told.stdout).matches("no match").count(), 1, "{}", text(&told.stdout));
}

#[test]
fn patterns_are_printed_for_templates() {
    let output = run(&["print", "--event", "insert", "--new", "entityType=PET", "--key", "PK=USER#", "--ttl", "never"]);
    let expected = concat!(
        "FilterCriteria:\n  Filters:\n    - Pattern: '",
        r#"{"dynamodb":{"Keys":{"PK":{"S":[{"prefix":"USER#"}]}},"NewImage":{"entityType":{"S":["PET"]}}},"eventName":["INSERT"],"#,
        r#""userIdentity":{"principalId":[{"exists":false},{"anything-but":["dynamodb.amazonaws.com"]}]}}"#,
        "'\n"
    );
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn what_is_printed_can_be_tested() {
    let printed = text(&run(&["print", "--plain"]).stdout);
    let patterns: Vec<&str> = printed.lines().collect();
    assert!(patterns.len() > 8, "{printed}");
    for pattern in patterns {
        let output =
            run(&["test", "--pattern", pattern, "--event", "events/single-table-batch.json", "events/ttl-delete.json"]);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{pattern}");
    }
    assert!(
        text(&run(&["print"]).stdout)
            .contains("# the function notify: pets\nFilterCriteria:\n  Filters:\n    - Pattern: '{")
    );
}
