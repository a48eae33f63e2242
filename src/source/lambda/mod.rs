//! The whole `main` of a Lambda function.
//!
//! ```no_run
//! use anabranch::{lambda, record::{Entity, Record}, handler::Failure, router::Router};
//!
//! #[derive(serde::Deserialize)]
//! struct Pet { name: String }
//! impl Entity for Pet {
//!     const NAME: &'static str = "PET";
//! }
//!
//! async fn welcome(record: Record<Pet>) -> Result<(), Failure> { Ok(()) }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), lambda::Error> {
//!     lambda::run(Router::by_attribute("entityType").on(welcome).ignore_others()).await
//! }
//! ```
//!
//! # Flow
//! Lambda's payload is taken as bytes, before the runtime would decode it, and handed to a
//! [`Dispatcher`]; its report is logged in one line and answered as a partial batch response. Turn on
//! `ReportBatchItemFailures` in the event source mapping: without it Lambda ignores the answer (ESM-34).
//!
//! A second line holds the invocation's [metrics](crate::metric) in CloudWatch's embedded metric format, those that your
//! handlers record through the `metrics` facade included. `ANABRANCH_METRICS=log` keeps it from becoming metrics, which
//! CloudWatch charges for; `off` leaves it out.
//!
//! # Guarantees
//! Works one event at a time, and side by side on Lambda Managed Instances (`AWS_LAMBDA_MAX_CONCURRENCY`): nothing
//! but a measure of time is shared between invocations.
//!
//! # Errors
//! A payload that is no stream event fails the invocation, and so does an unfinished record that has no sequence
//! number: Lambda then delivers the whole batch again.

#[cfg(feature = "dynamodb")]
mod backfill;
mod logs;
#[cfg(feature = "otel")]
mod otel;
mod raw;

use std::{
    io::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

#[cfg(feature = "dynamodb")]
pub use backfill::run_backfill;
pub use lambda_runtime::Error;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, Service, layers::TracingLayer, service_fn};
pub use logs::{init as init_logs, layer as log_layer};
use tokio::time::Instant;

use crate::{
    dispatch::{BatchReport, BatchResponse, DispatchError, Dispatcher},
    handler::{Context, Deadline},
    metric::{Collector, Emf},
};

/// What the function's role must allow on `TABLE_ARN/stream/*`, so that Lambda can read the stream in its name.
pub const ACTIONS: &[&str] =
    &["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"];

/// Deadlines before this (September 2001, in milliseconds) are no times of an epoch: a local runtime made them up.
const EARLIEST_DEADLINE: u64 = 1_000_000_000_000;

/// Runs a function for as long as Lambda keeps it: a whole `main`.
///
/// Takes a [`Router`](crate::router::Router), or a [`Dispatcher`] where rejects go to a dead letter sink. Sets up
/// JSON logs, unless the program has a `tracing` subscriber already; `RUST_LOG` or `AWS_LAMBDA_LOG_LEVEL` chooses
/// the level (default `info`).
///
/// # Errors
/// The Lambda runtime API cannot be reached, or `ANABRANCH_METRICS` asks for something that there is not.
///
/// # Panics
/// Outside of Lambda, where the runtime's environment variables are missing. Locally, use `cargo lambda watch`.
pub async fn run(app: impl Into<Dispatcher>) -> Result<(), Error> {
    logs::init();
    let runtime = Runtime::new(function(app.into())?).layer(raw::RawBodyLayer).layer(TracingLayer::new());
    runtime.run_concurrent().await
}

/// [`run`], with a span for each invocation that OpenTelemetry understands, as a child of X-Ray's if the function is traced.
///
/// The program sets its subscriber up: [`log_layer`], and beside it `tracing-opentelemetry`'s layer with an exporter of its
/// choice. `flush` is called when the answer of an invocation is out and its spans are closed, before Lambda may freeze the process: there
/// an exporter that works in the background has to send what it has got. Take the same versions of `opentelemetry` and
/// `tracing-opentelemetry` as this crate, or spans find no parents.
///
/// ```no_run
/// use anabranch::{lambda, record::{NewImage, RawImage, Record}, router::Router};
/// use opentelemetry::trace::TracerProvider;
/// use opentelemetry_sdk::trace::{SdkTracerProvider, SpanExporter};
/// use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};
///
/// async fn audit(record: Record<RawImage, NewImage>) {}
///
/// async fn run(exporter: impl SpanExporter + 'static) -> Result<(), lambda::Error> {
///     let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
///     let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("pets"));
///     tracing_subscriber::registry().with(lambda::log_layer()).with(spans).init();
///     let flush = move || provider.force_flush().unwrap_or_else(|error| tracing::warn!(%error, "spans were lost"));
///     lambda::run_traced(Router::<NewImage>::new().every(audit), flush).await
/// }
/// ```
///
/// # Errors
/// As [`run`].
///
/// # Panics
/// As [`run`].
#[cfg(feature = "otel")]
pub async fn run_traced(app: impl Into<Dispatcher>, flush: impl Fn() + Clone + Send + 'static) -> Result<(), Error> {
    logs::init();
    let runtime = Runtime::new(function(app.into())?).layer(raw::RawBodyLayer).layer(otel::Traced::new(flush));
    runtime.run_concurrent().await
}

/// What the runtime calls for each event.
fn function(
    dispatcher: Dispatcher,
) -> Result<
    impl Service<LambdaEvent<()>, Response = BatchResponse, Error = DispatchError, Future: Send + 'static>
    + Clone
    + Send
    + 'static,
    Error,
> {
    let emf = Emf::from_env()?;
    if emf != Emf::Off {
        logs::check_metrics();
    }
    Ok(service_fn(move |event: LambdaEvent<()>| metered(emf, dispatcher.clone(), event.context)))
}

/// An answer, and the line of its metrics.
async fn metered(
    emf: Emf,
    dispatcher: Dispatcher,
    lambda: lambda_runtime::Context,
) -> Result<BatchResponse, DispatchError> {
    let context = context(&lambda);
    if emf == Emf::Off {
        return answer(dispatcher, &context).await;
    }
    let collector = Collector::default();
    let answer = collector.scope(answer(dispatcher, &context)).await;
    let lines = emf.lines(&collector, &context.function, &[("requestId", &lambda.request_id)]);
    // At once, so that lines of invocations side by side do not mix. Whether they can be written is no business of the batch.
    _ = std::io::stdout().lock().write_all(lines.as_bytes());
    answer
}

async fn answer(dispatcher: Dispatcher, context: &Context) -> Result<BatchResponse, DispatchError> {
    let started = Instant::now();
    match dispatcher.dispatch(raw::take(), context).await {
        Ok(report) => {
            log(&report, started);
            Ok(report.response())
        }
        Err(error) => {
            tracing::error!(%error, "batch failed");
            Err(error)
        }
    }
}

fn context(lambda: &lambda_runtime::Context) -> Context {
    Context {
        function: lambda.env_config.function_name.as_str().into(),
        request_id: Some(lambda.request_id.as_str().into()),
        deadline: deadline(lambda.deadline),
    }
}

/// The runtime's deadline, milliseconds since 1970, on the clock that tests can drive.
fn deadline(epoch_millis: u64) -> Deadline {
    if epoch_millis < EARLIEST_DEADLINE {
        return Deadline::NEVER;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Deadline::after(Duration::from_millis(epoch_millis).saturating_sub(now))
}

fn log(report: &BatchReport, started: Instant) {
    tracing::info!(
        read = report.read,
        applied = report.applied,
        skipped = report.skipped_total(),
        dead_lettered = report.dead_lettered,
        redelivered = report.redelivered,
        unfinished = report.unfinished.as_ref().map(|it| it.sequence_number.as_str()),
        cause = report.unfinished.as_ref().map(|it| it.cause.as_str()),
        millis = started.elapsed().as_millis() as u64,
        "batch"
    );
}

impl From<DispatchError> for Diagnostic {
    fn from(error: DispatchError) -> Self {
        let error_type = match &error {
            DispatchError::Payload(_) => "anabranch::Payload",
            DispatchError::NoSequenceNumber { .. } => "anabranch::NoSequenceNumber",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_deadline_is_none() {
        assert_eq!(deadline(600_000), Deadline::NEVER);
    }

    #[tokio::test]
    async fn a_deadline_of_the_epoch_is_kept() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
        let left = deadline(now + 60_000).remaining().expect("a deadline");
        assert!(left > Duration::from_secs(50) && left <= Duration::from_secs(60), "{left:?}");
    }

    #[tokio::test]
    async fn a_deadline_in_the_past_has_passed() {
        assert!(deadline(EARLIEST_DEADLINE).passed());
    }
}
