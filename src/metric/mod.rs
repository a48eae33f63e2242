#![doc = include_str!("../docs/metric.md")]

mod collector;
mod emf;
mod line;

pub use collector::Collector;
pub use emf::{Emf, NAMESPACE, UnknownMetrics};
