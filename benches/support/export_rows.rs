//! The rows: an export read, and one that is only decompressed.

use std::{
    hint::black_box,
    io::{Read, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use anabranch::{
    dispatch::BatchReport,
    record::{EventName, RawRecord, split},
    source::export::Export,
};
use base64_simd::STANDARD as BASE64;
use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};
use md5::{Digest, Md5};
use object_store::{ObjectStoreExt, memory::InMemory, path::Path};

use super::batches;

/// An export of one data file.
pub(crate) struct Exported {
    pub(crate) gzip: Vec<u8>,
    pub(crate) items: usize,
    /// Bytes of JSON.
    pub(crate) text: usize,
    incremental: bool,
}

impl Exported {
    /// Six megabytes of PetTracker items, or changes.
    pub(crate) fn make(kind: &str) -> Self {
        let incremental = kind == "incremental";
        let records =
            split(batches::pets(6_000_000).body.into()).expect("an event").map(|record| record.expect("a record"));
        let line = if incremental { change } else { item };
        let mut lines: Vec<String> = records.filter_map(|record| line(&record)).collect();
        if kind == "varied" {
            lines.iter_mut().enumerate().for_each(|(n, line)| *line = with_note(line, n as u64));
        }
        let text = lines.concat();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(text.as_bytes()).expect("memory takes all");
        let gzip = gzip.finish().expect("memory takes all");
        Self { gzip, items: lines.len(), text: text.len(), incremental }
    }

    async fn open(&self) -> Export {
        let store = InMemory::new();
        let md5 = BASE64.encode_to_string(Md5::digest(&self.gzip).as_slice());
        let files =
            format!(r#"{{"itemCount":{},"md5Checksum":"{md5}","dataFileS3Key":"e/data/a.json.gz"}}"#, self.items);
        let times = match self.incremental {
            true => {
                r#""exportType":"INCREMENTAL_EXPORT","exportFromTime":"2026-11-20T00:00:00Z","exportToTime":"2026-11-21T00:00:00Z""#
            }
            false => r#""exportTime":"2026-11-21T00:00:00Z""#,
        };
        let summary = format!(
            r#"{{"exportArn":"arn:e/export/e","tableArn":"arn:e","manifestFilesS3Key":"e/manifest-files.json","itemCount":{},"outputFormat":"DYNAMODB_JSON",{times}}}"#,
            self.items
        );
        let objects = [
            ("data/a.json.gz", self.gzip.clone()),
            ("manifest-files.json", files.into()),
            ("manifest-summary.json", summary.into()),
        ];
        for (name, bytes) in objects {
            store.put(&Path::from(format!("e/{name}")), bytes.into()).await.expect("memory takes all");
        }
        Export::open(Arc::new(store), "e").await.expect("an export")
    }
}

fn item(record: &RawRecord) -> Option<String> {
    let image = record.new_image()?;
    Some(format!("{{\"Item\":{}}}\n", String::from_utf8_lossy(image.json())))
}

/// With a text of 110 letters that no other item has.
fn with_note(line: &str, n: u64) -> String {
    let note: String = (0..5).map(|k| BASE64.encode_to_string(&Md5::digest((n * 5 + k).to_le_bytes())[..])).collect();
    let item = line.strip_suffix("}}\n").expect("the end of an item");
    format!("{item},\"note\":{{\"S\":\"{}\"}}}}}}\n", &note[..110])
}

fn change(record: &RawRecord) -> Option<String> {
    let text = |json| String::from_utf8_lossy(json).into_owned();
    let mut line = format!(
        r#"{{"Metadata":{{"WriteTimestampMicros":{{"N":"1763692800250000"}}}},"Keys":{}"#,
        text(record.keys().json())
    );
    let images = [("NewImage", record.new_image()), ("OldImage", record.old_image())];
    for (name, image) in images {
        if let Some(image) = image.filter(|_| record.event_name() != EventName::Remove || name == "OldImage") {
            line += &format!(r#","{name}":{}"#, text(image.json()));
        }
    }
    Some(line + "}\n")
}

/// Runs one row; says how long it took.
pub(crate) fn run(row: &str, exported: &Exported) -> Duration {
    match row {
        "inflate" => {
            measured(|| {
                let mut gzip = MultiGzDecoder::new(&*exported.gzip);
                let mut text = vec![0; 64 * 1024];
                while black_box(gzip.read(&mut text).expect("gzip")) > 0 {}
            })
            .1
        }
        "read" => {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let export = runtime.block_on(exported.open());
            let mut batches = export.batches(["PK", "SK"]);
            let (records, time) = measured(|| {
                runtime.block_on(async {
                    let mut records = 0;
                    while let Some(batch) = batches.next().await.expect("a good export") {
                        records += batch.records;
                        batches.answer(black_box(batch), &BatchReport::default());
                    }
                    records
                })
            });
            assert_eq!(records, exported.items, "every item is read");
            time
        }
        other => panic!("no row {other}"),
    }
}

/// The function whose instructions are counted.
#[inline(never)]
fn measured<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    (black_box(work()), start.elapsed())
}
