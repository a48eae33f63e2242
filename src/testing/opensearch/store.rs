//! Indexes and their documents.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::mapping;

pub(super) type Source = Map<String, Value>;

/// An error of one operation: a status and what is said of it.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) status: u16,
    pub(super) error: Value,
}

pub(super) fn trouble(status: u16, kind: &str, reason: impl Into<String>) -> Trouble {
    Trouble { status, error: json!({"type": kind, "reason": reason.into()}) }
}

pub(super) struct Store {
    indexes: BTreeMap<String, IndexState>,
    /// `action.auto_create_index`.
    pub(super) makes_indexes: bool,
}

impl Default for Store {
    fn default() -> Self {
        Self { indexes: BTreeMap::new(), makes_indexes: true }
    }
}

/// One index.
#[derive(Default)]
pub(super) struct IndexState {
    pub(super) mappings: Value,
    documents: BTreeMap<String, Stored>,
    /// The versions of deletes, which external versions are compared with (`index.gc_deletes`, without its end).
    deleted: HashMap<String, u64>,
    /// What a search sees: the state of the last refresh.
    visible: BTreeMap<String, Value>,
    sequence: u64,
}

#[derive(Clone)]
pub(super) struct Stored {
    pub(super) source: Source,
    pub(super) version: u64,
    pub(super) sequence: u64,
}

/// How a write is checked against the stored version.
#[derive(Clone, Copy)]
pub(super) enum Check {
    Internal,
    External(u64),
    ExternalOrEqual(u64),
}

impl Store {
    pub(super) fn names(&self) -> Vec<String> {
        self.indexes.keys().cloned().collect()
    }

    pub(super) fn sources(&self, index: &str) -> BTreeMap<String, Value> {
        let documents = self.indexes.get(index).map(|index| &index.documents);
        documents.into_iter().flatten().map(|(id, stored)| (id.clone(), Value::Object(stored.source.clone()))).collect()
    }

    pub(super) fn index(&self, name: &str) -> Result<&IndexState, Trouble> {
        self.indexes.get(name).ok_or_else(|| no_such_index(name))
    }

    /// The index to write to, made if it is not there.
    pub(super) fn target(&mut self, name: &str) -> Result<&mut IndexState, Trouble> {
        if !self.indexes.contains_key(name) {
            if !self.makes_indexes {
                return Err(no_such_index(name));
            }
            self.create(name, Value::Null)?;
        }
        Ok(self.indexes.get_mut(name).expect("it is there"))
    }

    pub(super) fn create(&mut self, name: &str, mappings: Value) -> Result<(), Trouble> {
        if !mapping::is_index_name(name) {
            let reason = format!("Invalid index name [{name}], must be lowercase");
            return Err(trouble(400, "invalid_index_name_exception", reason));
        }
        if self.indexes.contains_key(name) {
            let reason = format!("index [{name}/double] already exists");
            return Err(trouble(400, "resource_already_exists_exception", reason));
        }
        self.indexes.insert(name.to_owned(), IndexState { mappings, ..IndexState::default() });
        Ok(())
    }

    pub(super) fn delete_index(&mut self, name: &str) -> Result<(), Trouble> {
        self.indexes.remove(name).map(drop).ok_or_else(|| no_such_index(name))
    }

    /// Lets searches see what was written.
    pub(super) fn refresh(&mut self, name: &str) -> Result<(), Trouble> {
        self.indexes.get_mut(name).map(IndexState::refresh).ok_or_else(|| no_such_index(name))
    }

    pub(super) fn refresh_all(&mut self) {
        self.indexes.values_mut().for_each(IndexState::refresh);
    }
}

impl IndexState {
    fn refresh(&mut self) {
        let sources = self.documents.iter().map(|(id, stored)| (id.clone(), Value::Object(stored.source.clone())));
        self.visible = sources.collect();
    }

    pub(super) fn visible(&self) -> &BTreeMap<String, Value> {
        &self.visible
    }

    pub(super) fn get(&self, id: &str) -> Option<&Stored> {
        self.documents.get(id)
    }

    /// The version that a write would give the document, or the conflict that forbids it.
    fn next_version(&self, id: &str, check: Check) -> Result<u64, Trouble> {
        let current = self.documents.get(id).map(|stored| stored.version).or(self.deleted.get(id).copied());
        let (wanted, wins) = match check {
            Check::Internal => (current.map_or(1, |version| version + 1), true),
            Check::External(version) => (version, current.is_none_or(|current| current < version)),
            Check::ExternalOrEqual(version) => (version, current.is_none_or(|current| current <= version)),
        };
        let higher = || {
            let current = current.unwrap_or_default();
            format!(
                "[{id}]: version conflict, current version [{current}] is higher or equal to the one provided [{wanted}]"
            )
        };
        if wins { Ok(wanted) } else { Err(trouble(409, "version_conflict_engine_exception", higher())) }
    }

    /// Stores a document, and says what came of it: created, or updated.
    pub(super) fn put(&mut self, id: &str, source: Source, check: Check) -> Result<&'static str, Trouble> {
        if id.len() > 512 {
            let reason = format!("id [{id}] is too long, must be no longer than 512 bytes but was: {}", id.len());
            return Err(trouble(400, "illegal_argument_exception", reason));
        }
        let version = self.next_version(id, check)?;
        mapping::check(&self.mappings, id, &source)?;
        self.sequence += 1;
        self.deleted.remove(id);
        let stored = Stored { source, version, sequence: self.sequence };
        let before = self.documents.insert(id.to_owned(), stored);
        Ok(if before.is_none() { "created" } else { "updated" })
    }

    /// Deletes a document, and says whether there was one.
    pub(super) fn delete(&mut self, id: &str, check: Check) -> Result<bool, Trouble> {
        let version = self.next_version(id, check)?;
        self.sequence += 1;
        self.deleted.insert(id.to_owned(), version);
        Ok(self.documents.remove(id).is_some())
    }
}

fn no_such_index(name: &str) -> Trouble {
    trouble(404, "index_not_found_exception", format!("no such index [{name}]"))
}
