//! Where failed batches are reported to.

use super::{Findings, Rule, Subject, allows};
use crate::template::{Function, Node, Place, Reference, Resource, Setting, Template};

/// A stream keeps its records for a day.
const RETENTION: i64 = 86_400;
/// The longest name of a destination.
const LONGEST: usize = 350;
/// How many timeouts of the function a message should stay invisible.
const TIMEOUTS: i64 = 6;

/// What a failure destination is.
enum Kind {
    Queue,
    Topic,
    Bucket,
    Kafka,
    /// Something that streams cannot report to.
    Unsupported(String),
    Unknown,
}

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let Some(node) = &subject.mapping.on_failure else { return };
    let resource = node.reference().and_then(|reference| findings.template.target(reference));
    let (kind, fault) = match (node.reference(), resource, node.scalar()) {
        (Some(reference), Some(resource), _) => of_resource(reference, resource),
        (_, _, Some(scalar)) => of_text(&scalar.text, scalar.whole),
        _ => return,
    };
    if let Some((rule, message)) = fault {
        findings.about(subject, rule, node.place, message, remedy(rule));
    } else if let Kind::Unsupported(name) = kind {
        let message = format!("Unsupported destination: {name} is no SQS queue, SNS topic, S3 bucket or Kafka topic");
        findings.about(subject, Rule::DestinationKind, node.place, message, remedy(Rule::DestinationKind));
    } else {
        permission(subject, node.place, &kind, resource, findings);
    }
}

type Fault = Option<(Rule, String)>;

fn remedy(rule: Rule) -> &'static str {
    match rule {
        Rule::DestinationFifo => "use a standard queue or topic; failure documents carry their own order",
        Rule::DestinationArn => "name its ARN: !GetAtt Queue.Arn, !Ref Topic, !GetAtt Bucket.Arn",
        Rule::OutOfRange => "use a shorter name",
        _ => "report to a standard queue",
    }
}

fn of_resource(reference: &Reference, resource: &Resource) -> (Kind, Fault) {
    let attribute = reference.attribute.as_deref();
    let (kind, is_arn, fifo) = match &*resource.kind {
        "AWS::SQS::Queue" => (Kind::Queue, attribute == Some("Arn"), "FifoQueue"),
        "AWS::SNS::Topic" => (Kind::Topic, matches!(attribute, None | Some("TopicArn")), "FifoTopic"),
        "AWS::S3::Bucket" => (Kind::Bucket, attribute == Some("Arn"), ""),
        kind if !resource.has_outputs() && is_unsupported(kind) => {
            return (Kind::Unsupported(format!("{} ({kind})", resource.id)), None);
        }
        _ => return (Kind::Unknown, None),
    };
    if Setting::<bool>::of(resource.properties.get(fifo)).known() == Some(&true) {
        let message =
            format!("Unsupported destination: {} is FIFO, and streams report to standard ones only", resource.id);
        return (kind, Some((Rule::DestinationFifo, message)));
    }
    let fault = (!is_arn).then(|| (Rule::DestinationArn, format!("{reference} is not the ARN of {}", resource.id)));
    (kind, fault)
}

fn is_unsupported(kind: &str) -> bool {
    let services = ["Lambda", "Serverless", "Events", "Kinesis", "DynamoDB", "StepFunctions", "KinesisFirehose"];
    kind.split("::").nth(1).is_some_and(|service| services.contains(&service))
}

fn of_text(text: &str, whole: bool) -> (Kind, Fault) {
    if whole && text.chars().count() > LONGEST {
        let message = format!("the destination has more than {LONGEST} characters");
        return (Kind::Unknown, Some((Rule::OutOfRange, message)));
    }
    if text.starts_with("kafka://") {
        return (Kind::Kafka, None);
    }
    if text.starts_with("${") {
        return (Kind::Unknown, None);
    }
    if !text.starts_with("arn:") {
        return (Kind::Unknown, Some((Rule::DestinationArn, format!("{text} is not an ARN"))));
    }
    let kind = match service(text) {
        Some("sqs") => Kind::Queue,
        Some("sns") => Kind::Topic,
        Some("s3") => Kind::Bucket,
        Some(name) if !name.contains('$') => Kind::Unsupported(text.to_owned()),
        _ => Kind::Unknown,
    };
    let fifo = text.ends_with(".fifo") && matches!(kind, Kind::Queue | Kind::Topic);
    let message = || format!("Unsupported destination: {text} is FIFO, and streams report to standard ones only");
    (kind, fifo.then(|| (Rule::DestinationFifo, message())))
}

/// The third part of an ARN, where `${AWS::Partition}` before it counts as one.
fn service(arn: &str) -> Option<&str> {
    let behind = arn.strip_prefix("arn:")?;
    let behind = match behind.strip_prefix("${") {
        Some(rest) => rest.split_once('}')?.1.strip_prefix(':')?,
        None => behind.split_once(':')?.1,
    };
    behind.split(':').next()
}

fn permission(
    subject: &Subject<'_>,
    place: Place,
    kind: &Kind,
    resource: Option<&Resource>,
    findings: &mut Findings<'_>,
) {
    let action = match kind {
        Kind::Queue => "sqs:SendMessage",
        Kind::Topic => "sns:Publish",
        Kind::Bucket => "s3:PutObject",
        Kind::Kafka | Kind::Unsupported(_) | Kind::Unknown => return,
    };
    let allows = |Function { permissions, .. }: &Function| match resource {
        Some(resource) => permissions.allows_on(action, resource, findings.template),
        None => permissions.allows(action),
    };
    if subject.function.as_ref().and_then(allows) == Some(false) {
        let message =
            format!("{} has no permission to {action}: failure documents are dropped", subject.function_name());
        let remedy = format!("allow {action} on the destination");
        findings.about(subject, Rule::DestinationPermission, place, message, remedy);
    }
}

/// Failure queues, and the functions that empty them.
pub(super) fn check_queues(template: &Template, subjects: &[Subject<'_>], findings: &mut Findings<'_>) {
    for queue in deployed(template).filter(|resource| resource.is("AWS::SQS::Queue")) {
        let is_it = |node: &Node| node.reference().is_some_and(|reference| reference.resource == queue.id);
        let reported = subjects.iter().any(|subject| subject.mapping.on_failure.as_ref().is_some_and(is_it));
        for (function, window) in consumers(template, &is_it) {
            visibility(queue, &function, window, reported, findings);
        }
        if let (true, Setting::Known(kept, place)) = (reported, seconds(queue, "MessageRetentionPeriod"))
            && kept < RETENTION
        {
            let message = format!("failure documents are kept for {kept} s, and their records for {RETENTION} s");
            let remedy = "keep them for days: the default is four";
            report(queue, Rule::QueueRetention, place, message, remedy.to_owned(), findings);
        }
    }
}

/// The resources that are deployed, or may be.
fn deployed(template: &Template) -> impl Iterator<Item = &Resource> {
    template.resources().iter().filter(|resource| resource.active != Some(false))
}

fn seconds(resource: &Resource, property: &str) -> Setting<i64> {
    Setting::of(resource.properties.get(property))
}

/// The functions that a queue feeds, and the windows in which it does.
fn consumers(template: &Template, is_it: &impl Fn(&Node) -> bool) -> Vec<(Function, Option<i64>)> {
    let window = |node: &Node| Setting::<i64>::of(node.get("MaximumBatchingWindowInSeconds")).or(0);
    let mut found = Vec::new();
    for resource in deployed(template) {
        let properties = &resource.properties;
        for event in properties.get("Events").map(Node::entries).unwrap_or_default() {
            let source = event.value.at(&["Properties"]);
            if let Some(source) = source.filter(|source| source.get("Queue").is_some_and(is_it)) {
                found.extend(template.function(&resource.id).map(|function| (function, window(source))));
            }
        }
        if resource.is("AWS::Lambda::EventSourceMapping") && properties.get("EventSourceArn").is_some_and(is_it) {
            let function = properties.get("FunctionName").and_then(Node::reference);
            let function = function.and_then(|reference| template.function(&reference.resource));
            found.extend(function.map(|function| (function, window(properties))));
        }
    }
    found
}

fn visibility(queue: &Resource, function: &Function, window: Option<i64>, reported: bool, findings: &mut Findings<'_>) {
    let setting = seconds(queue, "VisibilityTimeout");
    let (Some(hidden), Some(timeout)) = (setting.or(30), function.timeout.or(3)) else { return };
    let place = setting.place().unwrap_or(queue.place);
    let enough = timeout * TIMEOUTS + window.unwrap_or(0);
    let remedy = format!("set VisibilityTimeout to {enough}: six times the function's timeout, and its window");
    if hidden < timeout {
        let message =
            format!("Queue visibility timeout: {hidden} seconds is less than Function timeout: {timeout} seconds");
        report(queue, Rule::QueueTimeout, place, message, remedy, findings);
    } else if reported && hidden < enough {
        let message =
            format!("messages show again after {hidden} s, {} may take {timeout} s and be throttled", function.id);
        report(queue, Rule::QueueTimeoutLow, place, message, remedy, findings);
    }
}

fn report(queue: &Resource, rule: Rule, place: Place, message: String, remedy: String, findings: &mut Findings<'_>) {
    if !allows(&queue.metadata, rule) {
        findings.add(rule, place, &queue.id, message, remedy);
    }
}
