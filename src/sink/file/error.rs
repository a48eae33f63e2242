//! Why a file was not written.

use std::{error::Error, io, sync::Arc};

/// Why a file was not written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The stream of items failed.
    #[error("the items could not be read to their end")]
    Items(#[source] Arc<dyn Error + Send + Sync>),
    /// An item is no DynamoDB JSON.
    #[error("item {item}, counted from 0, is not DynamoDB JSON like {{\"name\": {{\"S\": \"text\"}}}}")]
    NoItem {
        /// Which one.
        item: u64,
    },
    /// The text could not be compressed.
    #[error("the text could not be compressed")]
    Compression(#[source] Arc<io::Error>),
    /// The store does not take the file.
    #[error("`{file}` cannot be written to {store}")]
    Store {
        /// The file.
        file: String,
        /// The store.
        store: String,
        /// What the store says.
        source: Arc<dyn Error + Send + Sync>,
    },
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Compression(Arc::new(error))
    }
}
