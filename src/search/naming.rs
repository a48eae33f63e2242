//! Which index an item's document is in.

use std::{fmt, sync::Arc};

use crate::{
    record::{Change, NewAndOldImages, NewImage, StreamView},
    sink::index::is_index_name,
};

use super::SearchError;

/// Where a change puts an item's document, and where it was before.
pub struct Places<'c, T> {
    /// The index to be in, and the item as it is now; none if the item is gone.
    pub(super) now: Option<(Arc<str>, &'c T)>,
    /// The index that the document was in before, as far as it is known.
    pub(super) before: Option<Arc<str>>,
}

/// How indexes are chosen: one for all items, or by a function of the item.
///
/// Sealed: [`Fixed`] and [`ByItem`] are the two there are.
pub trait Naming<T: Send + 'static>: sealed::Sealed + Send + Sync + 'static {
    /// The least view of a stream from which the indexes can be told.
    type View: StreamView;

    #[doc(hidden)]
    fn places<'c>(&self, change: &'c Change<T, Self::View>) -> Result<Places<'c, T>, SearchError>;
}

mod sealed {
    pub trait Sealed {}
}

/// One index for all items.
#[derive(Debug, Clone)]
pub struct Fixed(pub(super) Arc<str>);

impl sealed::Sealed for Fixed {}

impl<T: Send + 'static> Naming<T> for Fixed {
    type View = NewImage;

    fn places<'c>(&self, change: &'c Change<T, NewImage>) -> Result<Places<'c, T>, SearchError> {
        Ok(match change {
            Change::Insert { new } | Change::Modify { new, .. } => {
                Places { now: Some((Arc::clone(&self.0), new)), before: None }
            }
            Change::Remove { .. } => Places { now: None, before: Some(Arc::clone(&self.0)) },
        })
    }
}

/// An index named by a function of the item.
pub struct ByItem<T>(pub(super) Arc<dyn Fn(&T) -> String + Send + Sync>);

impl<T> Clone for ByItem<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for ByItem<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByItem")
    }
}

impl<T> ByItem<T> {
    fn name(&self, item: &T) -> Result<Arc<str>, SearchError> {
        let name = (self.0)(item);
        if is_index_name(&name) { Ok(name.into()) } else { Err(SearchError::IllegalIndexName) }
    }
}

impl<T> sealed::Sealed for ByItem<T> {}

impl<T: Send + 'static> Naming<T> for ByItem<T> {
    type View = NewAndOldImages;

    fn places<'c>(&self, change: &'c Change<T>) -> Result<Places<'c, T>, SearchError> {
        let now = change.current().map(|item| Ok::<_, SearchError>((self.name(item)?, item))).transpose()?;
        let before = change.previous().map(|item| self.name(item)).transpose()?;
        Ok(Places { now, before })
    }
}
