//! `anabranch check` as CI calls it: exit codes, JSON, SARIF.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

fn check(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    command.current_dir(folder).arg("check").args(arguments).output().expect("the command runs")
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_slice(&check(arguments).stdout).expect("JSON")
}

#[test]
fn exit_codes_say_how_bad_it_is() {
    for (arguments, expected) in [
        (&["correct-sam.yaml"][..], 0),
        (&["latest.yaml"], 3),
        (&["latest.yaml", "batch-size-0.yaml"], 1),
        (&["latest.yaml", "missing.yaml"], 2),
        (&[], 2),
        (&["latest.yaml", "--allow", "latest"], 0),
        (&["latest.yaml", "--allow", "nonsense"], 2),
        (&["batch-size-by-parameter.yaml", "--parameter", "Size=100"], 0),
    ] {
        assert_eq!(check(arguments).status.code(), Some(expected), "{arguments:?}");
    }
}

#[test]
fn people_read_a_line_and_a_remedy() {
    let shown = String::from_utf8(check(&["latest.yaml"]).stdout).expect("text");
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("latest.yaml:26:31: warning[latest]: FeedChanges: LATEST misses"), "{shown}");
    assert_eq!(lines[1..], ["  say TRIM_HORIZON"]);
}

#[test]
fn what_cannot_be_read_is_explained() {
    let output = check(&["../check.rs", "latest.yaml"]);
    let (shown, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("../check.rs:"), "{said}");
    assert!(shown.contains("latest.yaml:26:31"), "the others are checked all the same: {shown}");
}

#[test]
fn json_has_every_finding() {
    let report = json(&["several-faults.yaml", "--json"]);
    assert_eq!((&report["errors"], &report["warnings"]), (&2.into(), &1.into()));
    let finding = &report["findings"][1];
    for (key, expected) in [("rule", "out-of-range"), ("severity", "error"), ("file", "several-faults.yaml")] {
        assert_eq!(finding[key], expected);
    }
    assert_eq!((&finding["line"], &finding["column"]), (&27.into(), &24.into()));
}

#[test]
fn sarif_has_every_finding_and_its_rule() {
    let log = json(&["several-faults.yaml", "--sarif"]);
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let result = &run["results"][1];
    let rule = result["ruleIndex"].as_u64().expect("an index") as usize;
    assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "several-faults.yaml");
    assert_eq!((&place["region"]["startLine"], &place["region"]["startColumn"]), (&27.into(), &24.into()));
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    let unreadable = json(&["missing.yaml", "--sarif"]);
    assert_eq!(unreadable["runs"][0]["invocations"][0]["executionSuccessful"], false);
}
