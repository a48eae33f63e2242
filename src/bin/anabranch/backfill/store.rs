//! Where a backfill stands, in a file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anabranch::source::backfill::Job;
use serde::{Serialize, de::DeserializeOwned};

use crate::kept;

/// A file that is replaced as a whole, so that it is never half written.
pub(super) struct Store {
    path: PathBuf,
}

/// Why the file is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error(
        "{path} is there already, from a backfill that did not come to its end; go on with --resume, or delete it to begin anew"
    )]
    Exists { path: PathBuf },
    #[error("{path} cannot be used to keep where the backfill stands; name another file with --checkpoint")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} does not say where a backfill stands; begin anew without --resume")]
    Content { path: PathBuf, source: serde_json::Error },
}

impl Store {
    pub(super) fn usual(table: &str) -> PathBuf {
        Path::new(".anabranch").join(format!("backfill-{table}.json"))
    }

    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn must_be_new(&self) -> Result<(), StoreError> {
        if self.path.exists() { Err(StoreError::Exists { path: self.path.clone() }) } else { Ok(()) }
    }

    pub(super) fn load<P: DeserializeOwned>(&self) -> Result<Job<P>, StoreError> {
        let text = fs::read(&self.path).map_err(|source| self.file(source))?;
        serde_json::from_slice(&text).map_err(|source| StoreError::Content { path: self.path.clone(), source })
    }

    pub(super) fn save<P: Serialize>(&self, job: &Job<P>) -> Result<(), StoreError> {
        let text = serde_json::to_vec(job).map_err(|source| StoreError::Content { path: self.path.clone(), source })?;
        kept::replace(&self.path, &text).map_err(|source| self.file(source))
    }

    pub(super) fn remove(&self) -> Result<(), StoreError> {
        fs::remove_file(&self.path).map_err(|source| self.file(source))
    }

    fn file(&self, source: io::Error) -> StoreError {
        StoreError::File { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use anabranch::{scan::Cursor, source::backfill::Counts};

    use super::*;

    #[test]
    fn a_job_is_kept_and_found_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::new(folder.path().join("new/job.json"));
        store.must_be_new().expect("nothing is there");
        let job = Job::<Cursor> { name: "job".into(), open: BTreeMap::new(), done: Counts::default(), segments: 3 };
        store.save(&job).expect("it is saved");
        assert!(matches!(store.must_be_new(), Err(StoreError::Exists { .. })));
        assert_eq!(store.load().expect("it is there"), job);
        fs::write(folder.path().join("new/job.json"), "{").expect("writable");
        assert!(matches!(store.load::<Cursor>(), Err(StoreError::Content { .. })));
        store.remove().expect("it is there");
        assert!(matches!(store.load::<Cursor>(), Err(StoreError::File { .. })));
    }
}
