//! Exports, read: from stores in memory and folders, through the dispatcher.

mod bridge;
mod damage;
mod reading;
#[path = "../support/export.rs"]
mod support;
