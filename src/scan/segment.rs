//! Reads one segment after the other, page by page.

use std::{sync::Arc, time::SystemTime};

use serde_dynamo::Item;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    Cursor, Page, ScanError,
    pace::{Pacer, Slowest},
    request::{Request, Sent},
};
use crate::record::PageBody;

/// So many pauses in a row do not help any more.
const MOST_PAUSES: u32 = 12;

/// One worker's way of reading pages.
pub(super) struct Reader {
    request: Arc<Request>,
    pacer: Pacer,
    slowest: Slowest,
    until: Option<Instant>,
}

impl Reader {
    /// With a share of the budget, in read units a second.
    pub(super) fn new(request: Arc<Request>, share: Option<f64>, until: Option<Instant>) -> Self {
        let pacer = Pacer::new(share, request.consistent);
        Self { request, pacer, slowest: Slowest::default(), until }
    }

    /// The next page of a segment; nothing if the time does not suffice for it.
    pub(super) async fn next_page(&mut self, place: &mut Place, limit: Option<i32>) -> Result<Option<Page>, ScanError> {
        while self.fits() {
            sleep_until(self.pacer.ready_at()).await;
            self.pacer.begin_page();
            let requested = (Instant::now(), SystemTime::now());
            let Some(sent) = self.in_time(place, limit).await else {
                return Ok(None);
            };
            self.slowest.observe(requested.0.elapsed());
            if let Some(page) = self.read(place, sent, requested)? {
                return Ok(Some(page));
            }
        }
        Ok(None)
    }

    /// Whether a page begun as soon as the pacer allows will probably come in time.
    fn fits(&self) -> bool {
        let begin = self.pacer.ready_at().max(Instant::now());
        self.until.is_none_or(|until| self.slowest.fits_between(begin, until))
    }

    async fn in_time(&self, place: &Place, limit: Option<i32>) -> Option<Sent> {
        let sent = self.request.send(&place.cursor, limit);
        match self.until {
            Some(until) => timeout_at(until, sent).await.ok(),
            None => Some(sent.await),
        }
    }

    /// The page of an answer; nothing if it is to be asked for again.
    fn read(
        &mut self,
        place: &mut Place,
        sent: Sent,
        (begin, requested_at): (Instant, SystemTime),
    ) -> Result<Option<Page>, ScanError> {
        let body = match sent.body {
            Ok(body) => body,
            Err(failure) => return self.refused(ScanError::of(failure, &place.cursor, 0)).map(|()| None),
        };
        let split = if self.request.count_only { PageBody::counted(body) } else { PageBody::split(body) };
        self.pacer.end_page(split.as_ref().ok().and_then(PageBody::units), sent.throttled);
        let body = split.map_err(|source| ScanError::Page { cursor: place.boxed(), source })?;
        let (latency, throttled) = (begin.elapsed(), sent.throttled);
        let start = place.cursor.clone();
        let cursor = place.advance(&body)?;
        Ok(Some(Page { body, start, cursor, requested_at, latency, throttled }))
    }

    fn refused(&mut self, mut error: ScanError) -> Result<(), ScanError> {
        if let ScanError::Throttled { rounds, .. } = &mut error {
            *rounds = self.pacer.refused_page();
            if *rounds <= MOST_PAUSES {
                return Ok(());
            }
        }
        Err(error)
    }
}

/// Where a segment stands.
pub(super) struct Place {
    cursor: Cursor,
    /// A key of before, renewed at the page 1, 2, 4, 8 and so on: however long a circle is, it comes to be inside, and is met
    /// again.
    mark: Option<Item>,
    pages: u64,
}

impl Place {
    pub(super) fn at(cursor: Cursor) -> Self {
        Self { mark: cursor.key.clone(), cursor, pages: 0 }
    }

    fn boxed(&self) -> Box<Cursor> {
        Box::new(self.cursor.clone())
    }

    /// Goes to where a page ends; nothing is the end of the segment.
    fn advance(&mut self, page: &PageBody) -> Result<Option<Cursor>, ScanError> {
        let Some(key) = page.last_key() else {
            return Ok(None);
        };
        let key = key.item().map_err(|source| ScanError::LastKey { cursor: self.boxed(), source })?;
        if self.cursor.key.as_ref() == Some(&key) || self.mark.as_ref() == Some(&key) {
            return Err(ScanError::RepeatedKey { cursor: self.boxed() });
        }
        self.pages += 1;
        self.cursor = self.cursor.at(key);
        if self.pages.is_power_of_two() {
            self.mark.clone_from(&self.cursor.key);
        }
        Ok(Some(self.cursor.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::cursor::tests::cursor, *};

    fn page(key: &str) -> PageBody {
        let body = format!(r#"{{"Items":[],"LastEvaluatedKey":{{"PK":{{"S":"{key}"}}}}}}"#);
        PageBody::split(body.into()).unwrap()
    }

    #[test]
    fn every_circle_of_keys_is_noticed() {
        for (lead, circle) in [(0, 1), (1, 1), (0, 2), (3, 5), (10, 7), (100, 64)] {
            let mut place = Place::at(cursor(0, 1));
            let keys = (0..lead).chain((lead..lead + circle).cycle());
            let steps = keys.take_while(|key| place.advance(&page(&key.to_string())).is_ok()).take(10_000).count();
            assert!(steps <= 4 * (lead + circle) + 1, "{lead} and {circle}: {steps}");
        }
    }

    #[test]
    fn the_end_of_a_segment_is_a_page_without_a_key() {
        let mut place = Place::at(cursor(0, 1));
        assert!(place.advance(&page("a")).unwrap().is_some());
        assert!(place.advance(&PageBody::split("{}".into()).unwrap()).unwrap().is_none());
    }
}
