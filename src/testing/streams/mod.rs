//! A stream on virtual time, with everything that happens to streams, and a mapping rehearsed against it.
//!
//! No emulator has shards that split, iterators that expire, records that are trimmed, throttles or pages of 1 MB. This
//! simulator has, and a day takes it milliseconds. It follows the documented Streams API; its fidelity is our claim.
//!
//! ```
//! use std::time::Duration;
//! use anabranch::{source::mapping::{Answer, Settings}, testing::streams::Rehearsal};
//!
//! let mut settings = Settings::new("arn:aws:lambda:eu-west-1:123456789012:function:count");
//! settings.batch_size = 2;
//! let mut play = Rehearsal::new(settings);
//! for pet in ["PET#1", "PET#2", "PET#1"] {
//!     play.stream().put(pet);
//! }
//! play.run_for(Duration::from_secs(1));
//! assert_eq!(play.trace(), [vec![1, 2], vec![3]], "the first two records, then the third");
//! ```

mod api;
mod rehearsal;
mod simulator;

pub use api::{Call, ChildShards, Fault, Quirks};
pub use rehearsal::{Invocation, Rehearsal};
pub use simulator::StreamSimulator;
