//! Exports as DynamoDB writes them, in any store.

use std::{io::Write, sync::Arc};

use base64_simd::STANDARD;
use flate2::{Compression, write::GzEncoder};
use md5::{Digest, Md5};
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use serde_json::json;

pub(crate) const TABLE: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/PetTracker";

/// An export to be written.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) id: String,
    /// First and last second of the window; nothing for a full export, as of `until`.
    pub(crate) from: Option<u64>,
    pub(crate) until: u64,
    /// The lines of each data file.
    pub(crate) files: Vec<Vec<String>>,
    pub(crate) table: String,
    pub(crate) format: &'static str,
    /// How much later than `until` it ends.
    pub(crate) millis: u64,
}

impl Made {
    pub(crate) fn full(id: &str, until: u64, files: Vec<Vec<String>>) -> Self {
        Self { id: id.into(), from: None, until, files, table: TABLE.into(), format: "DYNAMODB_JSON", millis: 0 }
    }

    pub(crate) fn incremental(id: &str, from: u64, until: u64, files: Vec<Vec<String>>) -> Self {
        Self { from: Some(from), ..Self::full(id, until, files) }
    }

    /// Where DynamoDB puts the export when it is asked for the prefix `backup`.
    pub(crate) fn folder(&self) -> String {
        format!("backup/AWSDynamoDB/{}", self.id)
    }

    pub(crate) fn data_folder(&self) -> String {
        if self.from.is_some() { "backup/AWSDynamoDB/data".into() } else { format!("{}/data", self.folder()) }
    }

    pub(crate) fn data_file(&self, file: usize) -> String {
        format!("{}/{}-{file}.json.gz", self.data_folder(), self.id)
    }

    /// All objects, by their keys.
    pub(crate) fn objects(&self) -> Vec<(String, Vec<u8>)> {
        let mut objects = vec![(format!("{}/_started", self.folder()), Vec::new())];
        let (mut lines, mut items) = (String::new(), 0);
        for (n, file) in self.files.iter().enumerate() {
            let data = gzip(file.iter().map(|line| format!("{line}\n")).collect::<String>().as_bytes());
            let (key, md5) = (self.data_file(n), checksum(&data));
            let line = json!({"itemCount": file.len(), "md5Checksum": md5, "etag": "e-1", "dataFileS3Key": key});
            lines += &format!("{line}\n");
            items += file.len();
            objects.push((key, data));
        }
        objects.push(self.manifest("manifest-files", lines));
        objects.push(self.manifest("manifest-summary", self.summary(items)));
        let sums = objects.iter().filter(|(key, _)| key.ends_with(".json"));
        let sums: Vec<_> =
            sums.map(|(key, json)| (key.replace(".json", ".md5"), checksum(json).into_bytes())).collect();
        objects.extend(sums);
        objects
    }

    fn manifest(&self, name: &str, text: String) -> (String, Vec<u8>) {
        (format!("{}/{name}.json", self.folder()), text.into_bytes())
    }

    fn summary(&self, items: usize) -> String {
        let time = |millis: u64| {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(millis);
            humantime::format_rfc3339_millis(time).to_string()
        };
        let until = time(self.until * 1_000 + self.millis);
        let mut summary = json!({
            "version": "2020-06-30", "exportArn": format!("{}/export/{}", self.table, self.id), "tableArn": self.table,
            "tableId": "12345a12", "s3Bucket": "b", "s3Prefix": "backup", "itemCount": items, "billedSizeBytes": 0,
            "manifestFilesS3Key": format!("{}/manifest-files.json", self.folder()), "outputFormat": self.format,
        });
        match self.from {
            None => summary["exportTime"] = until.into(),
            Some(from) => {
                summary["exportType"] = "INCREMENTAL_EXPORT".into();
                summary["outputView"] = "NEW_AND_OLD_IMAGES".into();
                summary["exportFromTime"] = time(from * 1_000).into();
                summary["exportToTime"] = until.into();
            }
        }
        summary.to_string()
    }

    /// Writes it where DynamoDB would, under another prefix.
    pub(crate) async fn write(&self, store: &dyn ObjectStore, prefix: &str) {
        for (key, bytes) in self.objects() {
            let key = format!("{prefix}{}", key.strip_prefix("backup").expect("the prefix"));
            store.put(&Path::from(key), bytes.into()).await.expect("written");
        }
    }

    pub(crate) async fn in_memory(&self) -> Arc<InMemory> {
        let store = Arc::new(InMemory::new());
        self.write(&*store, "backup").await;
        store
    }
}

pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

pub(crate) fn checksum(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(Md5::digest(bytes).as_slice())
}

/// The line of an item of a full export.
pub(crate) fn row(key: &str, value: u64) -> String {
    format!(r#"{{"Item":{}}}"#, image(key, value))
}

/// The line of an item that has changed.
pub(crate) fn change(key: &str, old: Option<u64>, new: Option<u64>) -> String {
    let mut line =
        json!({"Metadata": {"WriteTimestampMicros": {"N": "1000000"}}, "Keys": {"PK": {"S": key}}}).to_string();
    line.pop();
    for (name, value) in [("NewImage", new), ("OldImage", old)] {
        if let Some(value) = value {
            line += &format!(r#","{name}":{}"#, image(key, value));
        }
    }
    line + "}"
}

fn image(key: &str, value: u64) -> String {
    json!({"PK": {"S": key}, "value": {"N": value.to_string()}, "entityType": {"S": "ROW"}}).to_string()
}
