//! Exports, read from stores in memory and folders and through the dispatcher; items, written to them.

#[cfg(feature = "dynamodb")]
mod backfill;
mod bridge;
mod damage;
mod files;
mod reading;
mod store;
#[path = "../support/export.rs"]
mod support;
