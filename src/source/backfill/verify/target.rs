//! What a target should have of an item: of each kind of handler the part that differs from the others'.

use std::{collections::HashMap, sync::Arc};

use futures_util::future::{BoxFuture, FutureExt};

use super::{VerifyError, report::Subject};
use crate::{
    handler::BoxError,
    record::{self, FromImage, StreamView},
    replica::{Broken, Replica},
    sink::table::{Difference, Item, Limits, Reads, Written, read_many},
    view::{Claim, Doubt, Totals, Traced, View, ViewError},
};

/// Requests of a kind that are on their way at the same time.
pub(super) const LIMITS: Limits = Limits { concurrency: 4, until: None };

/// The rows of the target that belong to a subject.
pub(super) type Held = Vec<Option<Item>>;

/// A look at a subject: the target first, its item then.
pub(super) struct Look {
    pub(super) held: Held,
    pub(super) item: Option<Item>,
    /// When the item was read, in microseconds since 1970.
    pub(super) read_at: u64,
}

/// What becomes of a look.
pub(super) enum Judged {
    Equal,
    Differs(Difference),
    /// The handler would reject the item.
    Unreadable,
}

/// What a target should have.
pub(super) trait Target: Send + Sync {
    /// Whether an item of the source is for this target.
    fn takes(&self, item: &Item) -> bool;

    /// What a row of the target belongs to, and what the target has of that, if it is all in the row; `names` are the
    /// source's keys.
    fn subject(&self, row: &Item, names: &[String]) -> Option<(Subject, Option<Held>)>;

    /// Reads what the target has of subjects.
    fn held<'a>(&'a self, subjects: &'a [Subject]) -> BoxFuture<'a, Result<Vec<Held>, VerifyError>>;

    /// Compares.
    fn judge(&self, subject: &Subject, item: Option<Item>, held: &Held) -> Result<Judged, VerifyError>;

    /// Whether what the target has of a subject says which version it is of: then it is never again as it was.
    fn is_versioned(&self, held: &Held) -> bool;

    /// Puts the target right; false if a later change was there first.
    fn repair<'a>(&'a self, subject: &'a Subject, look: Look) -> BoxFuture<'a, Result<bool, BoxError>>;

    /// The sums that it keeps, if it does.
    fn sums(&self) -> Option<&dyn Sums> {
        None
    }
}

/// Rows that many items add up to.
pub(super) trait Sums: Send + Sync {
    /// Adds what an item has in them; of none, what the target holds of it.
    fn add(&self, totals: &mut Totals, key: &Item, item: Option<Item>, held: &Held) -> Result<(), VerifyError>;

    /// Whether an item can be added up by itself.
    fn is_readable(&self, key: &Item, item: &Item) -> bool;

    fn doubts<'a>(&'a self, totals: &'a Totals) -> BoxFuture<'a, Result<Vec<Doubt>, VerifyError>>;

    fn doubt_of_row<'a>(
        &'a self,
        totals: &'a Totals,
        row: &'a Item,
    ) -> BoxFuture<'a, Result<Option<Doubt>, VerifyError>>;

    fn key(&self, doubt: &Doubt) -> Item;
}

pub(super) struct OfReplica<V: StreamView> {
    pub(super) replica: Replica<V>,
    pub(super) table: Arc<dyn Reads>,
}

/// The attributes of the key, or the name of the first that a row lacks.
pub(super) fn key_of(row: &Item, names: &[String]) -> Result<Item, String> {
    let attribute = |name: &String| Ok((name.clone(), row.get(name).ok_or_else(|| name.clone())?.clone()));
    names.iter().map(attribute).collect::<Result<HashMap<_, _>, _>>().map(Into::into)
}

impl<V: StreamView<New<record::Item> = record::Item>> Target for OfReplica<V> {
    fn takes(&self, _: &Item) -> bool {
        true
    }

    fn subject(&self, row: &Item, names: &[String]) -> Option<(Subject, Option<Held>)> {
        let key = key_of(row, names).ok()?;
        Some((Subject { key: Some(key), row: None }, Some(vec![Some(row.clone())])))
    }

    fn held<'a>(&'a self, subjects: &'a [Subject]) -> BoxFuture<'a, Result<Vec<Held>, VerifyError>> {
        async move {
            let keys: Vec<_> = subjects.iter().filter_map(|subject| subject.key.clone()).collect();
            let rows = read_many(&*self.table, &keys, LIMITS).await;
            let rows = rows.map_err(|source| VerifyError::Read { side: "target", source })?;
            Ok(rows.into_iter().map(|row| vec![row]).collect())
        }
        .boxed()
    }

    fn judge(&self, subject: &Subject, item: Option<Item>, held: &Held) -> Result<Judged, VerifyError> {
        let (Some(key), Some(row)) = (&subject.key, held.first()) else { return Ok(Judged::Equal) };
        Ok(match self.replica.difference(key, item, row.as_ref()) {
            Ok(None) => Judged::Equal,
            Ok(Some(difference)) => Judged::Differs(difference),
            Err(_) => Judged::Unreadable,
        })
    }

    fn is_versioned(&self, held: &Held) -> bool {
        held.iter().flatten().any(|row| self.replica.is_versioned(row))
    }

    fn repair<'a>(&'a self, subject: &'a Subject, look: Look) -> BoxFuture<'a, Result<bool, BoxError>> {
        async move {
            let Look { held, item, read_at } = look;
            let key = subject.key.clone().unwrap_or_default();
            let row = held.into_iter().next().flatten();
            let written = self.replica.repair(Broken { key, row, item, read_at }).await?;
            Ok(written == Written::Applied)
        }
        .boxed()
    }
}

pub(super) struct OfView<T> {
    pub(super) view: View<T>,
    pub(super) only: Box<dyn Fn(&Item) -> bool + Send + Sync>,
}

impl Subject {
    fn claim(&self) -> Claim<'_> {
        Claim { key: self.key.as_ref(), row: self.row.as_ref() }
    }
}

impl<T: FromImage> Target for OfView<T> {
    fn takes(&self, item: &Item) -> bool {
        !item.contains_key(crate::view::MARKER) && (self.only)(item)
    }

    fn subject(&self, row: &Item, names: &[String]) -> Option<(Subject, Option<Held>)> {
        let place = || Some(self.view.key_of_row(row));
        Some(match self.view.trace(row, names) {
            Traced::Nothing => return None,
            Traced::Item(key) => {
                let held = (!self.view.projects()).then(|| vec![Some(row.clone())]);
                (Subject { key: Some(key), row: None }, held)
            }
            Traced::Owner(key) => (Subject { key: Some(key), row: place() }, None),
            Traced::Nobody => (Subject { key: None, row: place() }, None),
        })
    }

    fn held<'a>(&'a self, subjects: &'a [Subject]) -> BoxFuture<'a, Result<Vec<Held>, VerifyError>> {
        async move {
            let claims: Vec<_> = subjects.iter().map(Subject::claim).collect();
            Ok(self.view.held(&claims, LIMITS).await?)
        }
        .boxed()
    }

    fn judge(&self, subject: &Subject, item: Option<Item>, held: &Held) -> Result<Judged, VerifyError> {
        let item = item.filter(|item| self.takes(item));
        Ok(match self.view.difference(&subject.claim(), item, held) {
            Ok(None) => Judged::Equal,
            Ok(Some(difference)) => Judged::Differs(difference),
            Err(ViewError::Table(error)) => return Err(ViewError::Table(error).into()),
            Err(_) => Judged::Unreadable,
        })
    }

    fn is_versioned(&self, held: &Held) -> bool {
        matches!(held.first(), Some(Some(_)))
    }

    fn repair<'a>(&'a self, subject: &'a Subject, look: Look) -> BoxFuture<'a, Result<bool, BoxError>> {
        async move {
            let item = look.item.filter(|item| self.takes(item));
            Ok(self.view.repair(&subject.claim(), item, &look.held, look.read_at).await?)
        }
        .boxed()
    }

    fn sums(&self) -> Option<&dyn Sums> {
        (!self.view.projects()).then_some(self)
    }
}

impl<T: FromImage> Sums for OfView<T> {
    fn add(&self, totals: &mut Totals, key: &Item, item: Option<Item>, held: &Held) -> Result<(), VerifyError> {
        Ok(self.view.add_up(totals, key, item, held)?)
    }

    fn is_readable(&self, key: &Item, item: &Item) -> bool {
        self.view.is_readable(key, item)
    }

    fn doubts<'a>(&'a self, totals: &'a Totals) -> BoxFuture<'a, Result<Vec<Doubt>, VerifyError>> {
        async move { Ok(self.view.doubts(totals).await?) }.boxed()
    }

    fn doubt_of_row<'a>(
        &'a self,
        totals: &'a Totals,
        row: &'a Item,
    ) -> BoxFuture<'a, Result<Option<Doubt>, VerifyError>> {
        async move { Ok(self.view.doubt_of_row(totals, row).await?) }.boxed()
    }

    fn key(&self, doubt: &Doubt) -> Item {
        self.view.key_of_doubt(doubt)
    }
}
