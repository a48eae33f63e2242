//! One comparison: page by page, with another look at whatever differs.
//!
//! A page is no proof. What differs in it is looked at again: first what the target has, then its item, both consistently. If that still
//! differs, it is looked at once more when it has had time to settle. A difference counts if the target stood still between two such looks: had
//! the item been on its way, the target would have changed. Whether it stood still its version tells. What has none, such as a row that is not
//! there, may have come and gone meanwhile: there the item must have stood still as well. What keeps moving is no difference.

use std::{
    collections::VecDeque,
    error::Error,
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::StreamExt;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    super::expiry::is_expired,
    Event, Extent, Finding, Repair, Report, RowPage, Verify, VerifyError,
    report::Subject,
    target::{Held, Judged, LIMITS, Look, Sums, key_of},
};
use crate::{
    scan::Bucket,
    sink::table::{Difference, Item, READ_ROWS, fingerprint, item_size, read_many},
    view::{Doubt, Totals},
};

/// So many subjects wait for another look; with more, the pages wait as well.
const MOST_SUSPECTS: usize = 10_000;
/// What a read unit reads.
const READ_UNIT: usize = 4096;

/// What differed at the last look.
struct Suspect {
    subject: Subject,
    /// When it is looked at again.
    due: Instant,
    /// What the target had then, and what the item was.
    seen: Seen,
    looks: u32,
}

#[derive(Clone, Copy, PartialEq)]
struct Seen {
    held: [u8; 32],
    /// None if the target's state cannot come back, so that the item does not matter.
    item: Option<[u8; 32]>,
}

pub(super) struct Run<'v, F> {
    verify: &'v Verify,
    report: Report,
    /// Those that are due first are in front.
    suspects: VecDeque<Suspect>,
    budget: Option<Bucket>,
    totals: Option<Totals>,
    doubts: Vec<Doubt>,
    observe: F,
}

impl<'v, F: FnMut(Event<'_>) + Send> Run<'v, F> {
    pub(super) fn new(verify: &'v Verify, observe: F) -> Self {
        let sums = verify.kind.sums().is_some() && verify.extent == Extent::Full;
        Self {
            verify,
            report: Report::default(),
            suspects: VecDeque::new(),
            budget: verify.rate.map(Bucket::new),
            totals: sums.then(Totals::default),
            doubts: Vec::new(),
            observe,
        }
    }

    pub(super) async fn finish(mut self) -> Result<Report, VerifyError> {
        self.whole_source().await?;
        self.whole_target().await?;
        self.look_again(true).await?;
        if let (Some(totals), Some(sums)) = (self.totals.take(), self.verify.kind.sums()) {
            self.compare_sums(totals, sums).await?;
        }
        Ok(self.report)
    }

    /// From the items to what the target has of them: finds what is missing and what is different.
    async fn whole_source(&mut self) -> Result<(), VerifyError> {
        let verify = self.verify;
        let mut pages = verify.source.pages(verify.extent);
        while let Some(page) = pages.next().await {
            let page = page.map_err(|source| VerifyError::Pages { side: "source", source })?;
            let suspects = self.source_page(page).await?;
            self.page_done(suspects).await?;
        }
        Ok(())
    }

    /// What differs in a page of the source.
    async fn source_page(&mut self, page: RowPage) -> Result<Vec<Subject>, VerifyError> {
        let verify = self.verify;
        self.spend(page.units);
        let (subjects, items) = self.taken(page.rows)?;
        self.report.source += subjects.len() as u64;
        let held = self.held(&subjects).await?;
        let mut suspects = Vec::new();
        for ((subject, item), held) in subjects.into_iter().zip(items).zip(held) {
            let item = Some(item).filter(|item| !self.is_expired(item));
            self.add_up(&subject, item.as_ref(), &held)?;
            if item.is_none() {
                self.report.expired += 1;
                continue;
            }
            match verify.kind.judge(&subject, item, &held)? {
                Judged::Equal => {}
                Judged::Differs(_) => suspects.push(subject),
                Judged::Unreadable => self.report.unreadable += 1,
            }
        }
        Ok(suspects)
    }

    /// The items of a page that are for the target, with their keys.
    fn taken(&self, rows: Vec<Item>) -> Result<(Vec<Subject>, Vec<Item>), VerifyError> {
        let items: Vec<_> = rows.into_iter().filter(|item| self.verify.kind.takes(item)).collect();
        let subject = |item| match key_of(item, self.verify.source.keys()) {
            Ok(key) => Ok(Subject { key: Some(key), row: None }),
            Err(attribute) => Err(VerifyError::Key { side: "source", attribute }),
        };
        Ok((items.iter().map(subject).collect::<Result<_, _>>()?, items))
    }

    /// From what the target has to the items: finds what is left over. Whatever has an item was compared already.
    async fn whole_target(&mut self) -> Result<(), VerifyError> {
        let verify = self.verify;
        let mut pages = verify.target.pages(verify.extent);
        while let Some(page) = pages.next().await {
            let page = page.map_err(|source| VerifyError::Pages { side: "target", source })?;
            let suspects = self.target_page(page).await?;
            self.page_done(suspects).await?;
        }
        Ok(())
    }

    async fn target_page(&mut self, page: RowPage) -> Result<Vec<Subject>, VerifyError> {
        let verify = self.verify;
        self.spend(page.units);
        let (mut subjects, mut known) = (Vec::new(), Vec::new());
        for row in &page.rows {
            if let Some((subject, held)) = verify.kind.subject(row, verify.source.keys()) {
                subjects.push(subject);
                known.push(held);
            }
            if let (Some(totals), Some(sums)) = (&self.totals, verify.kind.sums()) {
                self.doubts.extend(sums.doubt_of_row(totals, row).await?);
            }
        }
        self.report.target += subjects.len() as u64;
        let held = match known.iter().any(Option::is_none) {
            true => self.held(&subjects).await?,
            false => known.into_iter().flatten().collect(),
        };
        let items = self.items(&subjects).await?;
        let mut suspects = Vec::new();
        for ((subject, item), held) in subjects.into_iter().zip(items).zip(held) {
            if let Judged::Differs(Difference::Extra) = verify.kind.judge(&subject, item, &held)? {
                suspects.push(subject);
            }
        }
        Ok(suspects)
    }

    /// Behind a page: a first look at what differs in it, another at what is due, and rest if the budget is spent.
    async fn page_done(&mut self, suspects: Vec<Subject>) -> Result<(), VerifyError> {
        for suspects in suspects.chunks(READ_ROWS) {
            for (subject, look) in self.look(suspects.to_vec()).await? {
                self.consider(subject, look, None, 0).await?;
            }
        }
        self.look_again(false).await?;
        (self.observe)(Event::Page(&self.report));
        if let Some(budget) = &self.budget {
            budget.ready().await;
        }
        Ok(())
    }

    /// Looks again at what is due; waits for it if it is `to_the_end`, or if there is too much of it.
    async fn look_again(&mut self, to_the_end: bool) -> Result<(), VerifyError> {
        while let Some(first) = self.suspects.front() {
            if first.due > Instant::now() {
                if !to_the_end && self.suspects.len() < MOST_SUSPECTS {
                    break;
                }
                sleep_until(first.due).await;
            }
            let now = Instant::now();
            let due = self.suspects.iter().take(READ_ROWS).take_while(|suspect| suspect.due <= now).count();
            let due: Vec<_> = self.suspects.drain(..due).collect();
            let looks = self.look(due.iter().map(|suspect| suspect.subject.clone()).collect()).await?;
            for ((subject, look), Suspect { seen, looks, .. }) in looks.into_iter().zip(due) {
                self.consider(subject, look, Some(seen), looks).await?;
            }
        }
        Ok(())
    }

    /// What a look at a subject means, after `looks` others, the last of which saw something in the target.
    async fn consider(
        &mut self,
        subject: Subject,
        look: Look,
        last: Option<Seen>,
        looks: u32,
    ) -> Result<(), VerifyError> {
        let Some(difference) = self.judge(&subject, &look)? else { return Ok(()) };
        let versioned = self.verify.kind.is_versioned(&look.held);
        let seen = Seen {
            held: fingerprint(look.held.iter().map(Option::as_ref)),
            item: (!versioned).then(|| fingerprint([look.item.as_ref()])),
        };
        if last == Some(seen) {
            return self.found(subject, difference, look).await;
        }
        let looks = looks + 1;
        if looks >= self.verify.looks {
            self.report.moving += 1;
            return Ok(());
        }
        self.suspects.push_back(Suspect { subject, due: Instant::now() + self.verify.settle, seen, looks });
        Ok(())
    }

    fn judge(&self, subject: &Subject, look: &Look) -> Result<Option<Difference>, VerifyError> {
        if look.item.as_ref().is_some_and(|item| self.is_expired(item)) {
            return Ok(None);
        }
        Ok(match self.verify.kind.judge(subject, look.item.clone(), &look.held)? {
            Judged::Differs(difference) => Some(difference),
            Judged::Equal | Judged::Unreadable => None,
        })
    }

    /// A difference has stayed.
    async fn found(&mut self, subject: Subject, difference: Difference, look: Look) -> Result<(), VerifyError> {
        let repair = if self.verify.repairs { self.repair(&subject, look).await? } else { Repair::No };
        self.tell(Finding { subject, difference, repair });
        Ok(())
    }

    fn tell(&mut self, finding: Finding) {
        self.report.add(&finding);
        (self.observe)(Event::Found(&finding));
    }

    async fn repair(&mut self, subject: &Subject, look: Look) -> Result<Repair, VerifyError> {
        if let Err(error) = self.verify.kind.repair(subject, look).await {
            return Ok(Repair::Failed(reasons(error.as_ref())));
        }
        // Whatever came of it: what counts is what the target has now.
        for (subject, look) in self.look(vec![subject.clone()]).await? {
            if self.judge(&subject, &look)?.is_some() {
                return Ok(Repair::Failed(
                    "a later change came in between, or the row gives way to nothing; verify again".to_owned(),
                ));
            }
        }
        Ok(Repair::Done)
    }

    /// Reads what the target has, and then the items.
    async fn look(&mut self, subjects: Vec<Subject>) -> Result<Vec<(Subject, Look)>, VerifyError> {
        let held = self.held(&subjects).await?;
        let read_at = micros();
        let items = self.items(&subjects).await?;
        let looks = held.into_iter().zip(items).map(|(held, item)| Look { held, item, read_at });
        Ok(subjects.into_iter().zip(looks).collect())
    }

    async fn held(&mut self, subjects: &[Subject]) -> Result<Vec<Held>, VerifyError> {
        let held = self.verify.kind.held(subjects).await?;
        self.spend(held.iter().flatten().map(|row| units(row.as_ref())).sum());
        Ok(held)
    }

    /// The items of subjects, read consistently.
    async fn items(&mut self, subjects: &[Subject]) -> Result<Vec<Option<Item>>, VerifyError> {
        let keys: Vec<_> = subjects.iter().filter_map(|subject| subject.key.clone()).collect();
        let items = read_many(&*self.verify.source.table(), &keys, LIMITS).await;
        let items = items.map_err(|source| VerifyError::Read { side: "source", source })?;
        self.spend(items.iter().map(|item| units(item.as_ref())).sum());
        let mut items = items.into_iter();
        Ok(subjects.iter().map(|subject| subject.key.as_ref().and_then(|_| items.next().flatten())).collect())
    }

    fn spend(&mut self, units: f64) {
        self.report.units += units;
        if let Some(budget) = &mut self.budget {
            budget.charge(units);
        }
    }

    fn is_expired(&self, item: &Item) -> bool {
        let expiry = self.verify.expiry.as_ref();
        expiry.is_some_and(|attribute| is_expired(item, attribute, SystemTime::now()))
    }

    fn add_up(&mut self, subject: &Subject, item: Option<&Item>, held: &Held) -> Result<(), VerifyError> {
        let limit = self.verify.most_rows;
        if let (Some(totals), Some(sums), Some(key)) = (&mut self.totals, self.verify.kind.sums(), &subject.key) {
            sums.add(totals, key, item.cloned(), held)?;
            if totals.len() > limit {
                return Err(VerifyError::TooManyRows { limit });
            }
        }
        Ok(())
    }

    /// Compares the rows of an aggregate with the sums of its items. A row that is in doubt is added up anew from all items: it counts
    /// if row and sum are as they were.
    async fn compare_sums(&mut self, totals: Totals, sums: &dyn Sums) -> Result<(), VerifyError> {
        self.report.totals = totals.len() as u64;
        let mut doubts = sums.doubts(&totals).await?;
        doubts.append(&mut self.doubts);
        drop(totals);
        for _ in 1..self.verify.looks {
            if doubts.is_empty() {
                return Ok(());
            }
            let again = self.add_up_again(&doubts, sums).await?;
            let stayed =
                |doubt: &Doubt| doubts.iter().any(|before| before.is_about(doubt) && before.state == doubt.state);
            let (stayed, moved): (Vec<_>, Vec<_>) = again.into_iter().partition(stayed);
            for doubt in stayed {
                let repair = match self.verify.repairs {
                    true => Repair::Failed(NO_REPAIR.to_owned()),
                    false => Repair::No,
                };
                let subject = Subject { key: None, row: Some(sums.key(&doubt)) };
                self.tell(Finding { subject, difference: doubt.difference, repair });
            }
            doubts = moved;
        }
        self.report.moving += doubts.len() as u64;
        Ok(())
    }

    /// Adds rows in doubt up from all items, and compares them when they have had time to settle.
    async fn add_up_again(&mut self, doubts: &[Doubt], sums: &dyn Sums) -> Result<Vec<Doubt>, VerifyError> {
        let verify = self.verify;
        let mut totals = Totals::of(doubts);
        let mut pages = verify.source.pages(Extent::Full);
        while let Some(page) = pages.next().await {
            let RowPage { rows, units } = page.map_err(|source| VerifyError::Pages { side: "source", source })?;
            self.spend(units);
            self.add_page(&mut totals, rows, sums).await?;
            if let Some(budget) = &self.budget {
                budget.ready().await;
            }
        }
        sleep(verify.settle).await;
        sums.doubts(&totals).await
    }

    async fn add_page(&mut self, totals: &mut Totals, rows: Vec<Item>, sums: &dyn Sums) -> Result<(), VerifyError> {
        let (subjects, items) = self.taken(rows)?;
        let (mut by_ledger, verify) = (Vec::new(), self.verify);
        for (subject, item) in subjects.into_iter().zip(items) {
            match &subject.key {
                Some(key) if !self.is_expired(&item) && sums.is_readable(key, &item) => {
                    sums.add(totals, key, Some(item), &Held::new())?;
                }
                _ => by_ledger.push(subject),
            }
        }
        let held = verify.kind.held(&by_ledger).await?;
        let keyed = by_ledger.iter().filter_map(|subject| subject.key.as_ref()).zip(&held);
        keyed.into_iter().try_for_each(|(key, held)| sums.add(totals, key, None, held))
    }
}

/// Why a sum stays as it is.
const NO_REPAIR: &str = "the ledger is what it should be and the row is not its sum, so that the ledger cannot mend it; build the view \
     anew under a new name and other row keys";

fn units(row: Option<&Item>) -> f64 {
    row.map_or(1, |row| item_size(row).div_ceil(READ_UNIT).max(1)) as f64
}

fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// An error and what is behind it.
fn reasons(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        text = format!("{text}: {error}");
        behind = error.source();
    }
    text
}
