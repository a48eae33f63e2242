//! `anabranch check`: what would fail, lose or loop, before it is deployed.

mod sarif;

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anabranch::{
    check::{Finding, Rule, Severity, check},
    template::{Template, TemplateError},
};
use serde_json::{Value, json};

/// Find in SAM and CloudFormation templates what would fail, lose or loop in production.
///
/// Looks at the event source mappings of DynamoDB streams and at what they must agree with. Exit codes: 0 nothing was
/// found, 1 AWS would refuse something, 2 a template cannot be read, 3 there are warnings only.
///
/// A resource allows what it means: Metadata: {Anabranch: {Allow: [latest]}}.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The templates, YAML or JSON
    #[arg(required = true, value_name = "TEMPLATE")]
    templates: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long, conflicts_with = "sarif")]
    json: bool,
    /// Print a SARIF 2.1.0 log, for code scanning
    #[arg(long)]
    sarif: bool,
    /// A parameter's value, in place of its default
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// A rule to leave out
    #[arg(long = "allow", value_name = "RULE", value_parser = rule)]
    allowed: Vec<Rule>,
}

/// What all templates together have shown.
struct Checked {
    findings: Vec<Finding>,
    unreadable: Vec<TemplateError>,
}

/// Checks every template and prints what was found.
pub(crate) fn run(args: &Args) -> ExitCode {
    let checked = Checked::of(args);
    if args.sarif {
        println!("{}", sarif::log(&checked.findings, &checked.unreadable));
    } else if args.json {
        println!("{}", checked.json());
    } else {
        checked.print(args.templates.len());
    }
    checked.exit_code()
}

/// `Name=value`.
pub(crate) fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as Name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn rule(text: &str) -> Result<Rule, String> {
    Rule::ALL.iter().copied().find(|rule| rule.id() == text).ok_or_else(|| {
        let names: Vec<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        format!("there are: {}", names.join(", "))
    })
}

impl Checked {
    fn of(args: &Args) -> Self {
        let parameters: BTreeMap<String, String> = args.parameters.iter().cloned().collect();
        let mut checked = Self { findings: Vec::new(), unreadable: Vec::new() };
        for path in &args.templates {
            match Template::read_with(path, &parameters) {
                Ok(template) => checked.findings.extend(check(&template)),
                Err(error) => checked.unreadable.push(error),
            }
        }
        checked.findings.retain(|finding| !args.allowed.contains(&finding.rule));
        checked
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.rule.severity() == severity).count()
    }

    fn print(&self, templates: usize) {
        for error in &self.unreadable {
            crate::explain(error);
        }
        for finding in &self.findings {
            println!("{finding}");
            println!("  {}", finding.remedy);
        }
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        eprintln!("templates: {templates}, errors: {errors}, warnings: {warnings}");
    }

    fn json(&self) -> Value {
        let unreadable: Vec<Value> = self.unreadable.iter().map(|error| json!(error.to_string())).collect();
        json!({
            "findings": self.findings,
            "unreadable": unreadable,
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
        })
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.findings.iter().map(|finding| finding.rule.severity()).min() {
            _ if !self.unreadable.is_empty() => 2,
            Some(Severity::Error) => 1,
            Some(Severity::Warning) => 3,
            None => 0,
        })
    }
}
