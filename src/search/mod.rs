#![doc = include_str!("../docs/search.md")]

mod document;
mod error;
mod naming;
mod step;
mod writing;

use std::sync::Arc;

pub use document::{Numbers, all_attributes, plain};
pub use error::SearchError;
pub use naming::{ByItem, Fixed, Naming};
use serde::Serialize;
use step::{Changes, Shape, Step};
use writing::Made;

use crate::{
    handler::{Batch, Handler},
    record::FromImage,
    sink::index::{Document, Fields, Index, Limits, is_index_name, to_json},
};

/// What the function's role must allow on `DOMAIN_ARN/*`, behind a domain of Amazon OpenSearch Service.
pub const ACTIONS: &[&str] = &["es:ESHttpPost", "es:ESHttpPut"];
/// As many records as Lambda delivers at most: the more of them, the more fold into one request.
const WINDOW: usize = 10_000;

/// What a deleted item leaves in its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Tombstones {
    /// Nothing: the document goes at once.
    #[default]
    None,
    /// A document that holds the version and the time and nothing else, and that searches have to leave out. Late
    /// workers lose against it. See [the recipe](self#tombstones) for sweeping them up.
    Keep,
}

/// Keeps search indexes equal to the table whose changes it handles. See [the chapter](self) for what it promises.
///
/// `T` is what images decode into, `N` how indexes are chosen: [`Fixed`], unless [`index_by`](Self::index_by) is
/// called.
///
/// ```
/// use std::sync::Arc;
///
/// use anabranch::{dispatch::Dispatcher, handler::Context, record::NewImage, router::Router};
/// use anabranch::{search::{Search, all_attributes}, sink::index::Memory};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Arc::new(Memory::new("search"));
/// let search = Search::new(server.clone(), "pets", all_attributes);
/// let dispatcher = Dispatcher::new(Router::<NewImage>::new().every(search));
///
/// let batch = r#"{"Records": [{"eventName": "INSERT", "dynamodb": {"SequenceNumber": "111",
///     "Keys":     {"PK": {"S": "USER#ada"}, "SK": {"S": "PET#mia"}},
///     "NewImage": {"PK": {"S": "USER#ada"}, "SK": {"S": "PET#mia"}, "species": {"S": "cat"}}}}]}"#;
/// let report = dispatcher.dispatch(batch, &Context::default()).await?;
/// assert_eq!(report.applied, 1);
/// assert_eq!(server.documents()[0].1["species"], "cat");
/// # Ok(()) }
/// ```
pub struct Search<T, N = Fixed> {
    server: Arc<dyn Index>,
    names: N,
    shape: Arc<Shape<T>>,
    fields: Fields,
    tombstones: Tombstones,
    limits: Limits,
    made: Option<Arc<Made>>,
    generation: u32,
}

impl<T: FromImage> Search<T> {
    /// Writes the document that `shape` makes of an item to one index of the server.
    ///
    /// `shape` is a pure function of the item. Where it answers none, the item is not in the index, and is removed from it
    /// if it was.
    ///
    /// # Panics
    /// If `index` is no legal index name (see [`is_index_name`]).
    pub fn new<D, F>(server: impl Index, index: &str, shape: F) -> Self
    where
        D: Serialize,
        F: Fn(&T) -> Option<D> + Send + Sync + 'static,
    {
        assert!(is_index_name(index), "`{index}` is no legal index name");
        Self {
            server: Arc::new(server),
            names: Fixed(index.into()),
            shape: Arc::new(move |item| shape(item).as_ref().map(to_json).transpose()),
            fields: Fields::default(),
            tombstones: Tombstones::None,
            limits: Limits::default(),
            made: None,
            generation: 0,
        }
    }

    /// Names the index of each document by a pure function of the item, instead of one for all.
    ///
    /// When a change moves the item to another index, its document is removed from the one before. This needs both
    /// images, so only a stream of `NEW_AND_OLD_IMAGES` will do.
    #[must_use]
    pub fn index_by(self, name: impl Fn(&T) -> String + Send + Sync + 'static) -> Search<T, ByItem<T>> {
        let Self { server, shape, fields, tombstones, limits, made, generation, .. } = self;
        Search { server, names: ByItem(Arc::new(name)), shape, fields, tombstones, limits, made, generation }
    }
}

impl<T, N> Search<T, N> {
    /// Says what a deleted item leaves behind: nothing, unless it says otherwise.
    #[must_use]
    pub fn tombstones(mut self, tombstones: Tombstones) -> Self {
        self.tombstones = tombstones;
        self
    }

    /// Makes each index before the first write to it, if it is not there, with these settings, mappings and aliases.
    ///
    /// `body` is that of a request to create an index. The fields that are ours are mapped in it. Once per process
    /// and index.
    ///
    /// # Panics
    /// If `body` is no JSON object.
    #[must_use]
    pub fn creating(mut self, body: serde_json::Value) -> Self {
        let serde_json::Value::Object(body) = body else { panic!("the body that creates an index is a JSON object") };
        self.made = Some(Arc::new(Made::new(body)));
        self
    }

    /// Writes as a later generation, 0 unless said otherwise: whatever comes in it is above all that earlier ones have
    /// written, rows of a snapshot too.
    ///
    /// Raise it, and deploy, before changes that the stream has no more are brought in by a bridge of exports. Never lower it:
    /// changes of an earlier generation are stale against documents of this one.
    #[must_use]
    pub fn generation(mut self, generation: u32) -> Self {
        self.generation = generation;
        self
    }

    /// Says in which fields documents carry their version and tombstones their time.
    #[must_use]
    pub fn fields(mut self, fields: Fields) -> Self {
        self.fields = fields;
        self
    }

    /// Says how many bytes a request may have: 5 MB, unless it says otherwise.
    #[must_use]
    pub fn request_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Says how many operations a request may have: 1,000, unless it says otherwise; 0 counts as 1.
    #[must_use]
    pub fn request_operations(mut self, operations: usize) -> Self {
        self.limits.operations = operations;
        self
    }

    /// Says how many requests may be on their way at the same time: 4, unless it says otherwise; 0 counts as 1.
    #[must_use]
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.limits.concurrency = requests;
        self
    }
}

impl<T, N: Clone> Clone for Search<T, N> {
    fn clone(&self) -> Self {
        Self {
            server: Arc::clone(&self.server),
            names: self.names.clone(),
            shape: Arc::clone(&self.shape),
            fields: self.fields.clone(),
            tombstones: self.tombstones,
            limits: self.limits,
            made: self.made.clone(),
            generation: self.generation,
        }
    }
}

impl<T: FromImage, N: Naming<T>> Handler<T, N::View> for Search<T, N> {
    async fn handle(&self, batch: &mut Batch<'_, T, N::View>) {
        let mut steps = Vec::new();
        for admitted in batch.admit_all() {
            match Step::of(admitted, self.generation, &self.names, &*self.shape) {
                Ok(step) => steps.push(step),
                Err((ticket, failure)) => batch.settle(ticket, Err::<(), _>(failure)),
            }
        }
        let mut changes = Changes::by_document(steps);
        while !changes.is_empty() {
            changes = self.write(batch, changes).await;
        }
    }

    fn window(&self) -> usize {
        WINDOW
    }
}
