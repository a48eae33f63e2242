//! What SAM refuses in an event, which it looks at before CloudFormation does, and before functions are answered.

use super::{Findings, Rule, Subject};
use crate::template::{Entry, Node, Place, Scalar, Value};

/// What SAM takes a property for.
#[derive(Clone, Copy)]
enum Takes {
    Integer,
    Boolean,
    List,
    Map,
    /// It passes the value on.
    Anything,
}

/// The properties of SAM's event `DynamoDB`: it takes those of every event that a mapping is made of, but for
/// `ConsumerGroupId`.
const PROPERTIES: [(&str, Takes); 25] = [
    ("BatchSize", Takes::Integer),
    ("BisectBatchOnFunctionError", Takes::Boolean),
    ("DestinationConfig", Takes::Map),
    ("Enabled", Takes::Boolean),
    ("FilterCriteria", Takes::Map),
    ("FunctionResponseTypes", Takes::List),
    ("KafkaBootstrapServers", Takes::List),
    ("KmsKeyArn", Takes::Anything),
    ("LoggingConfig", Takes::Map),
    ("MaximumBatchingWindowInSeconds", Takes::Integer),
    ("MaximumRecordAgeInSeconds", Takes::Integer),
    ("MaximumRetryAttempts", Takes::Integer),
    ("MetricsConfig", Takes::Map),
    ("ParallelizationFactor", Takes::Integer),
    ("ProvisionedPollerConfig", Takes::Map),
    ("Queues", Takes::List),
    ("ScalingConfig", Takes::Map),
    ("SchemaRegistryConfig", Takes::Map),
    ("SecretsManagerKmsKeyId", Takes::Anything),
    ("SourceAccessConfigurations", Takes::List),
    ("StartingPosition", Takes::Anything),
    ("StartingPositionTimestamp", Takes::Anything),
    ("Stream", Takes::Anything),
    ("Topics", Takes::List),
    ("TumblingWindowInSeconds", Takes::Integer),
];

/// The types of destinations, which SAM reads itself.
const DESTINATIONS: [&str; 4] = ["SQS", "SNS", "S3", "Kafka"];

/// The names of the properties.
pub(super) fn names() -> [&'static str; PROPERTIES.len()] {
    PROPERTIES.map(|(name, _)| name)
}

/// Whether SAM sees an event as it is written: what comes from elsewhere may change all that stands beside it.
pub(super) fn sees(subject: &Subject<'_>, findings: &Findings<'_>) -> bool {
    let comes_from_elsewhere = |entry: &Entry| entry.key.starts_with("Fn::");
    !findings.template.has_macros() && !subject.mapping.written.entries().iter().any(comes_from_elsewhere)
}

/// In its words.
pub(super) fn refusal(subject: &Subject<'_>, reason: &str) -> String {
    format!("Resource with id [{}] is invalid. {reason}", subject.mapping.id)
}

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let written = &subject.mapping.written;
    if !sees(subject, findings) {
        return;
    }
    for (name, takes) in PROPERTIES {
        if let Some(entry) = written.entry(name).filter(|entry| !takes.admits(&entry.value)) {
            refuse(subject, entry.value.place, &takes.reason(name), takes.remedy(name), findings);
        }
    }
    if let Some(config) = written.entry("DestinationConfig").filter(|config| Takes::Map.admits(&config.value)) {
        destination(subject, config, findings);
    }
}

fn refuse(subject: &Subject<'_>, place: Place, reason: &str, remedy: String, findings: &mut Findings<'_>) {
    findings.about(subject, Rule::WrongType, place, refusal(subject, reason), remedy);
}

impl Takes {
    /// Functions pass, and so does every map of one entry.
    fn admits(self, node: &Node) -> bool {
        match (&node.value, self) {
            (Value::Null, _) | (_, Self::Anything) => true,
            (Value::Map(entries), _) if entries.len() == 1 => true,
            (Value::Map(_), Self::Map) | (Value::List(_), Self::List) => true,
            // A boolean is an integer in Python.
            (Value::Scalar(scalar), Self::Integer) => scalar.integer().is_some() || scalar.boolean().is_some(),
            (Value::Scalar(scalar), Self::Boolean) => scalar.boolean().is_some(),
            _ => false,
        }
    }

    fn reason(self, name: &str) -> String {
        match self {
            Self::Map => format!("Property '{name}' should be a map."),
            _ => format!("Type of property '{name}' is invalid."),
        }
    }

    fn remedy(self, name: &str) -> String {
        match self {
            Self::Integer => format!("{name} takes one integer without quotes: SAM takes no text for a number"),
            Self::Boolean => format!("{name} takes true or false without quotes: SAM takes no text for a boolean"),
            Self::List => format!("{name} takes a list"),
            Self::Map | Self::Anything => format!("{name} takes a map"),
        }
    }
}

/// SAM reads where failed batches are reported to, to allow it to the role.
fn destination(subject: &Subject<'_>, config: &Entry, findings: &mut Findings<'_>) {
    let answered_before = |node: &Node| findings.template.extends_language() && is_function(node);
    if config.value.entries().is_empty() || answered_before(&config.value) {
        return;
    }
    let on_failure = config.value.entry("OnFailure").map(|entry| &entry.value);
    let Some(on_failure) = on_failure.filter(|node| matches!(node.value, Value::Map(_))) else {
        let reason = "Property 'DestinationConfig.OnFailure' should be a map.";
        let remedy = "write OnFailure as a map; a condition may decide within it".to_owned();
        return refuse(subject, config.value.place, reason, remedy, findings);
    };
    let Some(kind) = on_failure.entry("Type").map(|entry| &entry.value) else { return };
    let is_known = |scalar: &Scalar| scalar.text.is_empty() || DESTINATIONS.contains(&&*scalar.text);
    if !kind.scalar().map_or(matches!(kind.value, Value::Null), is_known) && !answered_before(kind) {
        let reason = "The only valid values for 'Type' are 'SQS', 'SNS', 'S3', and 'Kafka'";
        let remedy = "say SQS, SNS, S3 or Kafka itself: SAM answers no function here".to_owned();
        refuse(subject, kind.place, reason, remedy, findings);
    }
}

fn is_function(node: &Node) -> bool {
    matches!(node.entries(), [entry] if &*entry.key == "Ref" || entry.key.starts_with("Fn::"))
}

#[cfg(test)]
mod tests {
    use crate::{check::check, template::Template};

    const EVENT: &str = "
Parameters:
  Kind: {Type: String, Default: SQS}
  Size: {Type: String, Default: '10'}
Conditions:
  Here: !Equals [!Ref 'AWS::Region', here]
Resources:
  Failures: {Type: 'AWS::SQS::Queue'}
  Pets: {Type: 'AWS::DynamoDB::Table', Properties: {StreamSpecification: {StreamViewType: NEW_IMAGE}}}
  Feed:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Changes:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Pets.StreamArn
            StartingPosition: TRIM_HORIZON
            ";

    /// What is found of an event with a property, in SAM's words.
    fn refusals(transform: &str, property: &str) -> Vec<String> {
        let text = format!("Transform: [{transform}AWS::Serverless-2016-10-31]{EVENT}{property}\n");
        let findings = check(&Template::parse("t", &text).expect("a template")).into_iter();
        let messages = findings.filter(|it| it.rule.severity() == crate::check::Severity::Error).map(|it| it.message);
        let start = "Resource with id [FeedChanges] is invalid. ";
        messages.map(|message| message.strip_prefix(start).map(str::to_owned).unwrap_or(message)).collect()
    }

    /// As SAM's own translator, version 1.115.0, answers.
    #[test]
    fn what_sam_refuses_is_an_error() {
        let of_type = |name: &str| format!("Type of property '{name}' is invalid.");
        let no_map = |name: &str| format!("Property '{name}' should be a map.");
        let undefined = |name: &str| format!("property {name} not defined for resource of type DynamoDB");
        let kinds = "The only valid values for 'Type' are 'SQS', 'SNS', 'S3', and 'Kafka'".to_owned();
        for (property, expected) in [
            ("BatchSize: '100'", of_type("BatchSize")),
            ("BatchSize: !!str 100", of_type("BatchSize")),
            ("BatchSize: 100.0", of_type("BatchSize")),
            ("BatchSize: many", of_type("BatchSize")),
            ("BatchSize: [100]", of_type("BatchSize")),
            ("MaximumRetryAttempts: '10'", of_type("MaximumRetryAttempts")),
            ("Enabled: 'true'", of_type("Enabled")),
            ("Enabled: tRUE", of_type("Enabled")),
            ("Enabled: 1", of_type("Enabled")),
            ("FunctionResponseTypes: ReportBatchItemFailures", of_type("FunctionResponseTypes")),
            ("MetricsConfig: [EventCount]", no_map("MetricsConfig")),
            ("FilterCriteria: text", no_map("FilterCriteria")),
            ("Tags: [{Key: a, Value: b}]", undefined("Tags")),
            ("EventSourceArn: arn", undefined("EventSourceArn")),
            ("FunctionName: feed", undefined("FunctionName")),
            ("SomethingNew: 1", undefined("SomethingNew")),
            ("ConsumerGroupId: group", undefined("ConsumerGroupId")),
            ("BatchSzie: 1", undefined("BatchSzie")),
            ("DocumentDBEventSourceConfig: {}", undefined("DocumentDBEventSourceConfig")),
            ("DestinationConfig: queue", no_map("DestinationConfig")),
            ("DestinationConfig: {OnFailure: queue}", no_map("DestinationConfig.OnFailure")),
            (
                "DestinationConfig: !If [Here, {OnFailure: {Destination: !GetAtt Failures.Arn}}, !Ref 'AWS::NoValue']",
                no_map("DestinationConfig.OnFailure"),
            ),
            ("DestinationConfig: {OnFailure: {Type: !Ref Kind, Destination: !GetAtt Failures.Arn}}", kinds.clone()),
            ("DestinationConfig: {OnFailure: {Type: sqs, Destination: !GetAtt Failures.Arn}}", kinds),
        ] {
            assert_eq!(refusals("", property), [expected], "{property}");
        }
    }

    #[test]
    fn what_sam_takes_is_none() {
        let written = [
            "BatchSize: 0x10",
            "BatchSize: 1_000",
            "BatchSize: !!int '100'",
            "BatchSize: !Ref Size",
            "BatchSize: !Sub '100'",
            "BatchSize: !If [Here, '10', 20]",
            "Enabled: yes",
            "Enabled: Off",
            "Enabled: !Sub 'true'",
            "FunctionResponseTypes: !If [Here, [ReportBatchItemFailures], []]",
            "FunctionResponseTypes: []",
            "MetricsConfig: {Metrics: [EventCount]}",
            "LoggingConfig: {SystemLogLevel: INFO}",
            "KmsKeyArn: key",
            "DestinationConfig: {OnFailure: {Type: , Destination: !GetAtt Failures.Arn}}",
            "DestinationConfig: {OnFailure: !If [Here, {Destination: !GetAtt Failures.Arn}, !Ref 'AWS::NoValue']}",
        ];
        for property in written {
            assert_eq!(refusals("", property), [""; 0], "{property}");
        }
    }

    /// What functions answer before SAM looks, and what a macro makes of it, nobody knows.
    #[test]
    fn what_others_change_before_sam_is_none() {
        let by_parameter = "DestinationConfig: {OnFailure: {Type: !Ref Kind, Destination: !GetAtt Failures.Arn}}";
        assert_eq!(refusals("AWS::LanguageExtensions, ", by_parameter), [""; 0]);
        for property in ["Tags: []", "BatchSize: '100'", by_parameter] {
            assert_eq!(refusals("Company, ", property), [""; 0], "{property}");
        }
    }
}
