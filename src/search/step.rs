//! One change of an item, as what its document is to become.

use std::{
    collections::{BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serde_json::value::RawValue;

use super::{Naming, SearchError};
use crate::{
    handler::{Admitted, Failure, Panicked, Ticket},
    record::{FromImage, Record},
    sink::index::{DocumentId, Fields, NoDocument, Operation},
};

/// One change of an item, as what its document is to become.
pub(super) struct Step {
    pub(super) ticket: Ticket,
    id: DocumentId,
    version: String,
    /// The document and its index; none if the item is gone or not wanted.
    put: Option<(Arc<str>, Box<RawValue>)>,
    /// Every index that the change knows the document to be in, or to have been in.
    touched: Vec<Arc<str>>,
}

/// What makes a document of an item.
pub(super) type Shape<T> = dyn Fn(&T) -> Result<Option<Box<RawValue>>, NoDocument> + Send + Sync;

impl Step {
    /// What a change asks for. A panic in a function of the user's is this record's failure.
    pub(super) fn of<T: FromImage, N: Naming<T>>(
        admitted: Admitted<T, N::View>,
        generation: u32,
        names: &N,
        shape: &Shape<T>,
    ) -> Result<Self, (Ticket, Failure)> {
        let Admitted { ticket, record, .. } = admitted;
        match catch_unwind(AssertUnwindSafe(|| Parts::of(&record, names, shape))) {
            Ok(Ok(Parts { id, put, touched })) => {
                let version = record.version().in_generation(generation).into();
                Ok(Self { ticket, id, version, put, touched })
            }
            Ok(Err(error)) => Err((ticket, Failure::reject(error))),
            Err(_) => Err((ticket, Failure::retry(Panicked))),
        }
    }
}

struct Parts {
    id: DocumentId,
    put: Option<(Arc<str>, Box<RawValue>)>,
    touched: Vec<Arc<str>>,
}

impl Parts {
    fn of<T: FromImage, N: Naming<T>>(
        record: &Record<T, N::View>,
        names: &N,
        shape: &Shape<T>,
    ) -> Result<Self, SearchError> {
        let keys = record.keys().item()?;
        if keys.is_empty() {
            return Err(SearchError::NoKeys);
        }
        let places = names.places(&record.change)?;
        let mut touched: Vec<_> = places.before.into_iter().collect();
        let mut put = None;
        if let Some((index, item)) = places.now {
            put = shape(item)?.map(|document| (Arc::clone(&index), document));
            touched.push(index);
        }
        Ok(Self { id: DocumentId::of(&keys), put, touched })
    }
}

/// The changes of one document, in the order of their versions. Never empty.
pub(super) struct Changes {
    pub(super) steps: Vec<Step>,
}

impl Changes {
    /// Gathers what concerns the same document, by version: a duplicate may come behind what is later. Documents come in
    /// the order in which they first appear.
    pub(super) fn by_document(steps: Vec<Step>) -> Vec<Self> {
        let mut places: HashMap<DocumentId, usize> = HashMap::new();
        let mut changes: Vec<Self> = Vec::new();
        for step in steps {
            let place = *places.entry(step.id.clone()).or_insert(changes.len());
            match changes.get_mut(place) {
                Some(earlier) => earlier.steps.push(step),
                None => changes.push(Self { steps: vec![step] }),
            }
        }
        changes.iter_mut().for_each(|changes| changes.steps.sort_by(|a, b| a.version.cmp(&b.version)));
        changes
    }

    /// What brings the document to where the last change leaves it: at most one put, and a removal from every other
    /// index that any of the changes touched.
    pub(super) fn operations(&mut self, buries: bool, fields: &Fields) -> Vec<Operation> {
        let mut touched: BTreeSet<Arc<str>> = self.steps.iter().flat_map(|step| step.touched.iter().cloned()).collect();
        let last = self.steps.last_mut().expect("no document is without changes");
        let mut operations = Vec::with_capacity(touched.len());
        if let Some((index, document)) = last.put.take() {
            touched.remove(&index);
            operations.push(Operation::put_raw(index, last.id.clone(), &*last.version, document, fields));
        }
        let remove = if buries { Operation::bury } else { Operation::remove };
        operations
            .extend(touched.into_iter().map(|index| remove(index, last.id.clone(), last.version.clone(), fields)));
        operations
    }
}
