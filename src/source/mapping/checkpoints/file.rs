//! Positions in a file.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::future::{BoxFuture, FutureExt};
use serde::{Deserialize, Serialize};

use super::{
    CheckpointError,
    memory::{self, Kept},
};
use crate::source::mapping::{BoxError, Checkpoint, Checkpoints};

/// Keeps checkpoints in one JSON file, which is also how they are exported and imported: copy it.
///
/// The file is replaced as a whole, after it was written and synchronized beside: a crash leaves the old one or the new
/// one. One process at a time.
#[derive(Debug, Clone)]
pub struct FileCheckpoints {
    path: PathBuf,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    checkpoints: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    group: String,
    stream: String,
    #[serde(flatten)]
    checkpoint: Checkpoint,
}

impl FileCheckpoints {
    /// Opens a file; one that is not there yet is made with the first checkpoint.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, CheckpointError> {
        let path = path.into();
        let kept = match fs::read(&path) {
            Ok(content) => read(&content).map_err(|source| CheckpointError::Content { path: shown(&path), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(source) => return Err(CheckpointError::File { path: shown(&path), source }),
        };
        Ok(Self { path, kept: Arc::new(Mutex::new(kept)) })
    }

    /// Writes with the lock held, so that an earlier state never replaces a later one.
    fn put(&self, group: &str, stream: &str, checkpoints: &[Checkpoint]) -> Result<(), CheckpointError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = kept.clone();
        memory::put(&mut next, group, stream, checkpoints);
        replace(&self.path, &written(&next))
            .map_err(|source| CheckpointError::File { path: shown(&self.path), source })?;
        *kept = next;
        Ok(())
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn read(content: &[u8]) -> Result<Kept, serde_json::Error> {
    let document: Document = serde_json::from_slice(content)?;
    let mut kept = Kept::default();
    for Line { group, stream, checkpoint } in document.checkpoints {
        memory::put(&mut kept, &group, &stream, &[checkpoint]);
    }
    Ok(kept)
}

fn written(kept: &Kept) -> Vec<u8> {
    let lines = kept.iter().flat_map(|((group, stream), shards)| {
        shards.values().map(|checkpoint| Line {
            group: group.clone(),
            stream: stream.clone(),
            checkpoint: checkpoint.clone(),
        })
    });
    serde_json::to_vec_pretty(&Document { checkpoints: lines.collect() }).expect("checkpoints are JSON")
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // The new name is to survive a power cut, too.
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

impl Checkpoints for FileCheckpoints {
    fn load<'a>(&'a self, group: &'a str, stream: &'a str) -> BoxFuture<'a, Result<Vec<Checkpoint>, BoxError>> {
        let kept = memory::get(&self.kept.lock().unwrap_or_else(PoisonError::into_inner), group, stream);
        async { Ok(kept) }.boxed()
    }

    fn save<'a>(
        &'a self,
        group: &'a str,
        stream: &'a str,
        checkpoints: &'a [Checkpoint],
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        let (file, group, stream) = (self.clone(), group.to_owned(), stream.to_owned());
        let checkpoints = checkpoints.to_vec();
        let write = move || file.put(&group, &stream, &checkpoints);
        async { Ok(tokio::task::spawn_blocking(write).await.map_err(|_| CheckpointError::Interrupted)??) }.boxed()
    }
}
