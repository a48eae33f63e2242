//! The call that creates a mapping.

use anabranch::template::{Entry, Filter, Function, Mapping, Node, Setting, Template, Value};
use serde_json::json;

use super::shell;
use crate::BoxError;

/// Settings with one value each, and the options that they are for the AWS CLI.
const VALUES: [(&str, &str); 8] = [
    ("StartingPosition", "--starting-position"),
    ("BatchSize", "--batch-size"),
    ("MaximumBatchingWindowInSeconds", "--maximum-batching-window-in-seconds"),
    ("ParallelizationFactor", "--parallelization-factor"),
    ("TumblingWindowInSeconds", "--tumbling-window-in-seconds"),
    ("MaximumRetryAttempts", "--maximum-retry-attempts"),
    ("MaximumRecordAgeInSeconds", "--maximum-record-age-in-seconds"),
    ("KmsKeyArn", "--kms-key-arn"),
];

/// Settings that are structures, and the options that they are.
const STRUCTURES: [(&str, &str); 2] = [("MetricsConfig", "--metrics-config"), ("LoggingConfig", "--logging-config")];

/// Settings that a call is made of in other ways.
const OTHERS: [&str; 9] = [
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "Enabled",
    "EventSourceArn",
    "FilterCriteria",
    "FunctionName",
    "FunctionResponseTypes",
    "Stream",
    "Tags",
];

/// The call, over several lines.
///
/// # Errors
/// The template does not say enough, or something that cannot be.
pub(super) fn call(mapping: &Mapping, template: &Template) -> Result<String, BoxError> {
    if mapping.properties.is_unknown() || mapping.properties.entries().iter().any(|entry| entry.adds_unknown()) {
        return Err(format!("{}: only the deployment knows its settings", mapping.id).into());
    }
    let call = Call { mapping, template };
    let mut lines = vec![
        "aws lambda create-event-source-mapping".to_owned(),
        format!("--function-name {}", call.function()?),
        format!("--event-source-arn {}", call.stream()?),
    ];
    for (name, flag) in VALUES {
        lines.extend(call.property(name)?.map(|value| format!("{flag} {value}")));
    }
    lines.extend(call.response_types()?);
    lines.extend(call.bisect()?.then(|| "--bisect-batch-on-function-error".to_owned()));
    lines.extend((!call.enabled()?).then(|| "--no-enabled".to_owned()));
    lines.extend(call.filters()?.map(|criteria| format!("--filter-criteria {criteria}")));
    lines.extend(call.destination()?.map(|config| format!("--destination-config {config}")));
    for (name, flag) in STRUCTURES {
        lines.extend(mapping.properties.get(name).map(|node| format!("{flag} {}", call.json(name, known(node)))));
    }
    lines.extend(call.tags()?.map(|tags| format!("--tags {tags}")));
    let uncertain = mapping.active.is_none().then(|| format!("# {}: only where its condition holds\n", mapping.id));
    Ok(uncertain.unwrap_or_default() + &lines.join(" \\\n    "))
}

/// The settings that no option of the call stands for.
pub(super) fn left_out(mapping: &Mapping) -> Vec<&str> {
    let has_option =
        |name: &str| VALUES.iter().chain(&STRUCTURES).any(|(known, _)| *known == name) || OTHERS.contains(&name);
    mapping.properties.entries().iter().map(|entry| &*entry.key).filter(|name| !has_option(name)).collect()
}

/// The names of a mapping's function: as Cargo, the template and AWS call it.
pub(super) fn names(mapping: &Mapping, template: &Template) -> Vec<String> {
    let function = mapping.function.as_deref().and_then(|id| template.function(id));
    let written = mapping.properties.get("FunctionName").and_then(Node::as_str).map(str::to_owned);
    let Some(function) = function else { return written.into_iter().collect() };
    let known = [function.binary.known(), function.name.known()].into_iter().flatten().cloned();
    let alias = mapping.properties.get("FunctionName").and_then(Node::reference);
    let alias = alias.map(|reference| reference.resource.to_string());
    known.chain([function.id.to_string()]).chain(alias).collect()
}

struct Call<'a> {
    mapping: &'a Mapping,
    template: &'a Template,
}

impl Call<'_> {
    fn error(&self, property: &str, what: &str) -> BoxError {
        format!("{}: {property} {what}", self.mapping.id).into()
    }

    fn unknown(&self, property: &str) -> BoxError {
        self.error(property, "cannot be told from the template; --parameter may say it")
    }

    /// The variable of a property that is not known.
    fn variable(&self, property: &str) -> String {
        format!("{}.{property}", self.mapping.id)
    }

    fn value(&self, property: &str, node: &Node) -> Result<String, BoxError> {
        let value = shell::value(node, &self.variable(property));
        value.ok_or_else(|| self.error(property, "is no text"))
    }

    fn property(&self, name: &str) -> Result<Option<String>, BoxError> {
        self.mapping.properties.get(name).map(|node| self.value(name, node)).transpose()
    }

    /// The name of the function with its qualifier; what the template has there, if it is no function of the template.
    fn function(&self) -> Result<String, BoxError> {
        let written = || self.property("FunctionName")?.ok_or_else(|| self.error("FunctionName", "is missing"));
        let Some(id) = self.mapping.function.as_deref() else { return written() };
        let Some(function) = self.template.function(id) else { return written() };
        let name = name_of(&function);
        Ok(match self.mapping.qualifier.as_deref() {
            None => shell::word(&name),
            Some(known) if !known.contains("${") => shell::word(&format!("{name}:{known}")),
            Some(part) => shell::in_part(&format!("{name}:{part}")).ok_or_else(|| self.unknown("the alias"))?,
        })
    }

    fn stream(&self) -> Result<String, BoxError> {
        let property = if self.mapping.is_event { "Stream" } else { "EventSourceArn" };
        self.property(property)?.ok_or_else(|| self.error(property, "is missing"))
    }

    fn response_types(&self) -> Result<Option<String>, BoxError> {
        let property = "FunctionResponseTypes";
        let types = self.mapping.properties.get(property).map(Node::one_or_more).unwrap_or_default();
        let types: Vec<String> = types.iter().map(|node| self.value(property, node)).collect::<Result<_, _>>()?;
        Ok((!types.is_empty()).then(|| format!("--function-response-types {}", types.join(" "))))
    }

    fn bisect(&self) -> Result<bool, BoxError> {
        self.switch("BisectBatchOnFunctionError", &self.mapping.bisect, false)
    }

    fn enabled(&self) -> Result<bool, BoxError> {
        self.switch("Enabled", &self.mapping.enabled, true)
    }

    fn switch(&self, property: &str, setting: &Setting<bool>, default: bool) -> Result<bool, BoxError> {
        match setting {
            Setting::Unreadable(_) => Err(self.error(property, "is neither true nor false")),
            setting => setting.or(default).ok_or_else(|| self.unknown(property)),
        }
    }

    /// A pattern that is not known leaves all of the criteria to a variable.
    fn filters(&self) -> Result<Option<String>, BoxError> {
        let property = "FilterCriteria";
        let unknown = || Ok(Some(shell::expanded(&self.variable(property))));
        let filters = match &self.mapping.filters {
            Setting::Absent => return Ok(None),
            Setting::Unknown(_) => return unknown(),
            Setting::Unreadable(_) => return Err(self.error(property, "has no list of filters")),
            Setting::Known(filters, _) => filters,
        };
        let is_unknown = |filter: &Filter| matches!(filter.pattern, Setting::Unknown(_));
        if filters.iter().any(is_unknown) {
            return unknown();
        }
        let patterns: Option<Vec<_>> = filters.iter().map(|filter| filter.pattern.known()).collect();
        let patterns = patterns.ok_or_else(|| self.error(property, "has a filter without a pattern"))?;
        let filters: Vec<_> = patterns.iter().map(|pattern| json!({ "Pattern": pattern })).collect();
        Ok(Some(shell::word(&json!({ "Filters": filters }).to_string())))
    }

    fn destination(&self) -> Result<Option<String>, BoxError> {
        let Some(node) = &self.mapping.on_failure else { return Ok(None) };
        let config = |destination: &str| json!({"OnFailure": {"Destination": destination}}).to_string();
        if let Some(known) = node.as_str() {
            return Ok(Some(shell::word(&config(known))));
        }
        let value = self.value("Destination", node)?;
        Ok(Some(format!("'{}'", config("?").replace('?', &format!("'{value}'")))))
    }

    /// The object that the API has in place of CloudFormation's list of keys and values.
    fn tags(&self) -> Result<Option<String>, BoxError> {
        let property = "Tags";
        let Some(tags) = self.mapping.properties.get(property) else { return Ok(None) };
        let Some(known) = known(tags) else { return Ok(Some(self.json(property, None))) };
        let tag = |tag: &serde_json::Value| Some((tag["Key"].as_str()?.to_owned(), json!(tag["Value"].as_str()?)));
        let tags: Option<serde_json::Map<_, _>> = known.as_array().and_then(|tags| tags.iter().map(tag).collect());
        let tags = tags.ok_or_else(|| self.error(property, "has no list of keys and values"))?;
        Ok((!tags.is_empty()).then(|| self.json(property, Some(tags.into()))))
    }

    /// A value that leaves all of itself to a variable where any of it is unknown.
    fn json(&self, property: &str, known: Option<serde_json::Value>) -> String {
        known.map_or_else(|| shell::expanded(&self.variable(property)), |known| shell::word(&known.to_string()))
    }
}

/// A value as JSON, in which numbers and booleans are texts; nothing where any of it is unknown.
fn known(node: &Node) -> Option<serde_json::Value> {
    match &node.value {
        Value::List(nodes) => nodes.iter().map(known).collect(),
        Value::Map(entries) => {
            let member = |entry: &Entry| Some((entry.key.to_string(), known(&entry.value)?));
            entries.iter().map(member).collect::<Option<serde_json::Map<_, _>>>().map(Into::into)
        }
        Value::Null => Some(serde_json::Value::Null),
        _ => node.as_str().map(Into::into),
    }
}

/// The binary, which `cargo lambda deploy` names the function by, the name that the template chooses, or the logical id.
fn name_of(function: &Function) -> String {
    let known = function.binary.known().or(function.name.known());
    known.cloned().unwrap_or_else(|| function.id.to_string())
}
