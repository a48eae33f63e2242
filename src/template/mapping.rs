//! Event source mappings of streams.

use std::{fmt, sync::Arc};

use super::{
    Entry, Node, Place, Reference, Resource, Setting, Template, Value,
    invoked::{self, Invoked},
};

/// An event source mapping of a DynamoDB stream, with the settings as the template has them, not as AWS defaults them.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The logical id; that of an event of a SAM function is the function's followed by the event's, as SAM names it.
    pub id: Arc<str>,
    /// Where its name stands.
    pub place: Place,
    /// Whether it is an event of a SAM function.
    pub is_event: bool,
    /// Whether it is deployed: the condition of the resource that it is written in. Nothing where that cannot be told.
    pub active: Option<bool>,
    /// The logical id of the function, if it is of this template; that of its alias or version, if only that is.
    pub function: Option<Arc<str>>,
    /// The alias or version of the function: `live` in `!Sub ${Function}:live`, for an alias of that name, and where SAM
    /// publishes it. Where it is unknown, or known in part, that part reads `${Name}`.
    pub qualifier: Option<Arc<str>>,
    /// The stream.
    pub stream: Source,
    /// Where the stream stands, or the mapping where it does not.
    pub stream_place: Place,
    /// `TRIM_HORIZON` or `LATEST`.
    pub starting_position: Setting<String>,
    /// Records of an invocation: 1 to 10,000.
    pub batch_size: Setting<i64>,
    /// How long records are gathered: 0 to 300 seconds.
    pub window: Setting<i64>,
    /// Batches of a shard at the same time: 1 to 10.
    pub parallelization: Setting<i64>,
    /// Attempts after the first: −1 (until records expire) to 10,000.
    pub retries: Setting<i64>,
    /// The age at which records are given up: −1 (never) or 60 to 604,800 seconds.
    pub record_age: Setting<i64>,
    /// The length of tumbling windows: 0 to 900 seconds.
    pub tumbling_window: Setting<i64>,
    /// Whether a failed batch is halved.
    pub bisect: Setting<bool>,
    /// Whether records are delivered at all.
    pub enabled: Setting<bool>,
    /// What the function's answers mean: `ReportBatchItemFailures`.
    pub response_types: Vec<Setting<String>>,
    /// The filters; absent where there are none.
    pub filters: Setting<Vec<Filter>>,
    /// Where failed batches are reported to.
    pub on_failure: Option<Node>,
    /// All of its properties.
    pub properties: Node,
    /// They as SAM is given them, their functions not yet answered; nothing where it is no event.
    pub(crate) written: Node,
}

/// A filter pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// The JSON text.
    pub pattern: Setting<String>,
    /// Where it stands.
    pub place: Place,
}

/// Where the records of a mapping come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Something of a resource of this template.
    Resource(Reference),
    /// The ARN, or the part of it that is known.
    Arn(Arc<str>),
    /// Nobody knows; this is what the template has in its place.
    Unknown(Arc<str>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(reference) => reference.fmt(f),
            Self::Arn(text) | Self::Unknown(text) => f.write_str(text),
        }
    }
}

impl Mapping {
    pub(super) fn all_of(resource: &Resource, template: &Template) -> Vec<Self> {
        match &*resource.kind {
            "AWS::Lambda::EventSourceMapping" => Self::of_resource(resource, template).into_iter().collect(),
            "AWS::Serverless::Function" => {
                let events = resource.properties.get("Events").map(Node::entries).unwrap_or_default();
                let alias = invoked::published(resource, template);
                let mapping = |event| Some(Self { qualifier: alias.clone(), ..Self::of_event(resource, event)? });
                events.iter().filter_map(mapping).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether the function's answers name failed records.
    pub fn reports_failures(&self) -> Option<bool> {
        let types = &self.response_types;
        let known = types.iter().map(|one| one.known().map(|name| name == "ReportBatchItemFailures"));
        known.reduce(|found, one| if found == Some(true) { found } else { one }).unwrap_or(Some(false))
    }

    fn of_event(function: &Resource, event: &Entry) -> Option<Self> {
        if event.value.get("Type").and_then(Node::as_str) != Some("DynamoDB") {
            return None;
        }
        let empty = Node { place: event.place, value: Value::Null };
        let properties = event.value.get("Properties").unwrap_or(&empty);
        let id = format!("{}{}", function.id, event.key);
        let mapping = Self::of(id.into(), event.place, properties, "Stream");
        let written = function.written.at(&["Events", &event.key, "Properties"]).cloned().unwrap_or(empty.clone());
        let (active, function) = (function.active, Some(Arc::clone(&function.id)));
        Some(Self { is_event: true, active, function, written, ..mapping })
    }

    fn of_resource(resource: &Resource, template: &Template) -> Option<Self> {
        let mapping = Self::of(Arc::clone(&resource.id), resource.place, &resource.properties, "EventSourceArn");
        let of_dynamodb = match &mapping.stream {
            Source::Resource(reference) => template.target(reference).is_some_and(|it| is_of_dynamodb(it, reference)),
            Source::Arn(text) if text.starts_with("arn:") => text.contains(":dynamodb:"),
            Source::Arn(name) | Source::Unknown(name) => speaks_of_a_table(name),
        };
        let invoked = resource.properties.get("FunctionName").and_then(|name| Invoked::of(name, template));
        let (function, qualifier) = invoked.map(|it| (it.function, it.qualifier)).unzip();
        of_dynamodb.then_some(Self { active: resource.active, function, qualifier: qualifier.flatten(), ..mapping })
    }

    fn of(id: Arc<str>, place: Place, properties: &Node, stream: &str) -> Self {
        let property = |name| properties.get(name);
        let number = |name| Setting::of(property(name));
        let types = property("FunctionResponseTypes").map(Node::one_or_more).unwrap_or_default();
        Self {
            id,
            place,
            is_event: false,
            active: None,
            function: None,
            qualifier: None,
            stream: source(property(stream)),
            stream_place: property(stream).map_or(place, |node| node.place),
            starting_position: Setting::of(property("StartingPosition")),
            batch_size: number("BatchSize"),
            window: number("MaximumBatchingWindowInSeconds"),
            parallelization: number("ParallelizationFactor"),
            retries: number("MaximumRetryAttempts"),
            record_age: number("MaximumRecordAgeInSeconds"),
            tumbling_window: number("TumblingWindowInSeconds"),
            bisect: Setting::of(property("BisectBatchOnFunctionError")),
            enabled: Setting::of(property("Enabled")),
            response_types: types.iter().map(|node| Setting::of(Some(node))).collect(),
            filters: filters(property("FilterCriteria")),
            on_failure: properties.at(&["DestinationConfig", "OnFailure", "Destination"]).cloned(),
            properties: properties.clone(),
            written: Node { place, value: Value::Null },
        }
    }
}

/// Whether something of a resource is a stream: of a table, or of something with outputs of its own that is named so.
fn is_of_dynamodb(resource: &Resource, reference: &Reference) -> bool {
    let output = reference.attribute.as_deref().filter(|_| resource.has_outputs());
    resource.kind.contains("DynamoDB") || output.is_some_and(speaks_of_a_table)
}

fn source(node: Option<&Node>) -> Source {
    match node.map(|node| &node.value) {
        Some(Value::Resource(reference)) => Source::Resource(reference.clone()),
        Some(Value::Scalar(scalar)) => Source::Arn(Arc::clone(&scalar.text)),
        Some(Value::Unknown(about)) => Source::Unknown(Arc::clone(about)),
        _ => Source::Unknown("".into()),
    }
}

fn speaks_of_a_table(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["dynamo", "ddb", "table"].iter().any(|word| name.contains(word))
}

/// An empty list is as none (ESM-3).
fn filters(criteria: Option<&Node>) -> Setting<Vec<Filter>> {
    let Some(criteria) = criteria else { return Setting::Absent };
    let place = criteria.place;
    if criteria.is_unknown() {
        return Setting::Unknown(place);
    }
    match criteria.get("Filters") {
        None => Setting::Absent,
        Some(list) if list.is_unknown() => Setting::Unknown(place),
        Some(list) if all_unknown(list.elements()) => Setting::Unknown(place),
        Some(list) if matches!(list.value, Value::List(_)) => {
            let filters: Vec<Filter> = list.elements().iter().map(filter).collect();
            if filters.is_empty() { Setting::Absent } else { Setting::Known(filters, place) }
        }
        Some(list) => Setting::Unreadable(list.place),
    }
}

/// Any of them may be `AWS::NoValue`.
fn all_unknown(filters: &[Node]) -> bool {
    !filters.is_empty() && filters.iter().all(Node::is_unknown)
}

fn filter(node: &Node) -> Filter {
    let pattern = node.get("Pattern");
    Filter { pattern: Setting::of(pattern), place: pattern.map_or(node.place, |pattern| pattern.place) }
}
