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
