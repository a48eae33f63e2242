//! JSON lines, as CloudWatch reads them.

use tracing_subscriber::EnvFilter;

/// Sets up JSON logs on standard output, unless the program has a `tracing` subscriber already.
///
/// `RUST_LOG`, else `AWS_LAMBDA_LOG_LEVEL`, chooses the level (default `info`). Request ids stand in each line's
/// span. Neither items nor keys are logged, below `trace`.
pub fn init() {
    let level = std::env::var("RUST_LOG").or_else(|_| std::env::var("AWS_LAMBDA_LOG_LEVEL"));
    let filter = EnvFilter::try_new(level.as_deref().unwrap_or("info")).unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter);
    // Lambda adds no time of its own to JSON logs, so ours stays.
    _ = logs.try_init();
}
