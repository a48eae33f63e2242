//! Search indexes as sinks: versioned documents, written in bulk, and what came of each.
//!
//! - [`Index`] is the port: one bulk of operations, one read, one index made. Adapters: [`Memory`] for tests and
//!   `OpenSearch` (feature `search`), which speaks to Elasticsearch as well.
//! - [`Operation`] is one document's new state at a version, [`DocumentId`] names the document by the item's keys.
//! - [`write_documents`] is what handlers build upon: bodies cut to size, items that may be repeated repeated,
//!   nothing dropped.
//!
//! # The version rule
//!
//! An index has versions of its own, but an external one is an integer of 63 bits, and a sequence number has up
//! to 40 digits. So every document carries its [version](crate::record::Version) as a string in a field, and a
//! write goes through a script that the server runs where it holds the document. The script is one and the same for
//! every write, with parameters, so that it is compiled once:
//!
//! | Stored | Put | Remove | Tombstone |
//! |---|---|---|---|
//! | nothing | created | nothing to do: applied | created |
//! | no version, or an older one | replaced | deleted | replaced |
//! | the same version, or a later one | stale | stale | stale |
//! | a version that is no string | stale | stale | stale |
//!
//! ```
//! use anabranch::sink::index::{DocumentId, Fields, Index, Memory, Operation, Written};
//! use anabranch::sink::table::{item, text};
//! use serde_json::json;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let search = Memory::new("search");
//! let id = DocumentId::of(&item([("PK", text("USER#ada")), ("SK", text("PET#mia"))]));
//! let put = |version| Operation::put("pets", id.clone(), version, &json!({"species": "cat"}), &Fields::default());
//!
//! let answers = search.bulk(&[put("2")?]).await?;
//! assert_eq!(answers[0].as_ref().ok(), Some(&Written::Applied));
//! let answers = search.bulk(&[put("1")?]).await?;
//! assert_eq!(answers[0].as_ref().ok(), Some(&Written::Stale), "the late worker lost");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bulk;
mod error;
#[cfg(feature = "search")]
mod http;
mod id;
mod memory;
mod operation;
mod script;

use std::sync::Arc;

pub use bulk::{Limits, write_documents};
pub use error::{IndexError, ServerFailure};
use futures_util::future::BoxFuture;
#[cfg(feature = "search")]
pub use http::{AwsService, Elasticsearch, EndpointError, OpenSearch};
pub use id::{DocumentId, ID_BYTES};
pub use memory::{Asked, Fault, Memory};
pub(crate) use operation::to_json;
pub use operation::{Created, Document, Fields, NoDocument, Operation, Written, is_index_name};
pub use script::SCRIPT;

/// Search indexes whose documents are written in bulk, each under guard of its version.
///
/// Object safe, so that a handler holds an `Arc<dyn Index>`. An adapter makes one request per call and repeats
/// nothing; [`write_documents`] does. Dropping a future may leave its operations done or not done.
pub trait Index: Send + Sync + 'static {
    /// The server's name, as errors show it.
    fn name(&self) -> &str;

    /// Carries out operations on different documents in one request, and answers for each, in order.
    ///
    /// # Errors
    /// A failure of the request as a whole: none of its operations is known to be done. What became of a single
    /// one stands in its own result.
    fn bulk<'a>(
        &'a self,
        operations: &'a [Operation],
    ) -> BoxFuture<'a, Result<Vec<Result<Written, IndexError>>, IndexError>>;

    /// Reads one document as it is stored, the version field and tombstones included, seeing every operation
    /// that was acknowledged before.
    ///
    /// # Errors
    /// As for bulks.
    fn read<'a>(&'a self, index: &'a str, id: &'a DocumentId) -> BoxFuture<'a, Result<Option<Document>, IndexError>>;

    /// Makes an index with these settings, mappings and aliases unless there is one of that name.
    ///
    /// # Errors
    /// As for bulks.
    fn create<'a>(&'a self, index: &'a str, body: &'a Document) -> BoxFuture<'a, Result<Created, IndexError>>;
}

impl<I: Index + ?Sized> Index for Arc<I> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn bulk<'a>(
        &'a self,
        operations: &'a [Operation],
    ) -> BoxFuture<'a, Result<Vec<Result<Written, IndexError>>, IndexError>> {
        (**self).bulk(operations)
    }

    fn read<'a>(&'a self, index: &'a str, id: &'a DocumentId) -> BoxFuture<'a, Result<Option<Document>, IndexError>> {
        (**self).read(index, id)
    }

    fn create<'a>(&'a self, index: &'a str, body: &'a Document) -> BoxFuture<'a, Result<Created, IndexError>> {
        (**self).create(index, body)
    }
}
