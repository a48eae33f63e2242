//! A folder in the place of a bucket.

use std::{fs, path::PathBuf};

use futures_util::future::{BoxFuture, FutureExt};

use crate::source::mapping::{BoxError, Destination, FailureRecord};

/// Writes each failure into a file, under the key that it would have in S3, with the whole event (ESM-48).
#[derive(Debug, Clone)]
pub struct FolderDestination {
    folder: PathBuf,
}

impl FolderDestination {
    /// A folder; it is made when the first failure comes.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

impl Destination for FolderDestination {
    fn deliver<'a>(&'a self, failure: &'a FailureRecord) -> BoxFuture<'a, Result<(), BoxError>> {
        let path = self.folder.join(failure.object_key());
        let content = failure.object();
        let write = move || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, content)
        };
        async { Ok(tokio::task::spawn_blocking(write).await??) }.boxed()
    }
}
