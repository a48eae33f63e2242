//! `anabranch check` against a folder of templates: `tests/check/`.
//!
//! Each template has one planted fault, or none. What must be found stands in a comment on the faulty line:
//! `# finds: out-of-range` for a finding at the line's value, `# finds: no-bisect at key` for one where its text begins.
//! In JSON it is a member `"finds"` on a line of its own, which speaks of the line below.

use std::{collections::BTreeSet, fs, path::Path};

use anabranch::{
    check::{Rule, check},
    template::Template,
};

/// Rule, line and column.
type Finding = (String, usize, usize);

struct Case {
    name: String,
    text: String,
}

fn corpus() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    let paths = fs::read_dir(folder).expect("the folder of templates").map(|entry| entry.expect("an entry").path());
    let case = |path: &Path| Case {
        name: path.file_name().expect("a name").to_string_lossy().into_owned(),
        text: fs::read_to_string(path).expect("readable"),
    };
    let mut cases: Vec<Case> = paths.map(|path| case(&path)).collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

impl Case {
    fn found(&self) -> BTreeSet<Finding> {
        let template = Template::parse(&self.name, &self.text).unwrap_or_else(|error| panic!("{error}"));
        let findings = check(&template).into_iter();
        findings.map(|it| (it.rule.id().to_owned(), it.place.line, it.place.column)).collect()
    }

    fn expected(&self) -> BTreeSet<Finding> {
        let lines: Vec<&str> = self.text.lines().collect();
        let expected = |(at, line): (usize, &&str)| match (
            line.split_once(" # finds: "),
            line.trim().strip_prefix(r#""finds": ""#),
        ) {
            (Some((code, rules)), _) => finds(rules, at + 1, code),
            (None, Some(rules)) => finds(rules.trim_end_matches("\","), at + 2, lines[at + 1]),
            (None, None) => Vec::new(),
        };
        lines.iter().enumerate().flat_map(expected).collect()
    }
}

fn finds(rules: &str, line: usize, code: &str) -> Vec<Finding> {
    let finding = |rule: &str| match rule.trim().strip_suffix(" at key") {
        Some(rule) => (rule.to_owned(), line, key_column(code)),
        None => (rule.trim().to_owned(), line, value_column(code)),
    };
    rules.split(',').map(finding).collect()
}

fn key_column(code: &str) -> usize {
    let key = code.trim_start().trim_start_matches("- ");
    code.chars().count() - key.chars().count() + 1
}

/// Behind the first `: `; a line without one is a value itself.
fn value_column(code: &str) -> usize {
    code.find(": ").map_or_else(|| key_column(code), |at| code[..at].chars().count() + 3)
}

#[test]
fn every_fault_is_found_at_its_place_and_nothing_else() {
    let cases = corpus();
    assert!(cases.len() >= 60, "{} templates", cases.len());
    let wrong: Vec<String> =
        cases.iter().filter(|case| case.found() != case.expected()).map(Case::difference).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

impl Case {
    fn difference(&self) -> String {
        let (found, expected) = (self.found(), self.expected());
        let missed: Vec<_> = expected.difference(&found).collect();
        let false_alarms: Vec<_> = found.difference(&expected).collect();
        format!("  {}: missed {missed:?}, false alarms {false_alarms:?}", self.name)
    }
}

#[test]
fn every_rule_has_a_template() {
    let found: BTreeSet<String> = corpus().iter().flat_map(Case::expected).map(|(rule, ..)| rule).collect();
    let missing: Vec<_> = Rule::ALL.iter().map(|rule| rule.id()).filter(|id| !found.contains(*id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn correct_templates_are_named_so() {
    for case in corpus() {
        assert_eq!(case.name.starts_with("correct-"), case.expected().is_empty(), "{}", case.name);
    }
}

/// A correct template whose every value is a parameter without default: nothing is known, so nothing is found.
#[test]
fn what_is_unknown_is_no_fault() {
    for case in corpus().iter().filter(|case| case.name.ends_with(".yaml")) {
        let unknown = |line: &str| match line.trim_start().split_once(": ") {
            Some((key, _)) if SETTINGS.contains(&key) => {
                format!("{}: !ImportValue x", line.split(": ").next().unwrap())
            }
            _ => line.to_owned(),
        };
        let text: Vec<String> = case.text.lines().map(unknown).collect();
        let Ok(template) = Template::parse(&case.name, &text.join("\n")) else { continue };
        for finding in check(&template) {
            let line = text[finding.place.line - 1].trim_start();
            assert!(!SETTINGS.iter().any(|key| line.starts_with(&format!("{key}: "))), "{finding}");
        }
    }
}

const SETTINGS: [&str; 10] = [
    "BatchSize",
    "StartingPosition",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "MaximumBatchingWindowInSeconds",
    "BisectBatchOnFunctionError",
    "ParallelizationFactor",
    "TumblingWindowInSeconds",
    "Destination",
    "StreamViewType",
];

#[test]
fn the_page_names_every_rule() {
    let page = include_str!("../src/docs/check.md");
    for rule in Rule::ALL {
        let row = format!("| `{rule}` | {} | {} |", rule.severity(), rule.summary());
        assert!(page.contains(&row), "src/docs/check.md lacks: {row}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(rows.count(), Rule::ALL.len());
}

/// The template of this repository is clean, and would not be if a role named something else than what its function needs.
#[test]
fn a_role_that_names_something_else_is_found() {
    let text = include_str!("../template.yaml");
    let found = |text: &str| -> Vec<_> {
        let template = Template::parse("template.yaml", text).expect("a template");
        check(&template).iter().map(|finding| (finding.rule, finding.resource.to_string())).collect()
    };
    assert_eq!(found(text), []);
    for (named, other, rule) in [
        (
            "!GetAtt DeadLetters.Arn, !GetAtt Failures.Arn]\n              - Sid",
            "!GetAtt DeadLetters.Arn]\n              - Sid",
            Rule::DestinationPermission,
        ),
        ("${PetTracker.Arn}/stream/*", "${Views.Arn}/stream/*", Rule::StreamPermission),
    ] {
        assert_eq!(found(&text.replacen(named, other, 1)), [(rule, "ReplicateChanges".to_owned())], "{other}");
    }
}
