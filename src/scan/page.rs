//! One page of a segment.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use serde_dynamo::Item;

use super::{Cursor, ItemError};
use crate::record::{FromImage, Image, PageBody, RawImage};

/// One page of a scan or a query: its items, not yet decoded, and where its segment goes on.
///
/// An empty page is not the end of its segment: a filter may leave nothing of a megabyte. A page without a
/// [cursor](Self::cursor) is.
#[derive(Debug, Clone)]
pub struct Page {
    pub(super) body: PageBody,
    pub(super) start: Cursor,
    pub(super) cursor: Option<Cursor>,
    pub(super) requested_at: SystemTime,
    pub(super) latency: Duration,
    pub(super) throttled: u32,
}

impl Page {
    /// The segment that it belongs to, from 0.
    pub fn segment(&self) -> u32 {
        self.start.segment
    }

    /// Where the page began.
    pub fn start(&self) -> &Cursor {
        &self.start
    }

    /// Where the next page of the segment begins; nothing if this was the last.
    ///
    /// The cursor of a page that [`take`](super::Read::take) has cut stands behind the last item that was left, if it is known what the
    /// [keys](super::Read::keys) are: the service names them with every page that is not the last of its segment. Otherwise it
    /// stands at the page's beginning: reading on repeats items rather than losing them. A cursor in an index holds the keys of both, so
    /// those that were given for the table alone do not count there.
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// How many items it has: those that passed the filter.
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// How many items it stands for: [`len`](Self::len), unless they were [only counted](super::Read::count_only).
    pub fn count(&self) -> u64 {
        self.body.count()
    }

    /// Whether it has no items.
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// How many items were read before the filter, and paid for.
    pub fn scanned(&self) -> u64 {
        self.body.scanned()
    }

    /// The read units that it took, if the service said.
    pub fn units(&self) -> Option<f64> {
        self.body.units()
    }

    /// The length of the answer.
    pub fn bytes(&self) -> usize {
        self.body.bytes()
    }

    /// When it was asked for: every item is what the table held then or later.
    pub fn requested_at(&self) -> SystemTime {
        self.requested_at
    }

    /// How long it took to get, with the SDK's repetitions.
    pub fn latency(&self) -> Duration {
        self.latency
    }

    /// How often it was throttled before it came.
    pub fn throttled(&self) -> u32 {
        self.throttled
    }

    /// The items where they stand, to decode those that are wanted, into types that may borrow from the page.
    pub fn items(&self) -> impl ExactSizeIterator<Item = Image<'_>> {
        self.body.items()
    }

    /// The items, each with a share of the page.
    pub fn raw_items(&self) -> impl ExactSizeIterator<Item = RawImage> + '_ {
        self.items().map(raw)
    }

    /// The items as a type. One that does not decode fails alone.
    pub fn decode<T: FromImage>(&self) -> impl ExactSizeIterator<Item = Result<T, ItemError>> + '_ {
        self.items().map(decode)
    }

    pub(super) fn item(&self, at: usize) -> Option<Image<'_>> {
        self.body.item(at)
    }

    /// Leaves the items before an index. `keys` are the names of the key attributes, if they are known.
    pub(super) fn cut(&mut self, len: usize, keys: Option<&[String]>) {
        if len < self.len() {
            let named = self.cursor.as_ref().and_then(Cursor::key).or(self.start.key());
            let names: Vec<String> = match (named, keys) {
                (Some(key), _) => key.keys().cloned().collect(),
                (None, keys) => keys.unwrap_or_default().to_vec(),
            };
            let last = len.checked_sub(1).and_then(|last| self.item(last)?.item().ok());
            let key = last.and_then(|item| key_of(&item, &names));
            self.body.truncate(len);
            self.cursor = Some(key.map_or_else(|| self.start.clone(), |key| self.start.at(key)));
        }
    }
}

/// The key of an item; nothing if it lacks a part, or nobody knows the parts.
fn key_of(item: &Item, names: &[String]) -> Option<Item> {
    let parts: Option<HashMap<_, _>> = names.iter().map(|name| Some((name.clone(), item.get(name)?.clone()))).collect();
    parts.filter(|parts| !parts.is_empty()).map(Item::from)
}

/// One item as a type.
pub(super) fn decode<T: FromImage>(item: Image<'_>) -> Result<T, ItemError> {
    item.decode_owned().map_err(|error| ItemError::new(raw(item), error))
}

fn raw(item: Image<'_>) -> RawImage {
    RawImage::from_image(item).expect("a raw image is not decoded")
}
