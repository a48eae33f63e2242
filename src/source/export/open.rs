//! Finding an export, and its data wherever it was moved to.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use md5::{Digest, Md5};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};

use super::{
    ExportError, Kind,
    manifest::{self, DataFile, Summary},
};

const SUMMARY: &str = "manifest-summary.json";
const FILES: &str = "manifest-files.json";
/// The folder of all exports, below the prefix that DynamoDB was asked to write to.
const USUAL: &str = "AWSDynamoDB";
/// What the checksum of a manifest is called, for its name with and without `.json`.
const CHECKSUMS: [&str; 2] = ["md5", "checksum"];
/// Exports that are looked for at the same time.
const LOOKS: usize = 8;

/// An export that DynamoDB has made of a table, in a bucket or a folder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Export(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    summary: Summary,
    kind: Kind,
    files: Vec<DataFile>,
    /// Where they are, in the order of `files`.
    paths: Vec<Path>,
}

impl Export {
    /// Opens the export whose folder is `folder`: the one that has `manifest-summary.json`. The path of that file is taken as well.
    ///
    /// Both manifests are read, and checked against their own checksums where those are beside them. The data is found
    /// relative to the manifests, wherever the whole was moved to; incremental exports have theirs in the folder `data`
    /// next to their own folder.
    ///
    /// # Errors
    /// No finished export there, manifests that are damaged or contradict each other, or another format than DYNAMODB_JSON.
    pub async fn open(store: Arc<dyn ObjectStore>, folder: impl Into<Path>) -> Result<Self, ExportError> {
        let export = Self::of_any_format(store, folder.into()).await?;
        export.check_format()?;
        Ok(export)
    }

    async fn of_any_format(store: Arc<dyn ObjectStore>, folder: Path) -> Result<Self, ExportError> {
        let folder = if folder.filename() == Some(SUMMARY) { parent(&folder) } else { folder };
        let summary = manifest(&*store, &folder, SUMMARY).await?;
        let path = child(&folder, SUMMARY);
        let refused = |reason| ExportError::Manifest { file: path.to_string(), reason };
        let summary = Summary::parse(&summary).map_err(refused)?;
        let kind = summary.kind().map_err(refused)?;
        let files = files(&*store, &folder, &summary).await?;
        let paths = locate(&*store, &folder, &summary, &files).await?;
        Ok(Self(Arc::new(Inner { store, folder, summary, kind, files, paths })))
    }

    /// Opens all finished exports under a prefix, such as `PREFIX/AWSDynamoDB`, in the order of their ids, which is that of
    /// their making. Those in another format than DYNAMODB_JSON are among them: reading one fails, and so does a
    /// [`Bridge`](super::Bridge) that needs it.
    ///
    /// # Errors
    /// The store cannot be listed, or one of them cannot be opened.
    pub async fn all(store: Arc<dyn ObjectStore>, prefix: impl Into<Path>) -> Result<Vec<Self>, ExportError> {
        let prefix = prefix.into();
        let listed = store.list_with_delimiter(Some(&prefix)).await;
        let folders = listed.map_err(|source| of_store(&*store, &prefix, source))?.common_prefixes;
        let found = stream::iter(folders).map(|folder| open_if_there(Arc::clone(&store), folder)).buffered(LOOKS);
        found.try_filter_map(async |export| Ok(export)).try_collect().await
    }

    /// Opens what a person points at: the export whose folder it is, or all finished exports under it, or those in its folder
    /// `AWSDynamoDB`, which is where DynamoDB puts them.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`all`](Self::all); [`ExportError::NoExport`] if there is none in any of these places.
    pub async fn find(store: Arc<dyn ObjectStore>, place: impl Into<Path>) -> Result<Vec<Self>, ExportError> {
        let place = place.into();
        let nothing = match Self::open(Arc::clone(&store), place.clone()).await {
            Ok(export) => return Ok(vec![export]),
            Err(error @ ExportError::NoExport { .. }) => error,
            Err(error) => return Err(error),
        };
        for prefix in [place.clone(), child(&place, USUAL)] {
            let found = Self::all(Arc::clone(&store), prefix).await?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Err(nothing)
    }

    /// The ARN of the export.
    pub fn arn(&self) -> &str {
        &self.0.summary.export_arn
    }

    /// The last part of its ARN, which names its folder.
    pub fn id(&self) -> &str {
        self.arn().rsplit('/').next().unwrap_or_default()
    }

    /// The ARN of the table.
    pub fn table_arn(&self) -> &str {
        &self.0.summary.table_arn
    }

    /// The name of the table.
    pub fn table_name(&self) -> &str {
        self.table_arn().rsplit('/').next().unwrap_or_default()
    }

    /// Whether it holds the table or what has changed in it, and of when.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whether it is in the format DYNAMODB_JSON, which is the one that is read here.
    pub fn is_readable(&self) -> bool {
        self.0.summary.is_readable()
    }

    pub(super) fn check_format(&self) -> Result<(), ExportError> {
        if self.is_readable() {
            return Ok(());
        }
        Err(ExportError::Format { folder: self.0.folder.to_string(), format: self.0.summary.output_format.clone() })
    }

    /// How many items it has, or changes.
    pub fn items(&self) -> u64 {
        self.0.summary.item_count
    }

    /// How many data files it has.
    pub fn files(&self) -> usize {
        self.0.files.len()
    }

    pub(super) fn table(&self) -> (&str, &str) {
        self.0.summary.table()
    }

    pub(super) fn store(&self) -> &dyn ObjectStore {
        &*self.0.store
    }

    pub(super) fn file(&self, index: usize) -> (&DataFile, &Path) {
        (&self.0.files[index], &self.0.paths[index])
    }
}

async fn open_if_there(store: Arc<dyn ObjectStore>, folder: Path) -> Result<Option<Export>, ExportError> {
    match Export::of_any_format(store, folder).await {
        Ok(export) => Ok(Some(export)),
        Err(ExportError::NoExport { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The data files, whose items add up to the summary's.
async fn files(store: &dyn ObjectStore, folder: &Path, summary: &Summary) -> Result<Vec<DataFile>, ExportError> {
    let lines = manifest(store, folder, FILES).await?;
    let path = child(folder, FILES);
    let refused = |reason| ExportError::Manifest { file: path.to_string(), reason };
    let files = manifest::files(&lines).map_err(refused)?;
    let found = files.iter().map(|file| file.item_count).sum();
    if found != summary.item_count {
        return Err(ExportError::Count { file: path.into(), expected: summary.item_count, found });
    }
    Ok(files)
}

/// A manifest, checked against its checksum if there is one.
async fn manifest(store: &dyn ObjectStore, folder: &Path, name: &str) -> Result<Bytes, ExportError> {
    let path = child(folder, name);
    let Some(manifest) = get(store, &path).await? else {
        return Err(match name {
            SUMMARY => ExportError::NoExport { folder: folder.to_string() },
            _ => ExportError::Manifest { file: path.to_string(), reason: "it is not there".to_owned() },
        });
    };
    for stem in [name.trim_end_matches(".json"), name] {
        for extension in CHECKSUMS {
            if let Some(checksum) = get(store, &child(folder, &format!("{stem}.{extension}"))).await? {
                let same = checksum.trim_ascii() == base64(Md5::digest(&manifest).as_slice()).as_bytes();
                return same.then_some(manifest).ok_or(ExportError::Checksum { file: path.into() });
            }
        }
    }
    Ok(manifest)
}

/// Where the data files are: the first of the places in which they may be that has the first of them.
async fn locate(
    store: &dyn ObjectStore,
    folder: &Path,
    summary: &Summary,
    files: &[DataFile],
) -> Result<Vec<Path>, ExportError> {
    let Some(first) = files.first() else { return Ok(Vec::new()) };
    let original = parent(&Path::from(summary.manifest_files_s3_key.as_str()));
    let places: [&dyn Fn(&str) -> Path; 3] =
        [&|key| relocated(key, &original, folder), &|key| Path::from(key), &|key| {
            child(&child(folder, "data"), Path::from(key).filename().unwrap_or_default())
        }];
    for place in places {
        let path = place(&first.key);
        match store.head(&path).await {
            Ok(_) => return Ok(files.iter().map(|file| place(&file.key)).collect()),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(of_store(store, &path, source)),
        }
    }
    // The one that is missing is named when it is read.
    Ok(files.iter().map(|file| relocated(&file.key, &original, folder)).collect())
}

/// A key beside or below the manifests where DynamoDB wrote them, as a path beside or below those that were found.
fn relocated(key: &str, original: &Path, folder: &Path) -> Path {
    let key = Path::from(key);
    for (original, folder) in [(original.clone(), folder.clone()), (parent(original), parent(folder))] {
        if let Some(rest) = key.prefix_match(&original) {
            let rest: Vec<_> = rest.collect();
            return folder.parts().chain(rest).collect();
        }
    }
    key
}

fn parent(path: &Path) -> Path {
    let parts: Vec<_> = path.parts().collect();
    parts[..parts.len().saturating_sub(1)].iter().cloned().collect()
}

fn child(folder: &Path, name: &str) -> Path {
    folder.clone().join(name)
}

async fn get(store: &dyn ObjectStore, path: &Path) -> Result<Option<Bytes>, ExportError> {
    let read = async { store.get(path).await?.bytes().await };
    match read.await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(source) => Err(of_store(store, path, source)),
    }
}

pub(super) fn of_store(store: &dyn ObjectStore, path: &Path, source: object_store::Error) -> ExportError {
    ExportError::Store { file: path.to_string(), store: store.to_string(), source: Arc::new(source) }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_found_relative_to_the_manifests() {
        let original = Path::from("p/AWSDynamoDB/0169-e");
        for (key, folder, expected) in [
            ("p/AWSDynamoDB/0169-e/data/a.json.gz", "p/AWSDynamoDB/0169-e", "p/AWSDynamoDB/0169-e/data/a.json.gz"),
            ("p/AWSDynamoDB/0169-e/data/a.json.gz", "moved", "moved/data/a.json.gz"),
            ("p/AWSDynamoDB/0169-e/data/a.json.gz", "", "data/a.json.gz"),
            ("p/AWSDynamoDB/data/a.json.gz", "q/0169-e", "q/data/a.json.gz"),
            ("p/AWSDynamoDB/data/a.json.gz", "0169-e", "data/a.json.gz"),
            ("elsewhere/a.json.gz", "q", "elsewhere/a.json.gz"),
        ] {
            assert_eq!(relocated(key, &original, &Path::from(folder)), Path::from(expected), "{key} in {folder}");
        }
    }
}
