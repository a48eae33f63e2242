//! The search kind against a model of Lambda's rule: whatever goes wrong on the way, the indexes end as the table.

#[path = "../support/mod.rs"]
mod support;

#[cfg(all(feature = "search", feature = "testing"))]
mod http;
mod memory;
mod play;
mod watched;
