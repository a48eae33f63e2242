//! Records that were given up on, handed over again.
//!
//! # Flow
//! [`Lost::read_all`] reads what failures leave behind: the documents of Lambda's failure destinations (a queue's message, a topic's
//! notification, a bucket's object), and the letters of our own [dead letter sinks](crate::sink::dead_letter). [`Lost::batch`] gets the
//! records: from the document if it has them, or again from the shard. [`Redrive`] hands them to a function, and says which of them it
//! handled.
//!
//! # Guarantees
//! Records of a document come in their order, and no later one is handed over once one has failed: a redrive that is repeated goes on where
//! the order allows. Letters are records of their own, one to an invocation.
//!
//! # Assumptions
//! The function does no harm with what is old: since the records were given up on, newer changes of the same items were delivered. The
//! handlers of this crate compare versions, and skip what is stale where a later state, or a trace of a deletion, is there:
//!
//! | Handler | An item that was deleted meanwhile, or has left its entity type |
//! |---|---|
//! | a view | stays gone: its ledger remembers, for 30 days unless said otherwise |
//! | a replica or an index with tombstones | stays gone, as long as they are kept |
//! | a replica that [reads late changes again](crate::replica#late-changes), which knows its [route](crate::replica#routes) | stays gone |
//! | any other replica or index | **comes back**, until its next change |
//!
//! After a redrive to one of the last kind put the replica right: `anabranch verify --source TABLE --replica REPLICA --full --repair`. A
//! [plain](crate::replica#plain-mode) replica compares nothing: an old state overwrites a newer one.
//!
//! # Caveats
//! A queue and a topic get the shard and the first and the last sequence number only (ESM-47). Between these there may be records that
//! the function never got, because of a filter or of lanes: [`Redrive::filter`] takes the mapping's filter. What failed in the final
//! invocation of a tumbling window is the window's state and no record (ESM-55): there is nothing to hand over.
//!
//! # Errors
//! See [`RedriveError`]. The stream keeps records for 24 hours.
//!
//! ```
//! use anabranch::{source::{mapping::{InProcess, Sequence}, redrive::{Lost, Redrive}}, router::Router};
//! use anabranch::{record::{NewImage, RawImage, Record}, testing::streams::StreamSimulator};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! async fn look(record: Record<RawImage, NewImage>) {}
//!
//! let stream = StreamSimulator::new();
//! let numbers = [stream.put("PET#1"), stream.put("PET#2")].map(|n| stream.sequence(n));
//! let body = format!(
//!     r#"{{"requestContext": {{"functionArn": "look", "condition": "RetryAttemptsExhausted"}}, "DDBStreamBatchInfo": {{
//!         "shardId": "{}", "startSequenceNumber": "{}", "endSequenceNumber": "{}", "batchSize": 2, "streamArn": "{}"}}}}"#,
//!     stream.open_shards()[0], numbers[0], numbers[1], stream.arn(),
//! );
//! let redrive = Redrive::new(InProcess::new("look", Router::<NewImage>::new().every(look)));
//! for lost in Lost::read_all(&body)? {
//!     let batch = lost.batch(&stream).await?;
//!     let report = redrive.hand_over(&batch).await;
//!     assert_eq!((report.handled, report.unfinished), (2, None));
//! }
//! # Ok(()) }
//! ```

mod document;
mod error;
mod hand_over;
mod lost;
mod range;

pub use error::RedriveError;
pub use hand_over::{Redrive, Redriven, Unfinished};
pub use lost::{Batch, Lost, LostRecords};
