//! `anabranch export`: the items of a table, an index or a query, into a file.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use anabranch::{
    record::RawImage,
    scan::{Page, Pages},
    sink::file::{Csv, Format, ItemFile, Written},
};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use serde_json::json;

use crate::{
    BoxError,
    interrupt::Interrupt,
    location::Location,
    meter::Meter,
    reading::{self, Known, Reading},
};

/// Segments are read side by side, since a file has no order to keep.
const WORKERS: u32 = 4;

/// Write the items of a table, an index or a query to a file or to S3: JSON lines, CSV or DynamoDB JSON
///
/// Reads as many segments side by side as --workers says, and writes a line for each item, compressed if the name ends in
/// .gz. Larger files go to S3 in parts of 10 MiB, four at a time. The file is there as a whole or not at all: on a failure and
/// on Ctrl-C the upload is aborted, and a file that was there before stays as it was.
///
/// To export a whole table as of one moment, without taking any of its capacity, use DynamoDB's own export to S3, and
/// `anabranch backfill --export` to read it.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    reading: Reading,
    /// Where to: a file, or s3://BUCKET/KEY. The name says the format: .jsonl, .csv; and .gz behind it compresses
    to: String,
    /// The format, if the name does not say it
    #[arg(long, value_name = "FORMAT")]
    format: Option<Name>,
    /// The columns of CSV: attributes of the items, in this order
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,
    /// Leave the names of the columns out
    #[arg(long, requires = "columns")]
    no_header: bool,
    /// Print what the reading takes, with its time and its cost, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the plan and the result as JSON, a line each
    #[arg(long)]
    json: bool,
}

/// A format by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Name {
    /// Plain JSON, a line for each item
    Jsonl,
    /// Columns that --columns names
    Csv,
    /// DynamoDB's export format, without any loss; DynamoDB's import takes it
    DynamodbJson,
}

/// Runs to the end, or to Ctrl-C; true if the file is there.
///
/// # Errors
/// The plan is refused, the table cannot be read, or the file cannot be written. There is no file then, and no part of one.
pub(crate) async fn run(args: Args) -> Result<bool, BoxError> {
    let format = args.format()?;
    let client = args.reading.client().await;
    let known = args.reading.look_up(&client, WORKERS).await?;
    known.print(args.json, args.dry_run)?;
    if args.dry_run {
        return Ok(true);
    }
    let bytes = Arc::new(AtomicU64::new(0));
    let file = args.file(format, &bytes).await?;
    let pages = args.reading.pages(&client, &known, WORKERS, None).pages();
    let mut tap = Tap { pages, bytes, meter: args.meter(&known), interrupt: Interrupt::listen() };
    let written = file.write(tap.items()).await;
    tap.meter.end();
    match written {
        Ok(written) => args.report(&tap.pages, &written).map(|()| true),
        Err(_) if tap.interrupt.is_pressed() => {
            eprintln!("stopped: nothing was written");
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// The pages on their way into the file.
struct Tap {
    pages: Pages,
    /// The length of the file so far.
    bytes: Arc<AtomicU64>,
    meter: Meter,
    interrupt: Interrupt,
}

impl Tap {
    /// The items. Ctrl-C is a failure like any other, which the file is aborted by.
    fn items(&mut self) -> impl Stream<Item = Result<RawImage, BoxError>> {
        let pages = stream::unfold(self, async |tap| Some((tap.next().await?, tap)));
        pages.map_ok(|page| stream::iter(page.raw_items().map(Ok).collect::<Vec<_>>())).try_flatten()
    }

    async fn next(&mut self) -> Option<Result<Page, BoxError>> {
        let page = tokio::select! {
            biased;
            () = self.interrupt.pressed() => return Some(Err("interrupted".into())),
            page = self.pages.next() => page?,
        };
        let (progress, bytes) = (self.pages.progress(), self.bytes.load(Relaxed));
        self.meter.show(progress.scanned, || format!("{}, {:.1} MB", reading::details(&progress), bytes as f64 / 1e6));
        Some(page.map_err(Into::into))
    }
}

impl Args {
    fn format(&self) -> Result<Format, BoxError> {
        let name = self.format.or_else(|| named(&self.to)).ok_or_else(|| {
            format!("{} does not say its format; name it .jsonl, .csv or either with .gz, or say --format", self.to)
        })?;
        match (name, self.columns.is_empty()) {
            (Name::Jsonl, true) => Ok(Format::JsonLines),
            (Name::DynamodbJson, true) => Ok(Format::DynamoDbJson),
            (Name::Csv, false) => {
                let csv = Csv::columns(&self.columns);
                Ok(Format::Csv(if self.no_header { csv.without_header() } else { csv }))
            }
            (Name::Csv, true) => Err("CSV needs its columns, since items may differ: --columns PK,SK,name".into()),
            (_, false) => Err("only CSV has columns; --project chooses the attributes of other formats".into()),
        }
    }

    async fn file(&self, format: Format, bytes: &Arc<AtomicU64>) -> Result<ItemFile, BoxError> {
        let Location { store, path } = Location::of(&self.to).await?;
        let bytes = Arc::clone(bytes);
        let file = ItemFile::new(store, path, format).progress(move |written| bytes.store(written.file_bytes, Relaxed));
        Ok(if is_gzip(&self.to) { file.gzip() } else { file })
    }

    fn meter(&self, known: &Known) -> Meter {
        Meter::new(known.items(), self.json)
    }

    fn report(&self, pages: &Pages, written: &Written) -> Result<(), BoxError> {
        let Written { items, text_bytes, file_bytes } = written;
        let counts = reading::counts(&pages.progress());
        match self.json {
            true => {
                let written = json!({ "items": items, "textBytes": text_bytes, "fileBytes": file_bytes });
                println!("{}", json!({ "counts": counts, "written": written, "ok": true }));
            }
            false => {
                let units = pages.progress().units;
                println!("done       {items} items, {file_bytes} bytes in {}; {units:.0} read units", self.to);
            }
        }
        Ok(())
    }
}

fn is_gzip(to: &str) -> bool {
    to.ends_with(".gz")
}

/// The format that a file's name says.
fn named(to: &str) -> Option<Name> {
    let extension = Path::new(to.strip_suffix(".gz").unwrap_or(to)).extension()?.to_str()?;
    match extension {
        "jsonl" | "ndjson" | "json" => Some(Name::Jsonl),
        "csv" => Some(Name::Csv),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_format_and_compression() {
        for (to, format, gzip) in [
            ("pets.jsonl", Some(Name::Jsonl), false),
            ("s3://backups/2026/pets.jsonl.gz", Some(Name::Jsonl), true),
            ("pets.csv.gz", Some(Name::Csv), true),
            ("pets.json", Some(Name::Jsonl), false),
            ("pets.gz", None, true),
            ("pets", None, false),
            ("s3://backups.csv/pets", None, false),
        ] {
            assert_eq!((named(to), is_gzip(to)), (format, gzip), "{to}");
        }
    }
}
