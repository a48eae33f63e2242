//! How fast: capacity paid after the fact, throttles answered by going slower, and when a page no longer fits the time.

mod bucket;
mod latency;
mod pacer;
mod sink_rate;

pub use bucket::Bucket;
pub use latency::Slowest;
pub(super) use pacer::Pacer;
pub use sink_rate::SinkRate;
