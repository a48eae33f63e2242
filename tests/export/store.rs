//! A store that is watched.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt, future, stream, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, UploadPart, memory::InMemory, path::Path,
};

/// A store in memory that fails when it is told to, and counts what is fetched and what is left behind.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) inner: InMemory,
    /// The part that is refused, from 0.
    pub(crate) part: Option<usize>,
    /// Whether uploads cannot be completed.
    pub(crate) complete: bool,
    pub(crate) open: Arc<AtomicUsize>,
    pub(crate) aborted: Arc<AtomicUsize>,
    /// Bytes that somebody has taken out of downloads.
    pub(crate) fetched: Arc<AtomicUsize>,
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a watched store")
    }
}

fn refused() -> object_store::Error {
    object_store::Error::Generic { store: "test", source: "no room".into() }
}

#[async_trait]
impl ObjectStore for Watched {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
        match self.part {
            Some(_) => Err(refused()),
            None => self.inner.put_opts(path, payload, options).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(path, options).await?;
        self.open.fetch_add(1, Ordering::SeqCst);
        let (open, aborted) = (Arc::clone(&self.open), Arc::clone(&self.aborted));
        Ok(Box::new(Upload { inner, part: self.part, complete: self.complete, open, aborted }))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        let found = self.inner.get_opts(path, options).await?;
        let (meta, range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
        let extensions = found.extensions.clone();
        let (bytes, fetched) = (found.bytes().await?, Arc::clone(&self.fetched));
        let chunks = stream::unfold(bytes, move |mut rest| {
            let chunk = rest.split_to(rest.len().min(4_096));
            fetched.fetch_add(chunk.len(), Ordering::SeqCst);
            future::ready((!chunk.is_empty()).then_some((Ok(chunk), rest)))
        });
        Ok(GetResult { payload: GetResultPayload::Stream(chunks.boxed()), meta, range, attributes, extensions })
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    part: Option<usize>,
    complete: bool,
    open: Arc<AtomicUsize>,
    aborted: Arc<AtomicUsize>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        match self.part.as_mut().map(|left| left.checked_sub(1).map(|less| *left = less)) {
            Some(None) => future::ready(Err(refused())).boxed(),
            _ => self.inner.put_part(data),
        }
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        if self.complete {
            return Err(refused());
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
        self.inner.complete().await
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.open.fetch_sub(1, Ordering::SeqCst);
        self.aborted.fetch_add(1, Ordering::SeqCst);
        self.inner.abort().await
    }
}
