//! Where a backfill stands, in a file.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use anabranch::source::backfill::{Job, SliceCursor};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::kept;

/// A file that is replaced as a whole, so that it is never half written.
pub(super) struct Store {
    path: PathBuf,
    /// The exports that are read, if that is what is brought.
    exports: Vec<String>,
    begun: Option<Begun>,
}

/// Where in the file they stand, beside the job.
const EXPORTS: &str = "exports";

/// What a job does: it is not gone on with to do anything else. It stands beside the job, since one that is all but swept has no
/// cursors left to say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    /// What the rows go through: from which table to which.
    pub(super) handler: String,
    pub(super) generation: u32,
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
    #[error(
        "{path} is of a backfill from {begun}, and this one would be from {here}: go on with the same tables, region and --generation, \
         or delete it to begin anew"
    )]
    Another { path: PathBuf, begun: Begun, here: Begun },
}

impl Store {
    pub(super) fn usual(table: &str) -> PathBuf {
        Path::new(".anabranch").join(format!("backfill-{table}.json"))
    }

    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, exports: Vec::new(), begun: None }
    }

    /// With the exports that are read, by their ARNs: others may come while the file is kept.
    pub(super) fn of_exports<'a>(self, exports: impl Iterator<Item = &'a str>) -> Self {
        Self { exports: exports.map(str::to_owned).collect(), ..self }
    }

    /// For a job that does this. One that is gone on with has to have done the same.
    pub(super) fn begun_as<P>(self, here: Begun, kept: Option<&Job<P>>) -> Result<Self, StoreError> {
        if let Some(kept) = kept
            && let Some(begun) = self.begun(kept)?.into_iter().find(|begun| *begun != here)
        {
            return Err(StoreError::Another { path: self.path, begun, here });
        }
        Ok(Self { begun: Some(here), ..self })
    }

    /// What the job has done so far. A file from before this was kept leaves it to the cursors, if there are any left.
    fn begun<P>(&self, kept: &Job<P>) -> Result<Vec<Begun>, StoreError> {
        let content = self.content()?;
        if content.get("handler").is_some() {
            return Ok(vec![serde_json::from_value(content).map_err(|source| self.not_a_job(source))?]);
        }
        let of_cursor =
            |cursor: &SliceCursor<P>| Begun { handler: cursor.handler.clone(), generation: cursor.generation };
        Ok(kept.open.values().map(of_cursor).collect())
    }

    pub(super) fn must_be_new(&self) -> Result<(), StoreError> {
        if self.path.exists() { Err(StoreError::Exists { path: self.path.clone() }) } else { Ok(()) }
    }

    pub(super) fn load<P: DeserializeOwned>(&self) -> Result<Job<P>, StoreError> {
        serde_json::from_value(self.content()?).map_err(|source| self.not_a_job(source))
    }

    /// The exports that the job was begun with.
    pub(super) fn exports(&self) -> Result<Vec<String>, StoreError> {
        match self.content()?.get_mut(EXPORTS) {
            Some(exports) => serde_json::from_value(exports.take()).map_err(|source| self.not_a_job(source)),
            None => Ok(Vec::new()),
        }
    }

    fn content(&self) -> Result<Value, StoreError> {
        let text = fs::read(&self.path).map_err(|source| self.file(source))?;
        serde_json::from_slice(&text).map_err(|source| self.not_a_job(source))
    }

    pub(super) fn save<P: Serialize>(&self, job: &Job<P>) -> Result<(), StoreError> {
        let mut content = serde_json::to_value(job).map_err(|source| self.not_a_job(source))?;
        if !self.exports.is_empty() {
            content[EXPORTS] = json!(self.exports);
        }
        if let Some(Begun { handler, generation }) = &self.begun {
            (content["handler"], content["generation"]) = (json!(handler), json!(generation));
        }
        kept::replace(&self.path, content.to_string().as_bytes()).map_err(|source| self.file(source))
    }

    pub(super) fn remove(&self) -> Result<(), StoreError> {
        fs::remove_file(&self.path).map_err(|source| self.file(source))
    }

    fn not_a_job(&self, source: serde_json::Error) -> StoreError {
        StoreError::Content { path: self.path.clone(), source }
    }

    fn file(&self, source: io::Error) -> StoreError {
        StoreError::File { path: self.path.clone(), source }
    }
}

impl fmt::Display for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, generation {}", self.handler, self.generation)
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
        assert!(store.exports().expect("none").is_empty());
        let store = store.of_exports(["arn:1", "arn:2"].into_iter());
        store.save(&job).expect("it is saved");
        assert_eq!((store.load().expect("it is there"), store.exports().expect("two").len()), (job, 2));
        fs::write(folder.path().join("new/job.json"), "{").expect("writable");
        assert!(matches!(store.load::<Cursor>(), Err(StoreError::Content { .. })));
        store.remove().expect("it is there");
        assert!(matches!(store.load::<Cursor>(), Err(StoreError::File { .. })));
    }

    #[test]
    fn a_job_is_gone_on_with_to_do_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = || Store::new(folder.path().join("job.json"));
        let begun = |handler: &str, generation| Begun { handler: handler.into(), generation };
        let job = Job::<Cursor> { name: "job".into(), open: BTreeMap::new(), done: Counts::default(), segments: 3 };
        store().save(&job).expect("it is saved");
        let as_of_old = store().begun_as(begun("a to b", 0), Some(&job)).expect("it does not say");
        as_of_old.save(&job).expect("it is saved");
        assert!(store().begun_as(begun("a to b", 0), Some(&job)).is_ok());
        for (here, said) in [(begun("a to c", 0), "a to c, generation 0"), (begun("a to b", 1), "a to b, generation 1")]
        {
            assert!(store().begun_as(here.clone(), None::<&Job<Cursor>>).is_ok(), "nothing is gone on with");
            let Err(refused) = store().begun_as(here, Some(&job)) else { panic!("it does something else") };
            let refused = refused.to_string();
            assert!(refused.contains("from a to b, generation 0, and") && refused.contains(said), "{refused}");
        }
    }
}
