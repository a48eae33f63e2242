//! JSON lines, as CloudWatch reads them.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::{self, PanicHookInfo},
};

use tracing::{Level, Subscriber};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// Sets up JSON logs on standard output, unless the program has a `tracing` subscriber already.
///
/// `RUST_LOG`, else `AWS_LAMBDA_LOG_LEVEL`, chooses the level (default `info`), also by target (`info,anabranch=debug`).
/// Request ids stand in each line's
/// span. Neither items nor keys are logged, below `trace`: nor are the messages of panics, which may quote them. A panic
/// is a line with its place, and with its text if that is a literal in the code; `RUST_BACKTRACE=1` adds the way there.
pub fn init() {
    // Lambda adds no time of its own to JSON logs, so ours stays.
    if tracing_subscriber::registry().with(filter()).with(lines()).try_init().is_ok() {
        panic::set_hook(Box::new(panicked));
    }
}

/// The lines of [`init`](init()) as a layer, for programs with a `tracing` subscriber of their own.
///
/// A second layer sees the same spans: one for each invocation, each batch and each handler's part of it, with the
/// range of sequence numbers. Whatever takes layers, `tracing-opentelemetry` for example, can be put beside it:
///
/// ```no_run
/// use anabranch::{lambda, record::{NewImage, RawImage, Record}, router::Router};
/// use tracing::{Subscriber, span::{Attributes, Id}};
/// use tracing_subscriber::{Layer, layer::{Context, SubscriberExt}, registry::LookupSpan, util::SubscriberInitExt};
///
/// struct Exporter;
///
/// impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Exporter {
///     fn on_close(&self, id: Id, spans: Context<'_, S>) {
///         let span = spans.span(&id).expect("it is closing");
///         // `span.name()` is "Lambda runtime invoke", "batch" or "handler"; here it would be sent.
///     }
/// }
///
/// async fn audit(record: Record<RawImage, NewImage>) {}
///
/// #[tokio::main]
/// async fn main() -> Result<(), lambda::Error> {
///     tracing_subscriber::registry().with(lambda::log_layer()).with(Exporter).init();
///     lambda::run(Router::<NewImage>::new().every(audit)).await
/// }
/// ```
pub fn layer<S: Subscriber + for<'s> LookupSpan<'s>>() -> impl Layer<S> {
    lines().with_filter(filter())
}

fn lines<S: Subscriber + for<'s> LookupSpan<'s>>() -> impl Layer<S> {
    tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false)
}

/// By level and target only: a filter by what spans hold takes regular expressions, half a megabyte of them.
fn filter() -> Targets {
    let level = std::env::var("RUST_LOG").or_else(|_| std::env::var("AWS_LAMBDA_LOG_LEVEL"));
    // Lambda knows a level above all of ours.
    let level = level.map(|level| if level.eq_ignore_ascii_case("fatal") { "error".to_owned() } else { level });
    let chosen = level.ok().and_then(|level| level.parse().ok());
    chosen.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO))
}

/// Says so if Lambda drops the lines of metrics: those have no level, which counts as INFO, and the function's may be above.
pub(super) fn check_metrics() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL");
    if level.is_ok_and(|level| hides_metrics(&level)) {
        tracing::error!(
            "the function's ApplicationLogLevel is above INFO, so Lambda drops its metrics; leave it at INFO, and set RUST_LOG instead"
        );
    }
}

fn hides_metrics(level: &str) -> bool {
    ["warn", "error", "fatal"].iter().any(|above| level.eq_ignore_ascii_case(above))
}

fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let literal = panic.payload().downcast_ref::<&'static str>().copied();
    let trace = Backtrace::capture();
    let trace = (trace.status() == BacktraceStatus::Captured).then(|| trace.to_string());
    tracing::error!(place, text = literal, trace, "panic");
    if tracing::enabled!(Level::TRACE) {
        tracing::trace!(text = panic.payload_as_str(), "panic");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lambda_hides_metrics_above_info() {
        let hiding = ["TRACE", "DEBUG", "INFO", "WARN", "warn", "ERROR", "FATAL"].map(hides_metrics);
        assert_eq!(hiding, [false, false, false, true, true, true, true]);
    }
}
