//! An upload that is finished or aborted, whatever happens.

use std::{error::Error, sync::Arc};

use bytes::Bytes;
use object_store::{ObjectStore, buffered::BufWriter, path::Path};
use tokio::{io::AsyncWriteExt, runtime::Handle};

use super::FileError;

/// An upload, which is aborted when it is dropped.
pub(super) struct Upload {
    /// Nothing once it is finished or aborted.
    writer: Option<BufWriter>,
    store: String,
    file: Path,
}

impl Upload {
    pub(super) fn new(store: Arc<dyn ObjectStore>, file: Path, part_bytes: usize, concurrency: usize) -> Self {
        let name = store.to_string();
        let writer = BufWriter::with_capacity(store, file.clone(), part_bytes).with_max_concurrency(concurrency);
        Self { writer: Some(writer), store: name, file }
    }

    /// Takes the next bytes, once there is room for another part.
    pub(super) async fn put(&mut self, bytes: Bytes) -> Result<(), FileError> {
        let writer = self.writer.as_mut().expect("nothing is put behind the end");
        let put = writer.put(bytes).await;
        put.map_err(|error| self.failed(error))
    }

    /// Puts the file together. Goes on to its end even if nobody waits for it: what it leaves is a file, or nothing.
    pub(super) async fn finish(mut self) -> Result<(), FileError> {
        let mut writer = self.writer.take().expect("an upload is finished once");
        let finished = tokio::spawn(async move { writer.shutdown().await }).await;
        finished.map_err(|error| self.failed(error))?.map_err(|error| self.failed(error))
    }

    pub(super) async fn abort(mut self) {
        if let Some(writer) = self.writer.take() {
            abort(writer, &self.file).await;
        }
    }

    fn failed(&self, error: impl Error + Send + Sync + 'static) -> FileError {
        FileError::Store { file: self.file.to_string(), store: self.store.clone(), source: Arc::new(error) }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (Some(writer), Ok(runtime)) = (self.writer.take(), Handle::try_current()) {
            let file = self.file.clone();
            runtime.spawn(async move { abort(writer, &file).await });
        }
    }
}

async fn abort(mut writer: BufWriter, file: &Path) {
    if let Err(error) = writer.abort().await {
        tracing::warn!(%file, %error, "an upload could not be aborted; its parts are still stored");
    }
}
