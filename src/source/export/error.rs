//! Why an export cannot be read.

use std::sync::Arc;

use super::Kind;
use crate::record::Timestamp;

/// Why an export cannot be read. Files are named by their paths in the store.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// There is no finished export where one was expected.
    #[error(
        "there is no export in `{folder}`: it has no `manifest-summary.json`, which is written when an export is complete"
    )]
    NoExport {
        /// The folder that was looked into.
        folder: String,
    },
    /// The store does not give an object.
    #[error("`{file}` cannot be read from {store}")]
    Store {
        /// The object.
        file: String,
        /// The store.
        store: String,
        /// What the store says.
        source: Arc<object_store::Error>,
    },
    /// A data file that the manifest names is not there.
    #[error(
        "`{file}` is not there, though the manifest names it; copy the export's data files again, those of incremental \
         exports lie in the folder `data` beside the export's own"
    )]
    Missing {
        /// The data file, where it was expected.
        file: String,
        /// What the store says.
        source: Arc<object_store::Error>,
    },
    /// A manifest cannot be understood.
    #[error("the manifest `{file}` cannot be understood: {reason}; copy it again from where DynamoDB wrote it")]
    Manifest {
        /// The manifest.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The export is in a format that is not read here.
    #[error("the export in `{folder}` has the format {format}; export again with the format DYNAMODB_JSON")]
    Format {
        /// The export's folder.
        folder: String,
        /// Its format.
        format: String,
    },
    /// A file is not what its checksum was made of.
    #[error("`{file}` does not match its MD5 checksum: it was damaged or changed since it was exported; copy it again")]
    Checksum {
        /// The file.
        file: String,
    },
    /// The manifests contradict each other, or a file has more or fewer items than its manifest says.
    #[error("`{file}` has {found} items where the manifest says {expected}; copy it and its manifest again")]
    Count {
        /// The file.
        file: String,
        /// How many items there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// A data file does not decompress.
    #[error("`{file}` is no whole gzip file after line {line}: {reason}; it was cut short or damaged, copy it again")]
    Compression {
        /// The data file.
        file: String,
        /// How many lines came before.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// A line of a data file is not an item.
    #[error("line {line} of `{file}` cannot be understood: {reason}")]
    Line {
        /// The data file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong, without the line's content.
        reason: LineReason,
    },
    /// A cursor belongs to another export.
    #[error(
        "the cursor is of {cursor}, and this is {export}: resume with the export that it was made for, or begin anew"
    )]
    OtherExport {
        /// Which export the cursor is of.
        cursor: String,
        /// Which one was to be resumed.
        export: String,
    },
    /// A cursor does not fit the export that it names.
    #[error("the cursor does not fit {export}: {reason}; begin anew")]
    BadCursor {
        /// The export.
        export: String,
        /// What does not fit.
        reason: &'static str,
    },
    /// The next export of a bridge may begin only when all batches of the one before are answered for.
    #[error(
        "{batches} batches of {export} are not answered for; answer them before asking for the next export's first"
    )]
    Unanswered {
        /// The export.
        export: String,
        /// How many batches were handed out and not answered for.
        batches: usize,
    },
    /// Reading has failed before.
    #[error("reading has failed before; resume from the cursor with a new reader")]
    Failed,
    /// There is nothing to make a bridge of.
    #[error("a bridge needs at least one export")]
    NoBridge,
    /// A full export among those of a bridge.
    #[error(
        "{export} is a full export, which says nothing of what was deleted: bridge a gap with incremental exports, or \
         build the targets anew from it"
    )]
    Full {
        /// The export.
        export: String,
    },
    /// An incremental export where a full one is needed.
    #[error("{export} is an incremental export: targets are built anew from a full one")]
    NotFull {
        /// The export.
        export: String,
    },
    /// The exports of a bridge are of different tables.
    #[error("{export} is of {table}, and the exports before it are of {other}: versions of two tables do not compare")]
    OtherTable {
        /// The export.
        export: String,
        /// Its table.
        table: String,
        /// The table of the others.
        other: String,
    },
    /// Changes are missing between two exports of a bridge, or at one of its ends.
    #[error(
        "no export covers the changes from {from} to {until}; make an incremental export of that time, which has to lie \
         within the table's point-in-time recovery"
    )]
    Gap {
        /// From when on changes are missing.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// The windows of two exports of a bridge overlap, and no others lead past them.
    #[error(
        "{first} ({first_holds}) and {second} ({second_holds}) overlap: an item that came in the time that both have, and went \
         after it, would stay; make an incremental export from {} until {}, which takes the place of the second",
        .first_holds.until(), .second_holds.until()
    )]
    Overlap {
        /// The export that ends first.
        first: String,
        /// What it holds.
        first_holds: Kind,
        /// The export that ends last.
        second: String,
        /// What it holds.
        second_holds: Kind,
    },
}

/// What is wrong with a line of a data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineReason {
    /// It is not the JSON of an item or of a change.
    #[error("it is not the JSON of a line of an export")]
    NotJson,
    /// It has no item.
    #[error("it has no `Item`; is the export an incremental one whose manifest does not say so?")]
    NoItem,
    /// It has no keys.
    #[error("it has no `Keys`; is the export a full one whose manifest does not say so?")]
    NoKeys,
    /// The item lacks a key attribute.
    #[error("its item lacks a key attribute; name the key attributes of the table that was exported")]
    KeyMissing,
    /// It is longer than any item.
    #[error("it is longer than 64 MiB, which no item is")]
    TooLong,
}
