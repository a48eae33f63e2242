//! A server under watch: how many requests there were, and whether two met at one document.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use anabranch::sink::index::{Created, Document, DocumentId, Index, IndexError, Operation, Written};
use futures_util::future::BoxFuture;

/// Any server, with an eye on what one worker has under way.
pub(crate) struct Watched<I> {
    inner: I,
    under_way: Mutex<HashSet<(String, DocumentId)>>,
    requests: AtomicUsize,
    beside: AtomicUsize,
}

impl<I: Index> Watched<I> {
    pub(crate) fn new(inner: I) -> Self {
        Self { inner, under_way: Mutex::default(), requests: AtomicUsize::new(0), beside: AtomicUsize::new(0) }
    }

    /// How many bulk requests there were.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// How often a document was written while another write of it was under way.
    pub(crate) fn beside(&self) -> usize {
        self.beside.load(Ordering::Relaxed)
    }

    fn enter<'w>(&'w self, operations: &[Operation]) -> UnderWay<'w> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let documents: Vec<_> = operations.iter().map(|one| (one.index().to_string(), one.id().clone())).collect();
        for document in &documents {
            let first = self.under_way.lock().expect("no panic under the lock").insert(document.clone());
            self.beside.fetch_add(usize::from(!first), Ordering::Relaxed);
        }
        UnderWay { documents, all: &self.under_way }
    }
}

/// Leaves also when the request is dropped.
struct UnderWay<'w> {
    documents: Vec<(String, DocumentId)>,
    all: &'w Mutex<HashSet<(String, DocumentId)>>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut all = self.all.lock().expect("no panic under the lock");
        self.documents.iter().for_each(|document| _ = all.remove(document));
    }
}

impl<I: Index> Index for Watched<I> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn bulk<'a>(
        &'a self,
        operations: &'a [Operation],
    ) -> BoxFuture<'a, Result<Vec<Result<Written, IndexError>>, IndexError>> {
        Box::pin(async move {
            let _under_way = self.enter(operations);
            self.inner.bulk(operations).await
        })
    }

    fn read<'a>(&'a self, index: &'a str, id: &'a DocumentId) -> BoxFuture<'a, Result<Option<Document>, IndexError>> {
        self.inner.read(index, id)
    }

    fn create<'a>(&'a self, index: &'a str, body: &'a Document) -> BoxFuture<'a, Result<Created, IndexError>> {
        self.inner.create(index, body)
    }
}
