//! A table in memory, its stream, and a function that keeps a target by it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anabranch::{
    dispatch::Dispatcher,
    handler::{BoxError, Context},
    record::wire::{EventWriter, RecordParts},
    sink::table::{AttributeValue, Item, Memory, Reads, RowWrite, Table, item, text},
    source::backfill::verify::{Extent, RowPage, Rows},
};
use futures_util::{StreamExt, stream, stream::BoxStream};

/// How long a page takes.
const PAGE_TIME: Duration = Duration::from_millis(10);

/// A table in memory that is read through in pages of a few rows, while time passes.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) table: Arc<Memory>,
    keys: Vec<String>,
    rows: usize,
}

impl Pages {
    pub(crate) fn of(table: &Arc<Memory>, keys: &[&str]) -> Self {
        Self { table: table.clone(), keys: keys.iter().map(|key| (*key).to_owned()).collect(), rows: 7 }
    }
}

impl Rows for Pages {
    fn keys(&self) -> &[String] {
        &self.keys
    }

    fn table(&self) -> Arc<dyn Reads> {
        self.table.clone()
    }

    fn pages(&self, extent: Extent) -> BoxStream<'_, Result<RowPage, BoxError>> {
        let mut rows = self.table.rows();
        if let Extent::Sample(most) = extent {
            rows.truncate(most as usize);
        }
        let mut pages: Vec<_> = rows.chunks(self.rows).map(<[Item]>::to_vec).collect();
        // A table without rows has a page without rows.
        pages.push(Vec::new());
        let page = async |rows| {
            tokio::time::sleep(PAGE_TIME).await;
            Ok(RowPage { rows, units: 1.0 })
        };
        stream::iter(pages).then(page).boxed()
    }
}

/// Keys of a table with one key attribute.
pub(crate) fn key(n: usize) -> Item {
    item([("PK", text(format!("PET#{n}")))])
}

pub(crate) fn number(n: impl ToString) -> AttributeValue {
    AttributeValue::N(n.to_string())
}

/// The source, and the changes that its stream carries.
pub(crate) struct Source {
    pub(crate) table: Arc<Memory>,
    sequence: AtomicU64,
}

/// A change on its way.
pub(crate) type Change = RecordParts<'static>;

impl Source {
    pub(crate) fn new() -> Self {
        Self { table: Arc::new(Memory::new("Source", ["PK"])), sequence: AtomicU64::new(100) }
    }

    pub(crate) fn rows(&self) -> Pages {
        Pages::of(&self.table, &["PK"])
    }

    /// Puts an item; gives the change that the stream carries.
    pub(crate) async fn put(&self, item: Item) -> Change {
        let key = Item::from(std::collections::HashMap::from([("PK".to_owned(), item["PK"].clone())]));
        self.table.write_batch(&[RowWrite::put(key.clone(), item.clone())]).await.expect("it is written");
        RecordParts { new_image: Some((&item).into()), ..self.change("INSERT", &key) }
    }

    /// Removes an item.
    pub(crate) async fn remove(&self, key: &Item) -> Change {
        self.table.write_batch(&[RowWrite::delete(key.clone())]).await.expect("it is written");
        self.change("REMOVE", key)
    }

    fn change(&self, name: &'static str, key: &Item) -> Change {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        RecordParts {
            event_name: Some(name.into()),
            keys: Some(key.into()),
            sequence_number: Some(sequence.to_string().into()),
            ..RecordParts::default()
        }
    }
}

/// Hands changes to a function, which handles all of them.
pub(crate) async fn deliver(dispatcher: &Dispatcher, changes: impl IntoIterator<Item = Change>) {
    let mut event = EventWriter::new();
    changes.into_iter().for_each(|change| event.push(&change));
    let report = dispatcher.dispatch(event.finish(), &Context::default()).await.expect("an event");
    assert!(report.unfinished.is_none(), "{:?}", report.unfinished);
}

/// Runs on a clock that jumps whenever nothing else is to do.
pub(crate) fn paused<R>(work: impl Future<Output = R>) -> R {
    let clock = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    clock.expect("a runtime").block_on(work)
}
