//! Items into files: of a folder, a bucket, or whatever else `object_store` reaches.
//!
//! # Flow
//! [`ItemFile::write`] takes a stream of items, as scans and queries have them, and writes one line for each: plain JSON,
//! CSV or DynamoDB JSON ([`Format`]), compressed if asked for. Small files are put in one request; larger ones are
//! uploaded in parts, several at a time, while the stream goes on.
//!
//! # Guarantees
//! The file is there as a whole or not at all: a bucket shows it once its last part is put together, a folder once it is
//! renamed. If the stream fails, an item cannot be written, or the store fails, the upload is aborted; also if the
//! future is dropped. Memory stays at about `concurrency + 1` parts, whatever the number of items.
//!
//! # Caveats
//! A process that is killed leaves the parts of its upload behind. Give a bucket a lifecycle rule that removes
//! incomplete uploads. S3 takes 10,000 parts of a file: 100 GB with parts of 10 MiB.
//!
//! ```
//! use std::sync::Arc;
//!
//! use anabranch::{record::wire::ItemJson, sink::file::{Csv, Format, ItemFile}};
//! use futures_util::stream;
//! use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pets = [r#"{"name":{"S":"Mia, the cat"},"weightKg":{"N":"4.25"}}"#, r#"{"name":{"S":"Rex"}}"#];
//! let pets = stream::iter(pets.map(|pet| Ok::<_, std::io::Error>(ItemJson::from_json(pet))));
//!
//! let store = Arc::new(InMemory::new());
//! let file = ItemFile::new(store.clone(), "pets.csv", Format::Csv(Csv::columns(["name", "weightKg"])));
//! let written = file.write(pets).await?;
//!
//! assert_eq!(written.items, 2);
//! let text = store.get(&Path::from("pets.csv")).await?.bytes().await?;
//! assert_eq!(text, "name,weightKg\n\"Mia, the cat\",4.25\nRex,\n");
//! # Ok(()) }
//! ```

mod csv;
mod error;
mod format;
mod plain;
mod upload;

use std::{
    error::Error,
    fmt,
    io::{self, Write},
    mem,
    pin::pin,
    sync::Arc,
};

pub use csv::Csv;
pub use error::FileError;
use flate2::{Compression, write::GzEncoder};
pub use format::{Format, Lines};
use futures_util::{Stream, StreamExt};
use object_store::{ObjectStore, path::Path};
use upload::Upload;

use crate::record::wire::ItemJson;

/// Parts of a file have so many bytes, unless another number is chosen.
pub const DEFAULT_PART_BYTES: usize = 10 * 1024 * 1024;
/// Parts on their way at the same time, unless another number is chosen.
pub const DEFAULT_CONCURRENCY: usize = 4;

/// Text is handed on in pieces of about this many bytes.
const PIECE: usize = 256 * 1024;

type OnProgress = dyn FnMut(&Written) + Send;

/// How far the writing of a file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Items that were written.
    pub items: u64,
    /// The length of their text.
    pub text_bytes: u64,
    /// The length of the file: that of the text, or less if it is compressed.
    pub file_bytes: u64,
}

/// A file that items are written to. See [the room](self) for what it promises.
pub struct ItemFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    format: Format,
    gzip: bool,
    part_bytes: usize,
    concurrency: usize,
    progress: Box<OnProgress>,
}

impl ItemFile {
    /// A file at a path of a store. One that is there already is replaced.
    pub fn new(store: Arc<dyn ObjectStore>, path: impl Into<Path>, format: Format) -> Self {
        Self {
            store,
            path: path.into(),
            format,
            gzip: false,
            part_bytes: DEFAULT_PART_BYTES,
            concurrency: DEFAULT_CONCURRENCY,
            progress: Box::new(|_| ()),
        }
    }

    /// Compresses the file with gzip.
    #[must_use]
    pub fn gzip(self) -> Self {
        Self { gzip: true, ..self }
    }

    /// Says how many bytes a part has. S3 takes none below 5 MiB but the last.
    #[must_use]
    pub fn part_bytes(self, bytes: usize) -> Self {
        Self { part_bytes: bytes.max(1), ..self }
    }

    /// Says how many parts may be on their way at the same time; 0 counts as 1.
    #[must_use]
    pub fn concurrency(self, parts: usize) -> Self {
        Self { concurrency: parts.max(1), ..self }
    }

    /// Calls a function whenever another quarter of a megabyte was handed to the store, and at the end.
    #[must_use]
    pub fn progress(self, progress: impl FnMut(&Written) + Send + 'static) -> Self {
        Self { progress: Box::new(progress), ..self }
    }

    /// Writes all items of a stream. The next one is asked for when there is room for it.
    ///
    /// # Errors
    /// The first error of the stream or of the store, or an item that is no DynamoDB JSON. There is no file then, and
    /// no part of one.
    pub async fn write<I, E>(self, items: impl Stream<Item = Result<I, E>>) -> Result<Written, FileError>
    where
        I: Into<ItemJson>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut upload = Upload::new(self.store, self.path, self.part_bytes, self.concurrency);
        let mut writing = Writing { text: Text::new(self.gzip), written: Written::default(), progress: self.progress };
        match writing.all(items, &self.format, &mut upload).await {
            Ok(()) => upload.finish().await.map(|()| writing.written),
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }
}

impl fmt::Debug for ItemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemFile")
            .field("store", &self.store)
            .field("path", &self.path)
            .field("format", &self.format)
            .field("gzip", &self.gzip)
            .finish_non_exhaustive()
    }
}

struct Writing {
    text: Text,
    written: Written,
    progress: Box<OnProgress>,
}

impl Writing {
    async fn all<I, E>(
        &mut self,
        items: impl Stream<Item = Result<I, E>>,
        format: &Format,
        upload: &mut Upload,
    ) -> Result<(), FileError>
    where
        I: Into<ItemJson>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let (mut items, mut lines) = (pin!(items), Lines::new(format));
        self.line(lines.header())?;
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| FileError::Items(Arc::from(error.into())))?.into();
            let line = lines.line(item.as_bytes());
            self.line(line.ok_or(FileError::NoItem { item: self.written.items })?)?;
            self.written.items += 1;
            if self.text.len() >= PIECE {
                let piece = self.text.take();
                self.hand_on(piece, upload).await?;
            }
        }
        let rest = self.text.finish()?;
        self.hand_on(rest, upload).await
    }

    fn line(&mut self, line: &[u8]) -> Result<(), FileError> {
        self.written.text_bytes += line.len() as u64;
        Ok(self.text.write(line)?)
    }

    async fn hand_on(&mut self, piece: Vec<u8>, upload: &mut Upload) -> Result<(), FileError> {
        self.written.file_bytes += piece.len() as u64;
        upload.put(piece.into()).await?;
        (self.progress)(&self.written);
        Ok(())
    }
}

/// The text of a file as it is stored.
enum Text {
    Plain(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Text {
    fn new(gzip: bool) -> Self {
        if gzip { Self::Gzip(GzEncoder::new(Vec::new(), Compression::default())) } else { Self::Plain(Vec::new()) }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(text) => text.write_all(line),
            Self::Gzip(text) => text.write_all(line),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Plain(text) => text.len(),
            Self::Gzip(text) => text.get_ref().len(),
        }
    }

    /// What is ready to be stored.
    fn take(&mut self) -> Vec<u8> {
        match self {
            Self::Plain(text) => mem::take(text),
            Self::Gzip(text) => mem::take(text.get_mut()),
        }
    }

    fn finish(&mut self) -> io::Result<Vec<u8>> {
        if let Self::Gzip(text) = self {
            text.try_finish()?;
        }
        Ok(self.take())
    }
}
