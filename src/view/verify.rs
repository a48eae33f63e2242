//! What a view has of an item against what the item has in it, and how that is put right.
//!
//! Item by item it is the ledger that is compared: the view moves with it, in the same transactions. A projection's rows are
//! compared as well, each with what the function makes of its item.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Change, Source, View, ViewError,
    layout::{self, OWNER},
    ledger::{self, Ledger},
    share::{RowName, Share, Shares},
    trace::key_of_source,
};
use crate::{
    handler::Outcome,
    record::{
        FromImage, Timestamp, Version,
        wire::{ItemJson, RecordParts},
    },
    sink::table::{
        Action, AttributeValue, Condition, DEFAULT_VERSION_ATTRIBUTE, Difference, Item, Limits, TransactError,
        difference, just_above, read_many, text, transact,
    },
};

/// What a row of the view's table leads to.
pub(crate) enum Traced {
    /// To nothing: it is not of this view, or has nothing of an item.
    Nothing,
    /// To an item that has something in the view.
    Item(Item),
    /// To an item that a row of a projection says it comes from.
    Owner(Item),
    /// To nobody: a row of a projection that names no item.
    Nobody,
}

/// An item, and a row of a projection that may be its own, or is nobody's.
pub(crate) struct Claim<'a> {
    pub(crate) key: Option<&'a Item>,
    pub(crate) row: Option<&'a Item>,
}

/// What the view has of an item: its ledger row, the rows of a projection that the ledger names, and the claimed row.
pub(crate) type Held = Vec<Option<Item>>;

impl<T: FromImage> View<T> {
    /// Whether items have rows of their own.
    pub(crate) fn projects(&self) -> bool {
        self.engine.projects
    }

    /// The keys of a row of the view's table.
    pub(crate) fn key_of_row(&self, row: &Item) -> Item {
        let layout = &self.engine.layout;
        let names = [&layout.partition_key, &layout.sort_key];
        let key: HashMap<_, _> =
            names.iter().filter_map(|name| Some(((*name).clone(), row.get(*name)?.clone()))).collect();
        key.into()
    }

    /// Where a row of the view's table comes from; `names` are the keys of the source.
    pub(crate) fn trace(&self, row: &Item, names: &[String]) -> Traced {
        let layout = &self.engine.layout;
        if let Some(source) = layout.ledger_source(row) {
            let has_shares = row.contains_key(layout::SHARES);
            let key = key_of_source(&source, names).filter(|_| has_shares);
            return key.map_or(Traced::Nothing, Traced::Item);
        }
        if !self.engine.projects || layout.row_of_view(row).is_none() {
            return Traced::Nothing;
        }
        let key = owner(row).and_then(|owner| key_of_source(owner, names));
        key.map_or(Traced::Nobody, Traced::Owner)
    }

    /// Reads what the view has of items.
    pub(crate) async fn held(&self, claims: &[Claim<'_>], limits: Limits) -> Result<Vec<Held>, ViewError> {
        let table = &*self.engine.table;
        let ledger = claims.iter().filter_map(|claim| claim.key).map(|key| self.ledger_key(key)).collect::<Vec<_>>();
        let mut ledger = read_many(table, &ledger, limits).await?.into_iter();
        let (mut held, mut keys) = (Vec::new(), Vec::new());
        for claim in claims {
            let stored = claim.key.and_then(|_| ledger.next().flatten());
            let named = self.named(stored.as_ref());
            let rows = named.iter().map(|name| self.engine.layout.row_key(name)).chain(claim.row.cloned());
            let before = keys.len();
            keys.extend(rows);
            held.push((stored, keys.len() - before));
        }
        let mut rows = read_many(table, &keys, limits).await?.into_iter();
        let whole =
            |(stored, count): (Option<Item>, usize)| [stored].into_iter().chain(rows.by_ref().take(count)).collect();
        Ok(held.into_iter().map(whole).collect())
    }

    /// How what the view has of an item differs from what the item has in it now.
    pub(crate) fn difference(
        &self,
        claim: &Claim<'_>,
        item: Option<Item>,
        held: &Held,
    ) -> Result<Option<Difference>, ViewError> {
        let source = claim.key.map(layout::source).unwrap_or_default();
        let expected = self.shares_of(claim.key, item)?;
        let stored = match ledger::read(held.first().and_then(Option::as_ref)) {
            Err(ViewError::Ledger { name }) => return Ok(different([name.to_owned()].into())),
            stored => stored?,
        };
        if let Some(key) = claim.row {
            let row = held.last().and_then(Option::as_ref);
            let known = |shares: &Shares| shares.keys().any(|name| self.engine.layout.row_key(name) == *key);
            // What the ledger names is compared with the item.
            let stray = row.is_some_and(|row| owner(row).unwrap_or_default() == source) && !known(&stored.shares);
            return Ok((stray && !known(&expected)).then_some(Difference::Extra));
        }
        Ok(match self.engine.projects {
            true => self.rows_differ(&source, &expected, &stored, held.get(1..).unwrap_or_default()),
            false => self.shares_differ(&expected, &stored.shares),
        })
    }

    /// What an item has in the view; nothing if it is not there, or a row of a view itself.
    pub(super) fn shares_of(&self, key: Option<&Item>, item: Option<Item>) -> Result<Shares, ViewError> {
        let (Some(key), Some(item)) = (key, item) else { return Ok(Shares::new()) };
        let row = RecordParts::snapshot(ItemJson::from(key), ItemJson::from(item), Timestamp::from_nanos(0));
        let record = row.into_record().expect("an item and its keys make a record");
        let image = record.new_image().expect("a row of a snapshot has an image");
        let item = image.decode_owned::<Source<T>>().map_err(|error| ViewError::Item(error.into()))?;
        self.shares(&item, &layout::source(key))
    }

    /// What an item has in the view as the ledger says.
    pub(super) fn shares_held(&self, held: &Held) -> Result<Shares, ViewError> {
        Ok(ledger::read(held.first().and_then(Option::as_ref))?.shares)
    }

    /// Puts right what the view has of an item, or takes a row away that is nobody's; false if a later change was there first.
    pub(crate) async fn repair(
        &self,
        claim: &Claim<'_>,
        item: Option<Item>,
        held: &Held,
        read_at: u64,
    ) -> Result<bool, ViewError> {
        let limits = Limits { concurrency: self.concurrency, until: None };
        let stored = ledger::read(held.first().and_then(Option::as_ref))?;
        let Some(key) = claim.key else { return Err(ViewError::NoOwner) };
        if let Some(row) = claim.row {
            return self.take_away(key, row, held.first().and_then(Option::as_ref)).await;
        }
        let version = match &stored.version {
            Some(version) => just_above(version),
            None => Version::snapshot(self.engine.generation, read_at).into(),
        };
        let change = Change { source: layout::source(key).into(), version, shares: self.shares_of(Some(key), item)? };
        match self.engine.apply(&[change], limits).await.into_iter().flatten().next() {
            Some(ended) => ended.map(|outcome| outcome == Outcome::Applied),
            None => Err(ViewError::Contended { rounds: 1 }),
        }
    }

    /// Deletes a row, as long as the ledger of the item that it names is as it was: it is written as it is, since a check by itself
    /// would take a permission of its own.
    async fn take_away(&self, key: &Item, row: &Item, stored: Option<&Item>) -> Result<bool, ViewError> {
        let (ledger, version) = (self.ledger_key(key), DEFAULT_VERSION_ATTRIBUTE);
        let unchanged = match stored.and_then(|stored| Some((stored, stored.get(version)?))) {
            Some((stored, seen)) => {
                Action::put(ledger, stored.clone()).only_if(Condition::Is(version.to_owned(), seen.clone()))
            }
            None => Action::delete(ledger).only_if(Condition::Absent(version.to_owned())),
        };
        let own = Condition::Is(OWNER.to_owned(), text(layout::source(key)));
        let actions = [unchanged, Action::delete(row.clone()).only_if(own)];
        match transact(&*self.engine.table, &actions, None).await {
            Ok(()) => Ok(true),
            Err(error @ TransactError::Table(_)) => Err(error.into()),
            Err(error) if error.is_reject() => Err(error.into()),
            Err(_) => Ok(false),
        }
    }

    fn ledger_key(&self, key: &Item) -> Item {
        self.engine.layout.ledger_key(&layout::source(key))
    }

    /// The rows of a projection that a ledger row names.
    fn named(&self, stored: Option<&Item>) -> Vec<RowName> {
        let read = || ledger::read(stored).unwrap_or_default().shares;
        if self.engine.projects { read().into_keys().collect() } else { Vec::new() }
    }

    fn shares_differ(&self, expected: &Shares, stored: &Shares) -> Option<Difference> {
        match (expected.is_empty(), stored.is_empty()) {
            (true, true) => return None,
            (false, true) => return Some(Difference::Missing),
            (true, false) => return Some(Difference::Extra),
            (false, false) => {}
        }
        let mut attributes = self.moved(expected.keys(), stored.keys());
        for (name, share) in expected {
            stored.get(name).into_iter().for_each(|stored| names_that_differ(share, stored, &mut attributes));
        }
        different(attributes)
    }

    /// The same of a projection's rows, which are those that the ledger names, in its order.
    fn rows_differ(
        &self,
        source: &str,
        expected: &Shares,
        stored: &Ledger,
        rows: &[Option<Item>],
    ) -> Option<Difference> {
        let rows: BTreeMap<_, _> = stored.shares.keys().zip(rows).collect();
        let there = rows.values().any(|row| row.is_some());
        match (expected.is_empty(), stored.shares.is_empty()) {
            (true, true) => return None,
            (false, _) if !there => return Some(Difference::Missing),
            (true, false) => return Some(Difference::Extra),
            _ => {}
        }
        let mut attributes = self.moved(expected.keys(), stored.shares.keys());
        for (name, share) in expected {
            let row = rows.get(name).and_then(|row| row.as_ref());
            let projected = share.projected.as_ref().map(|own| self.engine.projected(name, own, source));
            match difference(projected.as_ref(), row) {
                Some(Difference::Different { attributes: names }) => attributes.extend(names),
                Some(_) => attributes.extend(self.key_names()),
                None => {}
            }
        }
        different(attributes)
    }

    /// The names of the view's keys, if an item stands in other rows than it should.
    fn moved<'n>(
        &self,
        expected: impl Iterator<Item = &'n RowName>,
        stored: impl Iterator<Item = &'n RowName>,
    ) -> BTreeSet<String> {
        if expected.eq(stored) { BTreeSet::new() } else { self.key_names().into() }
    }

    fn key_names(&self) -> [String; 2] {
        [self.engine.layout.partition_key.clone(), self.engine.layout.sort_key.clone()]
    }
}

/// The item that a row of a projection says it comes from.
fn owner(row: &Item) -> Option<&str> {
    match row.get(OWNER) {
        Some(AttributeValue::S(owner)) => Some(owner),
        _ => None,
    }
}

fn names_that_differ(one: &Share, other: &Share, names: &mut BTreeSet<String>) {
    let amounts = one.amounts.keys().chain(other.amounts.keys());
    names.extend(amounts.filter(|name| one.amounts.get(*name) != other.amounts.get(*name)).cloned());
    let marks = one.marks.keys().chain(other.marks.keys());
    names.extend(marks.filter(|mark| one.marks.get(*mark) != other.marks.get(*mark)).map(|mark| mark.name.clone()));
}

fn different(attributes: BTreeSet<String>) -> Option<Difference> {
    (!attributes.is_empty()).then(|| Difference::Different { attributes: attributes.into_iter().collect() })
}
