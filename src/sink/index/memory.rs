//! Search indexes in memory, for tests, with faults on demand.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::{BoxFuture, FutureExt, pending};
use serde_json::Value;
use tokio::task::yield_now;

use super::{
    Created, Document, DocumentId, Fields, Index, IndexError, Operation, ServerFailure, Written, is_index_name,
    operation::Action,
};

/// Search indexes in memory that keep the version rule: for tests of handlers.
///
/// An index is there as soon as something is written to it. Refused are illegal index names and a document twice in one bulk.
/// [`Memory::with_faults`] makes requests and single operations fail, hang, or succeed without saying so.
///
/// Every request gives way to other tasks before it takes effect, so that tests see what concurrency does.
pub struct Memory {
    name: Arc<str>,
    state: Mutex<State>,
    faults: Mutex<Box<FaultFn>>,
}

type FaultFn = dyn FnMut(Asked<'_>) -> Fault + Send;

#[derive(Default)]
struct State {
    indexes: HashSet<String>,
    documents: BTreeMap<(String, DocumentId), Document>,
    clock: u64,
}

/// What is about to happen, as seen by a fault function.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    /// A bulk request of these operations, before its operations are asked for one by one.
    Bulk(&'a [Operation]),
    /// One operation of a bulk request.
    Operation(&'a Operation),
    /// A read.
    Read(&'a DocumentId),
    /// An index is to be made.
    Create(&'a str),
}

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It fails before it has any effect.
    Before(IndexError),
    /// It takes effect, and fails all the same: the answer is lost.
    After(IndexError),
    /// It takes effect, and never answers. A single operation counts as [`Fault::None`].
    Hang,
}

impl Memory {
    /// A server without indexes.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), state: Mutex::default(), faults: Mutex::new(Box::new(|_| Fault::None)) }
    }

    /// Asks `faults` before every request, and before every operation of a bulk, what is to go wrong.
    #[must_use]
    pub fn with_faults(self, faults: impl FnMut(Asked<'_>) -> Fault + Send + 'static) -> Self {
        Self { faults: Mutex::new(Box::new(faults)), ..self }
    }

    /// An error that a repetition may mend, for fault functions.
    pub fn failure(&self) -> IndexError {
        IndexError::Failed { server: Arc::clone(&self.name), source: Arc::from(Box::from("told to fail")) }
    }

    /// All documents with their indexes, tombstones and our fields left out, in order of index and id.
    pub fn documents(&self) -> Vec<(String, Document)> {
        let ours = Fields::default();
        let state = lock(&self.state);
        let live = state.documents.iter().filter(|(_, document)| !document.contains_key(&*ours.removed_at));
        live.map(|((index, _), document)| {
            let mut document = document.clone();
            document.remove(&*ours.version);
            (index.clone(), document)
        })
        .collect()
    }

    fn fault(&self, asked: Asked<'_>) -> Fault {
        lock(&self.faults)(asked)
    }

    /// Does what the server does, unless a fault comes first or last.
    async fn with_fault<R>(&self, fault: Fault, act: impl FnOnce() -> Result<R, IndexError>) -> Result<R, IndexError> {
        yield_now().await;
        match fault {
            Fault::None => act(),
            Fault::Before(error) => Err(error),
            Fault::After(error) => act().and(Err(error)),
            Fault::Hang => {
                act()?;
                pending().await
            }
        }
    }

    fn carry_out(&self, operations: &[Operation]) -> Result<Vec<Result<Written, IndexError>>, IndexError> {
        let different: HashSet<_> = operations.iter().map(|one| (&one.index, &one.id)).collect();
        if different.len() < operations.len() {
            return Err(self.refused("", "a document twice in one bulk"));
        }
        Ok(operations.iter().map(|operation| self.carry_out_one(operation)).collect())
    }

    fn carry_out_one(&self, operation: &Operation) -> Result<Written, IndexError> {
        match self.fault(Asked::Operation(operation)) {
            Fault::None | Fault::Hang => self.write(operation),
            Fault::Before(error) => Err(error),
            Fault::After(error) => self.write(operation).and(Err(error)),
        }
    }

    fn write(&self, operation: &Operation) -> Result<Written, IndexError> {
        if !is_index_name(&operation.index) {
            return Err(self.refused(&operation.index, "invalid_index_name_exception"));
        }
        let mut state = lock(&self.state);
        state.indexes.insert(operation.index.to_string());
        let place = (operation.index.to_string(), operation.id.clone());
        if !operation.beats(state.documents.get(&place)) {
            return Ok(Written::Stale);
        }
        state.clock += 1;
        match operation.document(state.clock) {
            Some(document) => state.documents.insert(place, document),
            None => state.documents.remove(&place),
        };
        Ok(Written::Applied)
    }

    fn refused(&self, index: &str, kind: &str) -> IndexError {
        let said = ServerFailure { status: 400, kind: Some(kind.to_owned()), detail: None };
        IndexError::Refused { server: Arc::clone(&self.name), index: index.into(), source: Arc::new(said) }
    }
}

impl Operation {
    /// Whether a stored document gives way.
    fn beats(&self, stored: Option<&Document>) -> bool {
        match stored.and_then(|document| document.get(&*self.fields.version)) {
            None | Some(Value::Null) => true,
            Some(Value::String(stored)) => *stored < self.version,
            Some(_) => false,
        }
    }

    /// The document as it is stored, or none if it goes.
    fn document(&self, now: u64) -> Option<Document> {
        let mut document = match &self.action {
            Action::Put(json) => serde_json::from_str(json.get()).expect("a document is a JSON object"),
            Action::Remove => return None,
            Action::Bury => Document::from_iter([(self.fields.removed_at.to_string(), now.into())]),
        };
        document.insert(self.fields.version.to_string(), self.version.clone().into());
        Some(document)
    }
}

impl Index for Memory {
    fn name(&self) -> &str {
        &self.name
    }

    fn bulk<'a>(
        &'a self,
        operations: &'a [Operation],
    ) -> BoxFuture<'a, Result<Vec<Result<Written, IndexError>>, IndexError>> {
        async move {
            let fault = self.fault(Asked::Bulk(operations));
            self.with_fault(fault, || self.carry_out(operations)).await
        }
        .boxed()
    }

    fn read<'a>(&'a self, index: &'a str, id: &'a DocumentId) -> BoxFuture<'a, Result<Option<Document>, IndexError>> {
        async move {
            let fault = self.fault(Asked::Read(id));
            let place = (index.to_owned(), id.clone());
            self.with_fault(fault, || Ok(lock(&self.state).documents.get(&place).cloned())).await
        }
        .boxed()
    }

    fn create<'a>(&'a self, index: &'a str, _: &'a Document) -> BoxFuture<'a, Result<Created, IndexError>> {
        async move {
            let create = || match is_index_name(index) {
                true if lock(&self.state).indexes.insert(index.to_owned()) => Ok(Created::New),
                true => Ok(Created::Existed),
                false => Err(self.refused(index, "invalid_index_name_exception")),
            };
            self.with_fault(self.fault(Asked::Create(index)), create).await
        }
        .boxed()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let documents = lock(&self.state).documents.len();
        f.debug_struct("Memory").field("name", &self.name).field("documents", &documents).finish_non_exhaustive()
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn conforms() {
        crate::sink::conformance::index(&Memory::new("search")).await;
    }

    #[tokio::test(start_paused = true)]
    async fn faults_come_before_or_after_the_effect() {
        let id = DocumentId::of(&crate::sink::table::item([("PK", crate::sink::table::text("a"))]));
        for (fault, documents) in [(Fault::Before as fn(_) -> _, 0), (Fault::After, 1), (|_| Fault::Hang, 1)] {
            let index = Memory::new("search");
            let fault = fault(index.failure());
            let index = index.with_faults(move |asked| match asked {
                Asked::Bulk(_) => fault.clone(),
                _ => Fault::None,
            });
            let put = [Operation::put("pets", id.clone(), "1", &Document::new(), &Fields::default()).unwrap()];
            let answer = tokio::time::timeout(std::time::Duration::from_secs(1), index.bulk(&put)).await;
            assert!(!matches!(answer, Ok(Ok(_))));
            assert_eq!(index.documents().len(), documents);
        }
    }
}
