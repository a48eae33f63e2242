//! Why a document could not be written.

use std::{fmt, sync::Arc};

use crate::sink::table::Cause;

/// Why a document could not be written or read, and by its kind what to do about it.
///
/// Names servers, indexes and fields, never what is in them. The source holds what the server said, as far as that
/// shows no document. Cloned for every operation that one failed request leaves behind.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The server takes fewer writes than it is sent.
    #[error("search server `{server}` is overloaded; scale it up or send less at a time")]
    Throttled {
        /// The server.
        server: Arc<str>,
        /// What it said.
        source: Cause,
    },
    /// Somebody else kept writing the same document.
    #[error("search server `{server}` found the document written by another at the same time")]
    Conflict {
        /// The server.
        server: Arc<str>,
        /// What it said.
        source: Cause,
    },
    /// There is no such index, and the server does not make one by itself.
    #[error("index `{index}` does not exist on search server `{server}`; create it, or correct its name")]
    NoSuchIndex {
        /// The server.
        server: Arc<str>,
        /// The index.
        index: Arc<str>,
        /// What the server said.
        source: Cause,
    },
    /// The credentials are missing or wrong, do not allow the action, or the index is blocked against writes.
    #[error(
        "search server `{server}` denies access; check the credentials and allow bulk writes and reads (es:ESHttpPost, \
         es:ESHttpGet and es:ESHttpPut, or aoss:APIAccessAll and the data access policy), and see that no index is \
         read-only because its disk is full"
    )]
    Denied {
        /// The server.
        server: Arc<str>,
        /// What it said.
        source: Cause,
    },
    /// The index takes no writes, or none can be made: it is closed, or the cluster has as many shards as it may.
    #[error(
        "index `{index}` on search server `{server}` takes no writes; open it if it is closed, or delete indexes or raise \
         `cluster.max_shards_per_node` if no more shards are allowed"
    )]
    Blocked {
        /// The server.
        server: Arc<str>,
        /// The index.
        index: Arc<str>,
        /// What the server said.
        source: Cause,
    },
    /// The server does not run the script that guards versions.
    #[error("search server `{server}` runs no inline scripts; allow inline Painless scripts in updates")]
    NoScripts {
        /// The server.
        server: Arc<str>,
        /// What it said.
        source: Cause,
    },
    /// The document alone is larger than a request may be.
    #[error("the document makes a request of {bytes} bytes, more than search server `{server}` takes")]
    TooLarge {
        /// The server.
        server: Arc<str>,
        /// The size of the request.
        bytes: usize,
    },
    /// The document does not fit the index, for example because a field has another type.
    #[error("search server `{server}` refuses the document for index `{index}`; compare it with the index's mapping")]
    Refused {
        /// The server.
        server: Arc<str>,
        /// The index.
        index: Arc<str>,
        /// What the server said.
        source: Cause,
    },
    /// The server or the way to it failed.
    #[error("the request to search server `{server}` failed")]
    Failed {
        /// The server.
        server: Arc<str>,
        /// What is known of it.
        source: Cause,
    },
    /// The time ran out before the server had answered.
    #[error("no answer from search server `{server}` before the deadline")]
    OutOfTime {
        /// The server.
        server: Arc<str>,
    },
}

impl IndexError {
    /// Whether no repetition can mend it: the document itself does not fit. Everything else may pass.
    pub fn is_reject(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Refused { .. })
    }

    /// Whether sending it again in a moment may mend it. Others need a change of the setup first.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Conflict { .. } | Self::Failed { .. })
    }
}

/// What a search server said of a failure: status, kind and as much of the reason as shows no document.
///
/// The reasons of a server quote values and ids. Of them are kept the names of fields and types, and the numbers
/// of limits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerFailure {
    /// The HTTP status, of the request or of one of its operations.
    pub status: u16,
    /// The kind of error, such as `mapper_parsing_exception`.
    pub kind: Option<String>,
    /// What it is about, such as ``field `weightKg` of type `float` ``.
    pub detail: Option<String>,
}

impl fmt::Display for ServerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP status {}", self.status)?;
        for part in [&self.kind, &self.detail].into_iter().flatten() {
            write!(f, ": {part}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ServerFailure {}
