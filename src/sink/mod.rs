//! Where effects go: ports, and an adapter for every service behind one.
//!
//! A port is a small object-safe trait; handlers and the dispatcher know only
//! the port. Every adapter of a port passes the same suite in
//! [`conformance`], and so should one of your own.
//!
//! | Port | Adapters |
//! |---|---|
//! | [`DeadLetterSink`](dead_letter::DeadLetterSink) | [`Memory`](dead_letter::Memory), [`JsonLines`](dead_letter::JsonLines), `Sqs` (feature `sqs`) |
//! | [`Index`](index::Index) | [`Memory`](index::Memory), `OpenSearch` (feature `search`) |
//! | [`Ledger`](ledger::Ledger) | [`Memory`](ledger::Memory), `DynamoDb` (feature `dynamodb`) |
//! | [`Publisher`](publisher::Publisher) | [`Memory`](publisher::Memory), [`JsonLines`](publisher::JsonLines), `Sns` (feature `sns`) |
//! | [`Table`](table::Table), [`TransactTable`](table::TransactTable) | [`Memory`](table::Memory), `DynamoDb` (feature `dynamodb`) |
//!
//! Items become files of their own in `file` (feature `export`), which is no port: stores are `object_store`'s.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod dead_letter;
#[cfg(feature = "export")]
pub mod file;
pub mod index;
pub mod ledger;
mod lines;
pub mod publisher;
pub mod table;
