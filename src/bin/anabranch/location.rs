//! Where files are: in a folder, or in a bucket.

use std::{path, sync::Arc};

use anabranch::aws;
use object_store::{ObjectStore, local::LocalFileSystem, path::Path};

use crate::BoxError;

const BUCKET: &str = "s3://";

/// A store, and a path in it.
pub(crate) struct Location {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) path: Path,
}

impl Location {
    /// Of `s3://bucket/path`, or of a path on this machine.
    pub(crate) async fn of(text: &str) -> Result<Self, BoxError> {
        match text.strip_prefix(BUCKET) {
            Some(place) => {
                let (bucket, path) = place.split_once('/').unwrap_or((place, ""));
                if bucket.is_empty() {
                    return Err(format!("{text} names no bucket; a place in S3 is {BUCKET}BUCKET/PATH").into());
                }
                let store = Arc::new(aws::bucket(&aws::defaults().load().await, bucket)?);
                Ok(Self { store, path: Path::parse(path.trim_end_matches('/'))? })
            }
            None => {
                let path = Path::from_absolute_path(path::absolute(text)?)?;
                Ok(Self { store: Arc::new(LocalFileSystem::new()), path })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn folders_and_buckets_are_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a b.jsonl");
        let here = Location::of(file.to_str().expect("text")).await.expect("a path");
        assert_eq!(here.path.filename(), Some("a b.jsonl"));
        assert!(here.store.to_string().contains("LocalFileSystem"), "{}", here.store);
        let there = Location::of("s3://backups/pets/AWSDynamoDB/").await.expect("a bucket");
        assert_eq!((there.path.as_ref(), there.store.to_string().contains("backups")), ("pets/AWSDynamoDB", true));
        assert_eq!(Location::of("s3://backups").await.expect("a bucket").path.as_ref(), "");
        assert!(Location::of("s3:///pets").await.is_err());
    }
}
