//! Findings as SARIF 2.1.0, which code scanning reads.

use anabranch::{
    check::{Finding, Rule, Severity},
    template::TemplateError,
};
use serde_json::{Value, json};

/// The log of one run.
pub(super) fn log(findings: &[Finding], unreadable: &[TemplateError]) -> Value {
    let results: Vec<Value> = findings.iter().map(result).collect();
    let notifications: Vec<Value> = unreadable.iter().map(notification).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "anabranch",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": Rule::ALL.iter().map(|rule| descriptor(*rule)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": unreadable.is_empty(),
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
        }],
    })
}

fn level(rule: Rule) -> &'static str {
    match rule.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn descriptor(rule: Rule) -> Value {
    json!({
        "id": rule.id(),
        "shortDescription": {"text": rule.summary()},
        "defaultConfiguration": {"level": level(rule)},
    })
}

fn result(finding: &Finding) -> Value {
    let index = Rule::ALL.iter().position(|rule| *rule == finding.rule);
    json!({
        "ruleId": finding.rule.id(),
        "ruleIndex": index,
        "level": level(finding.rule),
        "message": {"text": format!("{}: {}. To do: {}.", finding.resource, finding.message, finding.remedy)},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&finding.file)},
            "region": {"startLine": finding.place.line, "startColumn": finding.place.column},
        }}],
    })
}

fn notification(error: &TemplateError) -> Value {
    json!({"level": "error", "message": {"text": error.to_string()}})
}

/// A path as a relative reference.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.replace('\\', "/").bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => uri.push(char::from(byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_reference() {
        assert_eq!(uri("infra/my template.yaml"), "infra/my%20template.yaml");
        assert_eq!(uri("infra\\é.yaml"), "infra/%C3%A9.yaml");
    }
}
