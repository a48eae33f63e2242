//! The workers: each takes a segment after the other and reads it to its end, as far as there is room.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc::UnboundedSender},
    task::{JoinHandle, JoinSet},
};

use super::{
    Cursor, Page, ScanError,
    read::Settings,
    request::Request,
    segment::{Place, Reader},
};

/// Room is counted in KB: a semaphore counts in 32 bits.
const KB: usize = 1024;
/// What a page is taken to need before one has been seen.
const FIRST_PAGE: usize = 1024 * KB;

/// A page with its share of the room.
pub(super) type Delivery = Result<(Page, OwnedSemaphorePermit), ScanError>;

/// What the workers of a scan share.
struct Shared {
    request: Arc<Request>,
    segments: Mutex<Vec<Cursor>>,
    room: Arc<Semaphore>,
    all_room: u32,
    largest: AtomicUsize,
    fetched: AtomicU64,
    settings: Settings,
    deliver: UnboundedSender<Delivery>,
}

/// Starts reading; the pages come through the channel, which closes behind the last.
pub(super) fn start(settings: Settings, cursors: Vec<Cursor>, deliver: UnboundedSender<Delivery>) -> JoinHandle<()> {
    tokio::spawn(run(settings, cursors, deliver))
}

async fn run(settings: Settings, mut cursors: Vec<Cursor>, deliver: UnboundedSender<Delivery>) {
    let Some(first) = cursors.first() else { return };
    let request = match settings.request(first).await {
        Ok(request) => Arc::new(request),
        Err(error) => {
            // Nobody listens any more: then nobody wants to know.
            let _ = deliver.send(Err(error));
            return;
        }
    };
    shuffle(&mut cursors);
    let all_room = u32::try_from(settings.room() / KB).unwrap_or(u32::MAX / 8).clamp(1, u32::MAX / 8);
    let workers = settings.workers.min(cursors.len());
    let shared = Arc::new(Shared {
        request,
        segments: Mutex::new(cursors),
        room: Arc::new(Semaphore::new(all_room as usize)),
        all_room,
        largest: AtomicUsize::new(FIRST_PAGE),
        fetched: AtomicU64::new(0),
        settings,
        deliver,
    });
    let share = shared.settings.rate.map(|rate| rate / workers as f64);
    let mut running: JoinSet<()> = (0..workers).map(|_| work(Arc::clone(&shared), share)).collect();
    drop(shared);
    while let Some(ended) = running.join_next().await {
        ended.expect("a worker does not panic");
    }
}

/// Neighbours often lie in one partition: in random order the load is spread.
fn shuffle(cursors: &mut [Cursor]) {
    let random = RandomState::new();
    cursors.sort_by_cached_key(|cursor| random.hash_one(cursor.segment));
}

async fn work(shared: Arc<Shared>, share: Option<f64>) {
    let mut reader = Reader::new(Arc::clone(&shared.request), share, shared.settings.until);
    while let Some(cursor) = shared.next_segment() {
        if !shared.read_segment(&mut reader, Place::at(cursor)).await {
            return;
        }
    }
}

impl Shared {
    fn next_segment(&self) -> Option<Cursor> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Whether the segment was read to its end, and there is reason to go on with another.
    async fn read_segment(&self, reader: &mut Reader, mut place: Place) -> bool {
        while let Some(room) = self.room_for_a_page().await {
            match reader.next_page(&mut place, self.limit()).await {
                Ok(Some(page)) => {
                    let last = page.cursor().is_none();
                    self.fetched.fetch_add(page.len() as u64, Relaxed);
                    let room = self.fit(room, page.bytes());
                    if self.deliver.send(Ok((page, room))).is_err() || last {
                        return last;
                    }
                }
                Ok(None) => return false,
                Err(error) => {
                    let _ = self.deliver.send(Err(error));
                    return false;
                }
            }
        }
        false
    }

    /// Waits until a page as large as the largest fits; nothing if no more pages are wanted.
    async fn room_for_a_page(&self) -> Option<OwnedSemaphorePermit> {
        let wanted = self.kilobytes(self.largest.load(Relaxed));
        let room = Arc::clone(&self.room).acquire_many_owned(wanted).await;
        (self.wanted() > 0).then(|| room.expect("the room is never closed"))
    }

    /// Gives back what a page does not need. One that is larger than all before overdraws, and the next get more room.
    fn fit(&self, mut room: OwnedSemaphorePermit, bytes: usize) -> OwnedSemaphorePermit {
        let largest =
            if self.largest.load(Relaxed) == FIRST_PAGE { bytes } else { bytes.max(self.largest.load(Relaxed)) };
        self.largest.store(largest, Relaxed);
        let spare = room.num_permits().saturating_sub(self.kilobytes(bytes) as usize);
        drop(room.split(spare));
        room
    }

    fn kilobytes(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(KB)).unwrap_or(u32::MAX).clamp(1, self.all_room)
    }

    /// How many more items are wanted.
    fn wanted(&self) -> u64 {
        self.settings.take.map_or(u64::MAX, |take| take.saturating_sub(self.fetched.load(Relaxed)))
    }

    /// With a filter the number of items to read says nothing about how many will be left.
    fn limit(&self) -> Option<i32> {
        let limit = self.settings.limit.map(u64::from);
        let wanted = self.wanted();
        let capped = if self.settings.is_filtered() { limit } else { Some(limit.unwrap_or(u64::MAX).min(wanted)) };
        capped.and_then(|limit| i32::try_from(limit).ok())
    }
}
