//! The builders: what is read, how much of it, and how fast.

use std::{collections::HashMap, fmt, marker::PhantomData};

use aws_sdk_dynamodb::Client;
use serde::Serialize;
use serde_dynamo::AttributeValue;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{
    Cursor, Items, Pages, ScanError, SinkRate,
    expression::{Names, attributes},
    request::Request,
};
use crate::record::{FromImage, RawImage};

/// As many segments as DynamoDB divides a table into.
const MOST_SEGMENTS: u32 = 1_000_000;
/// Room for pages read ahead, for each worker and for the page in the consumer's hands: a page of 1 MB as JSON.
const ROOM: usize = 3 << 19;

/// Reads a whole table or index: [`Read::new`] with a client and a table.
pub type Scan = Read<Whole>;
/// Reads the items of one partition key: [`Read::new`] with a client, a table and a key condition.
pub type Query = Read<OnePartition>;

/// The kind of a [`Scan`].
#[derive(Debug, Clone, Copy)]
pub struct Whole(());
/// The kind of a [`Query`].
#[derive(Debug, Clone, Copy)]
pub struct OnePartition(());

/// What is read, how much of it, and how fast. Nothing is asked for until a stream made of it is polled.
///
/// [`Scan`] and [`Query`] are the two kinds. See [the chapter](super) for recipes.
pub struct Read<K> {
    pub(super) settings: Settings,
    kind: PhantomData<K>,
}

/// Everything that the builders set, as it was given.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    client: Client,
    table: String,
    index: Option<String>,
    local: bool,
    condition: Option<String>,
    forward: bool,
    filter: Option<String>,
    projection: Vec<String>,
    keys: Option<Keys>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
    no_value: Option<String>,
    consistent: bool,
    count_only: bool,
    segments: u32,
    resumed: Option<Vec<Cursor>>,
    pub(super) limit: Option<u32>,
    pub(super) workers: usize,
    pub(super) prefetch: Option<usize>,
    pub(super) rate: Option<f64>,
    pub(super) sink_rate: Option<SinkRate>,
    pub(super) take: Option<u64>,
    pub(super) until: Option<Instant>,
}

/// Names of key attributes, as they were given.
#[derive(Debug, Clone)]
struct Keys {
    names: Vec<String>,
    /// The index that was to be read by then.
    index: Option<String>,
}

impl Read<Whole> {
    /// A scan of a whole table: one segment, one worker, eventually consistent, as fast as it goes.
    pub fn new(client: &Client, table: impl Into<String>) -> Self {
        Self::of(client, table.into(), None)
    }

    /// Divides the table into so many segments, 1 by default, 1,000,000 at most. It is pinned in every cursor.
    ///
    /// Many more segments than workers spread the load over the partitions, and leave no worker alone with the
    /// last one. They are read in random order.
    pub fn segments(mut self, segments: u32) -> Self {
        self.settings.segments = segments;
        self
    }

    /// How many segments are read at the same time, 1 by default.
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = workers;
        self
    }
}

impl Read<OnePartition> {
    /// A query, such as `"PK = :pk AND begins_with(SK, :prefix)"`. Names are aliased, so that reserved words may be used.
    pub fn new(client: &Client, table: impl Into<String>, condition: impl Into<String>) -> Self {
        Self::of(client, table.into(), Some(condition.into()))
    }

    /// Reads from the last sort key to the first.
    pub fn backward(mut self) -> Self {
        self.settings.forward = false;
        self
    }
}

impl<K> Read<K> {
    fn of(client: &Client, table: String, condition: Option<String>) -> Self {
        let settings = Settings {
            client: client.clone(),
            table,
            index: None,
            local: false,
            condition,
            forward: true,
            filter: None,
            projection: Vec::new(),
            keys: None,
            names: HashMap::new(),
            values: HashMap::new(),
            no_value: None,
            consistent: false,
            count_only: false,
            segments: 1,
            resumed: None,
            limit: None,
            workers: 1,
            prefetch: None,
            rate: None,
            sink_rate: None,
            take: None,
            until: None,
        };
        Self { settings, kind: PhantomData }
    }

    /// Reads a global secondary index instead of the table.
    pub fn index(mut self, index: impl Into<String>) -> Self {
        self.settings.index = Some(index.into());
        self.settings.local = false;
        self
    }

    /// Reads a local secondary index instead of the table. It is one that can be read consistently.
    pub fn local_index(mut self, index: impl Into<String>) -> Self {
        self.settings.index = Some(index.into());
        self.settings.local = true;
        self
    }

    /// Only items that this expression holds of, such as `"species = :species AND attribute_not_exists(deletedAt)"`.
    ///
    /// DynamoDB reads the others too, and charges for them. Every name gets an alias, so that reserved words may be used;
    /// an attribute called `and`, `or`, `not`, `between` or `in`, or with other characters than letters, digits and `_`, needs
    /// an alias [by hand](Self::name).
    pub fn filter(mut self, expression: impl Into<String>) -> Self {
        self.settings.filter = Some(expression.into());
        self
    }

    /// Only these attributes, or paths such as `address.city` and `tags[0]`, and always those of the keys.
    ///
    /// DynamoDB reads the whole item, and charges for it. Which attributes the keys are is asked of the table once
    /// (`dynamodb:DescribeTable`), unless [`keys`](Self::keys) says so.
    pub fn project<P: Into<String>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.settings.projection.extend(paths.into_iter().map(Into::into));
        self
    }

    /// The key attributes of the table, and of the index if one is read, for [`project`](Self::project),
    /// and to go on behind the last item that was [taken](Self::take): see [`key_names`](super::key_names).
    ///
    /// Say the index before: keys that were given without it are the table's, and no place to go on at in the index.
    pub fn keys<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let (names, index) = (names.into_iter().map(Into::into).collect(), self.settings.index.clone());
        self.settings.keys = Some(Keys { names, index });
        self
    }

    /// Gives an attribute an alias for expressions, such as `("#odd", "a-b")`.
    pub fn name(mut self, alias: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.settings.names.insert(alias.into(), attribute.into());
        self
    }

    /// Gives a value a name for expressions, such as `(":species", "cat")`.
    pub fn value(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        let name = name.into();
        match serde_dynamo::to_attribute_value::<_, AttributeValue>(value) {
            Ok(value) => drop(self.settings.values.insert(name, value)),
            Err(_) => self.settings.no_value = Some(name),
        }
        self
    }

    /// The same for a value that is one of DynamoDB's already: binary, a set, a number with more digits than Rust's have.
    pub fn attribute_value(mut self, name: impl Into<String>, value: AttributeValue) -> Self {
        self.settings.values.insert(name.into(), value);
        self
    }

    /// Counts the items and leaves them where they are: pages are empty, and their [count](super::Page::count) is not.
    ///
    /// It costs as much as reading them. Not to be had of [projections](Self::project) and [`take`](Self::take).
    pub fn count_only(mut self) -> Self {
        self.settings.count_only = true;
        self
    }

    /// Reads consistently, at twice the price. Not to be had of a global index.
    pub fn consistent(mut self) -> Self {
        self.settings.consistent = true;
        self
    }

    /// At most so many items to a page, before the filter. Without it a page is 1 MB.
    pub fn page_limit(mut self, items: u32) -> Self {
        self.settings.limit = Some(items);
        self
    }

    /// Ends after so many items, and asks for no page more than that takes.
    pub fn take(mut self, items: u64) -> Self {
        self.settings.take = Some(items);
        self
    }

    /// Reads no faster than so many read units a second, over all workers: each has its share. Throttles halve the rate; every
    /// second without one brings back a twentieth of it.
    ///
    /// What a page costs is known when it has come, so each worker may be ahead by one page of up to 128 units; a smaller
    /// [`page_limit`](Self::page_limit) reads more evenly.
    pub fn rate(mut self, units_per_second: f64) -> Self {
        self.settings.rate = Some(units_per_second);
        self
    }

    /// Hands out no faster than that, whatever the scan could read.
    pub fn sink_rate(mut self, rate: SinkRate) -> Self {
        self.settings.sink_rate = Some(rate);
        self
    }

    /// So many bytes of pages are held at a time: those under way, those read ahead, and the one in the consumer's hands.
    ///
    /// By default 1.5 MB for each worker and 1.5 MB more. With 0 a page is asked for when the consumer wants it, and no sooner.
    pub fn prefetch(mut self, bytes: usize) -> Self {
        self.settings.prefetch = Some(bytes);
        self
    }

    /// Ends in time: no page is begun when less time is left than twice the slowest one took, and none is waited for past it, nor
    /// is the [rate of the sink](Self::sink_rate). It is no error; what is left to read is in [`Pages::checkpoint`].
    pub fn until(mut self, deadline: Instant) -> Self {
        self.settings.until = Some(deadline);
        self
    }

    /// Reads what is left of these segments, and only of these.
    pub fn resume(mut self, cursors: impl IntoIterator<Item = Cursor>) -> Self {
        self.settings.resumed = Some(cursors.into_iter().collect());
        self
    }

    /// Where each segment begins, or is resumed: to be stored, or to be handed to as many workers elsewhere.
    ///
    /// # Errors
    /// Settings that do not fit each other, and cursors of another request.
    pub fn cursors(&self) -> Result<Vec<Cursor>, ScanError> {
        self.settings.cursors()
    }

    /// The pages, as they come: in order within a segment, in none between segments.
    pub fn pages(self) -> Pages {
        Pages::new(self.settings)
    }

    /// The items, not decoded.
    pub fn items(self) -> Items<RawImage> {
        self.typed()
    }

    /// The items as a type. One that does not decode is [an error of its own](ScanError::Item), and the stream goes on.
    pub fn typed<T: FromImage>(self) -> Items<T> {
        Items::new(self.settings)
    }
}

impl<K> Clone for Read<K> {
    fn clone(&self) -> Self {
        Self { settings: self.settings.clone(), kind: PhantomData }
    }
}

impl<K> fmt::Debug for Read<K> {
    /// Leaves the values out: they are users' data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { table, index, condition, filter, segments, workers, .. } = &self.settings;
        f.debug_struct("Read")
            .field("table", table)
            .field("index", index)
            .field("condition", condition)
            .field("filter", filter)
            .field("segments", segments)
            .field("workers", workers)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Where each segment is to begin.
    pub(super) fn cursors(&self) -> Result<Vec<Cursor>, ScanError> {
        self.check()?;
        let start = Cursor {
            table: self.table.clone(),
            index: self.index.clone(),
            segment: 0,
            segments: self.segments,
            request: self.fingerprint(),
            key: None,
        };
        let Some(resumed) = &self.resumed else {
            return Ok((0..self.segments).map(|segment| Cursor { segment, ..start.clone() }).collect());
        };
        for cursor in resumed {
            cursor.fits(&start)?;
        }
        Ok(resumed.clone())
    }

    fn check(&self) -> Result<(), ScanError> {
        let refuse = |setting, value, expected| Err(ScanError::Setting { setting, value, expected });
        match &self.index {
            Some(index) if self.consistent && !self.local => {
                return Err(ScanError::ConsistentIndex { index: index.clone() });
            }
            _ => {}
        }
        if self.segments == 0 || self.segments > MOST_SEGMENTS {
            return refuse("the number of segments", u64::from(self.segments), "from 1 to 1,000,000");
        }
        if self.workers == 0 {
            return refuse("the number of workers", 0, "1 or more");
        }
        if self.limit.is_some_and(|limit| limit == 0 || i32::try_from(limit).is_err()) {
            return refuse("the page limit", u64::from(self.limit.unwrap_or_default()), "from 1 to 2,147,483,647");
        }
        if self.count_only && self.take.is_some() {
            return refuse(
                "the number of items to take",
                self.take.unwrap_or_default(),
                "left out when items are only counted",
            );
        }
        if self.count_only && !self.projection.is_empty() {
            let paths = self.projection.len() as u64;
            return refuse("the number of projected paths", paths, "0 when items are only counted");
        }
        match &self.no_value {
            Some(name) => Err(ScanError::Value { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// A hash of what decides which items are read.
    fn fingerprint(&self) -> String {
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort();
        let mut values: Vec<_> = self.values.iter().collect();
        values.sort_by_key(|(name, _)| *name);
        let what = (&self.condition, self.forward, &self.filter, names, values);
        let text = serde_json::to_vec(&what).expect("texts and attribute values are JSON");
        let hash = Sha256::digest(text);
        hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether a page may hold fewer items than were read for it.
    pub(super) fn is_filtered(&self) -> bool {
        self.filter.is_some()
    }

    /// The names of the attributes that a cursor holds, if they were given: those of another index lack some, and so do those without
    /// a key that is asked for.
    pub(super) fn cursor_keys(&self) -> Option<Vec<String>> {
        let keys = self.keys.as_ref().filter(|keys| keys.index == self.index)?;
        let asked = self.condition.as_ref().map(|condition| attributes(condition, &self.names)).unwrap_or_default();
        asked.iter().all(|name| keys.names.contains(name)).then(|| keys.names.clone())
    }

    /// The bytes of pages that may be held.
    pub(super) fn room(&self) -> usize {
        self.prefetch.unwrap_or((self.workers + 1) * ROOM)
    }

    /// The request, with the key attributes looked up if they are needed and not known.
    pub(super) async fn request(&self, cursor: &Cursor) -> Result<Request, ScanError> {
        let mut names = Names::new(&self.names);
        let filter = self.filter.as_ref().map(|filter| names.rewrite(filter));
        let condition = self.condition.as_ref().map(|condition| (names.rewrite(condition), self.forward));
        let projection = self.projected(cursor).await?.map(|(keys, paths)| names.project(&keys, &paths));
        let values = self.values.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        Ok(Request {
            client: self.client.clone(),
            table: self.table.clone(),
            index: self.index.clone(),
            condition,
            filter,
            projection,
            names: names.into_map(),
            values: Some(values).filter(|values: &HashMap<_, _>| !values.is_empty()),
            consistent: self.consistent,
            count_only: self.count_only,
        })
    }

    /// The keys, and the paths that were asked for beside them, each once.
    async fn projected(&self, cursor: &Cursor) -> Result<Option<(Vec<String>, Vec<String>)>, ScanError> {
        if self.projection.is_empty() {
            return Ok(None);
        }
        let keys = match &self.keys {
            Some(keys) => keys.names.clone(),
            None => super::keys::of_table(&self.client, cursor).await?,
        };
        let mut paths: Vec<String> = Vec::new();
        for path in &self.projection {
            // A key is whole already, whatever part of it is asked for.
            if !keys.contains(path) && !paths.contains(path) {
                paths.push(path.clone());
            }
        }
        Ok(Some((keys, paths)))
    }
}
