//! CloudWatch's embedded metric format: metrics as lines of a log.

use std::{
    collections::BTreeMap,
    env,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value as Json};

use super::{
    Collector,
    collector::{Sample, Value},
    line::Line,
};

/// The CloudWatch namespace of all metrics.
pub const NAMESPACE: &str = "Anabranch";

/// The environment variable that chooses what is written.
const VARIABLE: &str = "ANABRANCH_METRICS";
/// The label of counts that are kept by entity.
const ENTITY: &str = "Entity";
/// The dimension that every metric has.
const FUNCTION: &str = "FunctionName";

/// What is written of the metrics of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Emf {
    /// A line that CloudWatch makes metrics of, by function; counts by entity are in it to be searched for.
    #[default]
    ByFunction,
    /// The same, and a line per entity that CloudWatch makes metrics of.
    ByEntity,
    /// The line as a line of the log that can be searched, without metrics.
    Log,
    /// Nothing: what is recorded goes to the recorder that the program has installed for the facade, if it has.
    Off,
}

/// `ANABRANCH_METRICS` asks for something that there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ANABRANCH_METRICS is none of `emf`, `emf-by-entity`, `log`, `off`")]
pub struct UnknownMetrics;

impl Emf {
    /// What the environment variable `ANABRANCH_METRICS` asks for: `emf` (also if it is not set), `emf-by-entity`, `log` or
    /// `off`.
    ///
    /// # Errors
    /// It asks for something else.
    pub fn from_env() -> Result<Self, UnknownMetrics> {
        Self::named(env::var(VARIABLE).ok().as_deref())
    }

    fn named(name: Option<&str>) -> Result<Self, UnknownMetrics> {
        match name {
            None | Some("" | "emf") => Ok(Self::ByFunction),
            Some("emf-by-entity") => Ok(Self::ByEntity),
            Some("log") => Ok(Self::Log),
            Some("off") => Ok(Self::Off),
            Some(_) => Err(UnknownMetrics),
        }
    }

    /// The lines of an invocation of `function`, each with its line break; empty if nothing was recorded.
    ///
    /// One line, unless there is more than a line may hold (100 metrics, 100 values of each), or there are metrics with
    /// labels: each set of labels is a set of dimensions, which takes a line of its own. `properties` can be searched for,
    /// and are no dimensions.
    pub fn lines(self, collector: &Collector, function: &str, properties: &[(&str, &str)]) -> String {
        self.lines_at(collector, function, properties, SystemTime::now())
    }

    fn lines_at(self, collector: &Collector, function: &str, properties: &[(&str, &str)], now: SystemTime) -> String {
        let mut text = String::new();
        if self == Self::Off {
            return text;
        }
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let head = Head { emf: self != Self::Log, millis, function, properties };
        let Sorted { plain, labelled, entities } = self.sorted(collector.samples());
        if !plain.is_empty() || !entities.is_empty() {
            head.write(&Labels::new(), plain, entities, &mut text);
        }
        for (labels, samples) in labelled {
            head.write(&labels, samples, Map::new(), &mut text);
        }
        text
    }

    fn sorted(self, samples: Vec<Sample>) -> Sorted {
        let mut sorted = Sorted::default();
        for sample in samples {
            let labels: Labels = sample.key.labels().map(|it| (it.key().to_owned(), it.value().to_owned())).collect();
            match (labels.as_slice(), &sample.value) {
                ([], _) => sorted.plain.push(sample),
                ([(name, entity)], Value::Count(count)) if name == ENTITY && self != Self::ByEntity => {
                    let counts = sorted.entities.entry(entity.as_str()).or_insert_with(|| Map::new().into());
                    let counts = counts.as_object_mut().expect("it was made as one");
                    counts.insert(sample.key.name().to_owned(), (*count).into());
                }
                _ => sorted.labelled.entry(labels).or_default().push(sample),
            }
        }
        sorted
    }
}

/// Samples by what becomes of them.
#[derive(Debug, Default)]
struct Sorted {
    plain: Vec<Sample>,
    labelled: BTreeMap<Labels, Vec<Sample>>,
    /// Counts by entity that make no metrics.
    entities: Map<String, Json>,
}

type Labels = Vec<(String, String)>;

/// What all lines of an invocation have in common.
struct Head<'h> {
    emf: bool,
    millis: u64,
    function: &'h str,
    properties: &'h [(&'h str, &'h str)],
}

impl Head<'_> {
    /// As many lines as the samples need.
    fn write(&self, labels: &Labels, mut samples: Vec<Sample>, entities: Map<String, Json>, text: &mut String) {
        let mut entities = Some(entities).filter(|entities| !entities.is_empty());
        loop {
            let mut line = self.line(labels);
            if let Some(entities) = entities.take() {
                line.property("Entities", entities.into());
            }
            samples.retain_mut(|sample| !line.take(sample));
            text.push_str(&line.finish());
            if samples.is_empty() {
                break;
            }
        }
    }

    fn line(&self, labels: &Labels) -> Line {
        let mut line = Line::new(self.emf, self.millis);
        line.dimension(FUNCTION, self.function);
        labels.iter().for_each(|(name, value)| line.dimension(name, value));
        self.properties.iter().for_each(|(name, value)| line.property(name, (*value).into()));
        line
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metrics::{counter, gauge, histogram};

    use super::*;

    async fn lines(emf: Emf, record: impl FnOnce()) -> Vec<Json> {
        let collector = Collector::default();
        collector.scope(async { record() }).await;
        let now = UNIX_EPOCH + Duration::from_millis(1_763_692_800_250);
        let text = emf.lines_at(&collector, "replicate", &[("requestId", "r-1")], now);
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// What CloudWatch reads of a line: each metric with its unit, its dimensions and its values.
    fn read(line: &Json) -> Vec<(String, String, Vec<String>, Vec<f64>)> {
        let values = |value: &Json| match value {
            Json::Array(values) => values.iter().map(|value| value.as_f64().expect("a number")).collect(),
            value => vec![value.as_f64().expect("a number")],
        };
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], NAMESPACE);
        let dimensions: Vec<String> = serde_json::from_value(directive["Dimensions"][0].clone()).expect("names");
        assert!(dimensions.iter().all(|name| line[name].is_string()), "each dimension has its value: {line}");
        let metrics = directive["Metrics"].as_array().expect("metrics");
        let metric = |metric: &Json| {
            let name = metric["Name"].as_str().expect("a name");
            let unit = metric["Unit"].as_str().expect("a unit");
            (name.to_owned(), unit.to_owned(), dimensions.clone(), values(&line[name]))
        };
        metrics.iter().map(metric).collect()
    }

    #[tokio::test]
    async fn an_invocation_is_one_line() {
        let lines = lines(Emf::ByFunction, || {
            counter!("RecordsRead").increment(3);
            histogram!(unit: metrics::Unit::Milliseconds, description: "", "BatchTime").record(2.5);
            counter!("EntityApplied", "Entity" => "PET").increment(2);
        })
        .await;
        let [line] = lines.as_slice() else { panic!("one line: {lines:?}") };
        let expected = serde_json::json!({
            "_aws": {"Timestamp": 1_763_692_800_250_u64, "CloudWatchMetrics": [{
                "Namespace": "Anabranch", "Dimensions": [["FunctionName"]], "Metrics": [
                    {"Name": "RecordsRead", "Unit": "Count"}, {"Name": "BatchTime", "Unit": "Milliseconds"}
                ]
            }]},
            "FunctionName": "replicate", "requestId": "r-1", "RecordsRead": 3, "BatchTime": 2.5,
            "Entities": {"PET": {"EntityApplied": 2}}
        });
        assert_eq!(*line, expected);
    }

    #[tokio::test]
    async fn nothing_recorded_is_nothing_written() {
        assert!(lines(Emf::ByFunction, || ()).await.is_empty());
        assert!(lines(Emf::Off, || counter!("RecordsRead").increment(1)).await.is_empty());
    }

    #[tokio::test]
    async fn a_line_of_the_log_makes_no_metrics() {
        let lines = lines(Emf::Log, || counter!("RecordsRead").increment(1)).await;
        assert_eq!(lines.len(), 1);
        assert!(lines[0].get("_aws").is_none() && lines[0]["RecordsRead"] == 1, "{lines:?}");
    }

    #[tokio::test]
    async fn labels_are_dimensions_in_a_line_of_their_own() {
        let lines = lines(Emf::ByEntity, || {
            counter!("RecordsRead").increment(5);
            counter!("EntityApplied", "Entity" => "PET").increment(2);
            counter!("EntityApplied", "Entity" => "ACTIVITY").increment(3);
        })
        .await;
        let seen: Vec<_> = lines.iter().map(|line| (line["Entity"].as_str(), read(line))).collect();
        let metric = |name: &str, dimensions: &[&str], value| {
            let dimensions = dimensions.iter().map(|name| (*name).to_owned()).collect();
            vec![(name.to_owned(), "Count".to_owned(), dimensions, vec![value])]
        };
        let by_entity = ["FunctionName", "Entity"];
        let expected = [
            (None, metric("RecordsRead", &["FunctionName"], 5.0)),
            (Some("ACTIVITY"), metric("EntityApplied", &by_entity, 3.0)),
            (Some("PET"), metric("EntityApplied", &by_entity, 2.0)),
        ];
        assert_eq!(seen, expected);
    }

    #[tokio::test]
    async fn no_value_is_lost_beyond_a_hundred() {
        let lines = lines(Emf::ByFunction, || {
            (0..257).for_each(|value| histogram!("Sizes").record(f64::from(value)));
            histogram!("Broken").record(f64::NAN);
            gauge!("Endless").set(f64::INFINITY);
            counter!("RecordsRead").increment(257);
        })
        .await;
        let metrics: Vec<_> = lines.iter().flat_map(read).collect();
        assert!(metrics.iter().all(|(_, _, _, values)| values.len() <= 100));
        let all = |wanted: &str| -> Vec<f64> {
            metrics.iter().filter(|(name, ..)| name == wanted).flat_map(|(.., values)| values.clone()).collect()
        };
        assert_eq!(all("Sizes"), (0..257).map(f64::from).collect::<Vec<_>>());
        assert_eq!(all("RecordsRead"), [257.0], "once, not in every line");
        assert_eq!((all("Broken"), all("Endless")), (vec![], vec![]), "CloudWatch takes finite numbers only");
    }

    #[tokio::test]
    async fn no_metric_is_lost_beyond_a_hundred() {
        let lines = lines(Emf::ByFunction, || (0..250).for_each(|n| counter!(format!("Metric{n}")).increment(n))).await;
        let metrics: Vec<_> = lines.iter().map(read).collect();
        assert_eq!(metrics.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
        let sum: f64 = metrics.iter().flatten().flat_map(|(.., values)| values).sum();
        assert_eq!(sum, f64::from((0..250).sum::<i32>()));
    }

    #[tokio::test]
    async fn names_that_are_taken_stay_apart() {
        let lines = lines(Emf::ByFunction, || {
            counter!("requestId").increment(1);
            counter!("_aws", "FunctionName" => "other").increment(2);
            counter!("Blank", "Empty" => "").increment(3);
        })
        .await;
        let read: Vec<_> =
            lines.iter().flat_map(read).map(|(name, _, dimensions, values)| (name, dimensions.len(), values)).collect();
        let expected = [("requestId_", 1, 1.0), ("Blank", 1, 3.0), ("_aws_", 2, 2.0)];
        assert_eq!(read, expected.map(|(name, dimensions, value)| (name.to_owned(), dimensions, vec![value])));
        assert_eq!((&lines[2]["FunctionName"], &lines[2]["FunctionName_"]), (&"replicate".into(), &"other".into()));
    }

    #[test]
    fn what_is_written_is_chosen_by_name() {
        let cases = [(None, Emf::ByFunction), (Some("emf-by-entity"), Emf::ByEntity), (Some("log"), Emf::Log)];
        for (name, emf) in cases {
            assert_eq!(Emf::named(name), Ok(emf));
        }
        assert_eq!(Emf::named(Some("of")), Err(UnknownMetrics));
    }
}
