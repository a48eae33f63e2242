//! One line in CloudWatch's embedded metric format, within its limits.

use metrics::Unit;
use serde_json::{Map, Value as Json, json};

use super::{
    NAMESPACE,
    collector::{Sample, Value},
};

/// The most metrics in a line, values of a metric, and dimensions that CloudWatch takes.
const METRICS: usize = 100;
const VALUES: usize = 100;
const DIMENSIONS: usize = 30;
/// The most characters that the value of a dimension may have.
const DIMENSION_LENGTH: usize = 1_024;

/// One line on its way.
#[derive(Debug)]
pub(super) struct Line {
    /// Whether CloudWatch is to make metrics of it, and the time that they are of.
    emf: bool,
    millis: u64,
    members: Map<String, Json>,
    dimensions: Vec<String>,
    metrics: Vec<Json>,
}

impl Line {
    pub(super) fn new(emf: bool, millis: u64) -> Self {
        Self { emf, millis, members: Map::new(), dimensions: Vec::new(), metrics: Vec::new() }
    }

    /// A dimension of all metrics of the line; a property of it if there are too many. Without a value there is none.
    pub(super) fn dimension(&mut self, name: &str, value: &str) {
        let visible = |char: char| if char.is_ascii() && !char.is_ascii_control() { char } else { '?' };
        let value: String = value.chars().map(visible).take(DIMENSION_LENGTH).collect();
        if value.trim().is_empty() {
            return;
        }
        let name = self.free(name);
        if self.dimensions.len() < DIMENSIONS {
            self.dimensions.push(name.clone());
        }
        self.members.insert(name, value.into());
    }

    /// What the line can be searched for.
    pub(super) fn property(&mut self, name: &str, value: Json) {
        let name = self.free(name);
        self.members.insert(name, value);
    }

    /// Takes of a sample what has room, and answers whether that is all of it.
    pub(super) fn take(&mut self, sample: &mut Sample) -> bool {
        if self.metrics.len() == METRICS {
            return false;
        }
        let value = match &mut sample.value {
            Value::Count(count) => Some((*count).into()),
            Value::Gauge(value) => value.is_finite().then(|| json!(value)),
            Value::Values(values) => some_of(values),
        };
        if let Some(value) = value {
            let name = self.free(sample.key.name());
            self.metrics.push(json!({"Name": name, "Unit": unit(sample.unit)}));
            self.members.insert(name, value);
        }
        !matches!(&sample.value, Value::Values(values) if !values.is_empty())
    }

    /// A name that no other member of the line has.
    fn free(&self, name: &str) -> String {
        let mut name = name.to_owned();
        while name == "_aws" || self.members.contains_key(&name) {
            name.push('_');
        }
        name
    }

    /// The line with its break.
    pub(super) fn finish(mut self) -> String {
        if self.emf && !self.metrics.is_empty() {
            let directive = json!({"Namespace": NAMESPACE, "Dimensions": [self.dimensions], "Metrics": self.metrics});
            self.members.insert("_aws".to_owned(), json!({"Timestamp": self.millis, "CloudWatchMetrics": [directive]}));
        }
        let mut line = Json::Object(self.members).to_string();
        line.push('\n');
        line
    }
}

/// Takes out the first values, if one is a number that CloudWatch knows.
fn some_of(values: &mut Vec<f64>) -> Option<Json> {
    values.retain(|value| value.is_finite());
    let first: Vec<f64> = values.drain(..values.len().min(VALUES)).collect();
    match first.as_slice() {
        [] => None,
        [value] => Some(json!(value)),
        values => Some(json!(values)),
    }
}

/// A unit as CloudWatch calls it; those that it does not know are none.
fn unit(unit: Option<Unit>) -> &'static str {
    match unit {
        Some(Unit::Count) => "Count",
        Some(Unit::Percent) => "Percent",
        Some(Unit::Seconds) => "Seconds",
        Some(Unit::Milliseconds) => "Milliseconds",
        Some(Unit::Microseconds) => "Microseconds",
        Some(Unit::Bytes) => "Bytes",
        Some(Unit::TerabitsPerSecond) => "Terabits/Second",
        Some(Unit::GigabitsPerSecond) => "Gigabits/Second",
        Some(Unit::MegabitsPerSecond) => "Megabits/Second",
        Some(Unit::KilobitsPerSecond) => "Kilobits/Second",
        Some(Unit::BitsPerSecond) => "Bits/Second",
        Some(Unit::CountPerSecond) => "Count/Second",
        Some(Unit::Nanoseconds | Unit::Tebibytes | Unit::Gibibytes | Unit::Mebibytes | Unit::Kibibytes) | None => {
            "None"
        }
    }
}
