#![doc = include_str!("../docs/check.md")]

mod admission;
mod destination;
mod filter;
mod names;
mod permission;
mod rule;
mod sam;
mod stream;
mod subject;
mod trap;

use std::{fmt, sync::Arc};

pub use rule::{Rule, Severity};
use serde::Serialize;
use subject::Subject;

use crate::template::{Node, Place, Template};

/// A fault of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Which rule found it.
    pub rule: Rule,
    /// What the template is called.
    pub file: Arc<str>,
    /// Where the fault stands.
    pub place: Place,
    /// The logical id of the mapping or the resource.
    pub resource: Arc<str>,
    /// What is wrong; in AWS's words where AWS would refuse it.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// One line, as compilers write it: `template.yaml:12:24: error[out-of-range]: ..`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, file, place, resource, message, .. } = self;
        write!(f, "{file}:{place}: {}[{rule}]: {resource}: {message}", rule.severity())
    }
}

/// As an object: `rule`, `severity`, `file`, `line`, `column`, `resource`, `message`, `remedy`.
impl Serialize for Finding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut object = serializer.serialize_struct("Finding", 8)?;
        object.serialize_field("rule", self.rule.id())?;
        object.serialize_field("severity", self.rule.severity().name())?;
        object.serialize_field("file", &*self.file)?;
        object.serialize_field("line", &self.place.line)?;
        object.serialize_field("column", &self.place.column)?;
        object.serialize_field("resource", &*self.resource)?;
        object.serialize_field("message", &self.message)?;
        object.serialize_field("remedy", &self.remedy)?;
        object.end()
    }
}

/// Everything that would fail, lose or loop in production, in the order of the file.
///
/// ```
/// use anabranch::{check::check, template::Template};
///
/// let template = Template::parse("template.yaml", "
/// Resources:
///   Feed:
///     Type: AWS::Serverless::Function
///     Properties:
///       Events:
///         Stream:
///           Type: DynamoDB
///           Properties:
///             Stream: arn:aws:dynamodb:eu-west-1:123456789012:table/Pets/stream/2026-01-01T00:00:00.000
///             StartingPosition: TRIM_HORIZON
///             BatchSize: 20000
/// ")?;
/// let findings = check(&template);
/// assert!(findings.iter().any(|finding| finding.rule.id() == "no-batch-response"));
/// let finding = findings.iter().find(|finding| finding.rule.id() == "out-of-range").expect("found");
/// assert_eq!((finding.place.line, finding.place.column), (12, 24));
/// # Ok::<(), anabranch::template::TemplateError>(())
/// ```
pub fn check(template: &Template) -> Vec<Finding> {
    let mut findings = Findings { template, found: Vec::new() };
    let subjects = Subject::all_of(template);
    findings.undefined();
    for subject in &subjects {
        sam::check(subject, &mut findings);
        names::check(subject, &mut findings);
        admission::check(subject, &mut findings);
        stream::check(subject, &mut findings);
        destination::check(subject, &mut findings);
        filter::check(subject, &mut findings);
        permission::check(subject, &mut findings);
        trap::check(subject, &mut findings);
    }
    stream::check_all(&subjects, &mut findings);
    destination::check_queues(template, &subjects, &mut findings);
    let mut found = findings.found;
    found.sort_by_key(|finding| (finding.place, finding.rule));
    found.dedup();
    found
}

/// What was found so far.
struct Findings<'a> {
    template: &'a Template,
    found: Vec<Finding>,
}

impl Findings<'_> {
    /// Adds a finding, unless the resource allows it: `Metadata: {Anabranch: {Allow: [rule]}}`.
    fn add(&mut self, rule: Rule, place: Place, resource: &Arc<str>, message: String, remedy: impl Into<String>) {
        let file = self.template.file().into();
        let finding = Finding { rule, file, place, resource: Arc::clone(resource), message, remedy: remedy.into() };
        self.found.push(finding);
    }

    /// Adds a finding about a mapping, unless the resource that has it allows that.
    fn about(&mut self, subject: &Subject<'_>, rule: Rule, place: Place, message: String, remedy: impl Into<String>) {
        if !subject.allows(rule) {
            self.add(rule, place, &subject.mapping.id, message, remedy);
        }
    }

    /// Whether a rule has found something at a place.
    fn has(&self, rule: Rule, place: Place) -> bool {
        self.found.iter().any(|finding| (finding.rule, finding.place) == (rule, place))
    }

    fn undefined(&mut self) {
        for undefined in self.template.undefined() {
            let name = &undefined.name;
            let message = match &undefined.attribute {
                Some(_) => format!("Template error: instance of Fn::GetAtt references undefined resource {name}"),
                None => format!("Template format error: Unresolved resource dependencies [{name}] in the template"),
            };
            self.add(Rule::Undefined, undefined.place, name, message, "correct the name, or add what it names");
        }
    }
}

/// Whether the resource's metadata allow what a rule would find.
fn allows(metadata: &Node, rule: Rule) -> bool {
    let allowed = metadata.at(&["Anabranch", "Allow"]).map(Node::one_or_more).unwrap_or_default();
    allowed.iter().any(|name| name.as_str() == Some(rule.id()))
}
