//! What one invocation counts.

use std::{
    collections::{BTreeMap, HashMap},
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit, with_local_recorder,
};

/// Collects the metrics of one invocation.
///
/// The `metrics` facade has one recorder for the whole process, which cannot tell the invocations apart that a function
/// works on side by side. A collector is the recorder of one future only: it is set while that future is polled, and at
/// no other time. What a task that the future has spawned records is not in it.
///
/// ```
/// use anabranch::metric::{Collector, Emf};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let collector = Collector::default();
/// collector.scope(async { metrics::counter!("PetsWelcomed").increment(2) }).await;
/// let lines = Emf::default().lines(&collector, "welcome", &[]);
/// assert!(lines.contains(r#""PetsWelcomed":2"#));
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Collector {
    series: Mutex<Series>,
}

#[derive(Debug, Default)]
struct Series {
    counters: BTreeMap<Key, Arc<AtomicU64>>,
    gauges: BTreeMap<Key, Arc<AtomicU64>>,
    histograms: BTreeMap<Key, Arc<Values>>,
    units: HashMap<KeyName, Unit>,
}

#[derive(Debug, Default)]
struct Values(Mutex<Vec<f64>>);

/// A metric as it was when the invocation ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) key: Key,
    pub(super) unit: Option<Unit>,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Count(u64),
    Gauge(f64),
    Values(Vec<f64>),
}

impl Collector {
    /// The output of `work`, whose metrics are collected here.
    pub async fn scope<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|context| with_local_recorder(self, || work.as_mut().poll(context))).await
    }

    fn series(&self) -> MutexGuard<'_, Series> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, name: KeyName, unit: Option<Unit>) {
        if let Some(unit) = unit {
            self.series().units.insert(name, unit);
        }
    }

    /// What was recorded so far, by name and labels.
    pub(super) fn samples(&self) -> Vec<Sample> {
        let series = self.series();
        let count = |(key, value): (&Key, &Arc<AtomicU64>)| {
            series.sample(key, Some(Unit::Count), Value::Count(value.load(Ordering::Acquire)))
        };
        let gauge = |(key, value): (&Key, &Arc<AtomicU64>)| {
            series.sample(key, None, Value::Gauge(f64::from_bits(value.load(Ordering::Acquire))))
        };
        let values =
            |(key, values): (&Key, &Arc<Values>)| series.sample(key, None, Value::Values(values.lock().clone()));
        let counters = series.counters.iter().map(count);
        counters.chain(series.gauges.iter().map(gauge)).chain(series.histograms.iter().map(values)).collect()
    }
}

impl Series {
    fn sample(&self, key: &Key, otherwise: Option<Unit>, value: Value) -> Sample {
        Sample { key: key.clone(), unit: self.units.get(key.name()).copied().or(otherwise), value }
    }
}

impl Values {
    fn lock(&self) -> MutexGuard<'_, Vec<f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HistogramFn for Values {
    fn record(&self, value: f64) {
        self.lock().push(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.lock().extend(std::iter::repeat_n(value, count));
    }
}

impl Recorder for Collector {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(name, unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(name, unit);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(name, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::clone(self.series().counters.entry(key.clone()).or_default()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::clone(self.series().gauges.entry(key.clone()).or_default()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::clone(self.series().histograms.entry(key.clone()).or_default()))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use metrics::{counter, gauge, histogram};
    use tokio::task::yield_now;

    use super::*;

    fn value(collector: &Collector, name: &str) -> Option<Value> {
        collector.samples().into_iter().find(|sample| sample.key.name() == name).map(|sample| sample.value)
    }

    async fn work(steps: u64) {
        for step in 0..steps {
            counter!("steps").increment(1);
            histogram!("step").record(step as f64);
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn invocations_side_by_side_are_kept_apart() {
        let collectors: Vec<_> = (0..4).map(|_| Collector::default()).collect();
        join_all((1..).zip(&collectors).map(|(n, collector)| collector.scope(work(10 * n)))).await;
        for (n, collector) in (1..).zip(&collectors) {
            assert_eq!(value(collector, "steps"), Some(Value::Count(10 * n)));
            assert_eq!(value(collector, "step"), Some(Value::Values((0..10 * n).map(|step| step as f64).collect())));
        }
    }

    #[tokio::test]
    async fn what_is_recorded_elsewhere_is_not_here() {
        let collector = Collector::default();
        counter!("steps").increment(1);
        let spawned = || async { tokio::spawn(work(3)).await.expect("it ends") };
        collector.scope(spawned()).await;
        assert_eq!(collector.samples(), []);
    }

    #[tokio::test]
    async fn units_are_those_that_were_described() {
        let collector = Collector::default();
        collector
            .scope(async {
                metrics::describe_gauge!("left", Unit::Seconds, "what is left");
                gauge!("left").set(1.5);
                counter!("steps").increment(1);
            })
            .await;
        let units: Vec<_> = collector.samples().into_iter().map(|sample| (sample.value, sample.unit)).collect();
        assert_eq!(units, [(Value::Count(1), Some(Unit::Count)), (Value::Gauge(1.5), Some(Unit::Seconds))]);
    }
}
