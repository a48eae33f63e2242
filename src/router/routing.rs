//! The routes of one record.

use std::fmt;

use crate::{
    handler::Erased,
    record::{DecodeError, Facet},
};

/// A handler and the entity that it is for.
pub(crate) struct Route {
    pub(super) name: Box<str>,
    pub(super) handler: Box<dyn Erased>,
}

/// The routes of one record, a bit each, by what they see of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Routing {
    /// Routes that see a change within one entity type.
    whole: u64,
    /// Routes of the entity type that the item left.
    left: u64,
    /// Routes of the entity type that the item joined.
    joined: u64,
}

impl Routing {
    pub(super) fn whole(routes: u64) -> Self {
        Self { whole: routes, ..Self::default() }
    }

    /// The routes of the entity types that an item left and joined.
    pub(super) fn between(left: u64, joined: u64) -> Self {
        Self { whole: 0, left, joined }
    }

    /// With the routes of every entity type, which are of both where there are two.
    pub(super) fn and_every(mut self, routes: u64) -> Self {
        if self.left | self.joined == 0 {
            self.whole |= routes;
        } else {
            self.left |= routes;
            self.joined |= routes;
        }
        self
    }

    /// All routes, whatever they see.
    pub(crate) fn all(self) -> u64 {
        self.whole | self.left | self.joined
    }

    /// Each route, in order, with what it sees. A handler of both entity types sees the change as it is.
    pub(crate) fn facets(self) -> impl Iterator<Item = (usize, Facet)> {
        bits(self.all()).map(move |route| (route, self.facet(route)))
    }

    fn facet(self, route: usize) -> Facet {
        let sees = |routes: u64| routes & (1 << route) != 0;
        match (sees(self.left), sees(self.joined)) {
            (false, false) => Facet::Whole,
            (true, true) => Facet::Both,
            (true, false) => Facet::Left,
            (false, true) => Facet::Joined,
        }
    }

    /// Without a route that has answered.
    pub(crate) fn remove(&mut self, route: usize) {
        let others = !(1 << route);
        self.whole &= others;
        self.left &= others;
        self.joined &= others;
    }
}

fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let next = set.trailing_zeros() as usize;
        (set != 0).then(|| {
            set &= set - 1;
            next
        })
    })
}

/// A record that no route is declared for.
///
/// Neither text shows the entity type that was found, which may be any value of an item: a log at `TRACE` does.
#[derive(thiserror::Error)]
pub enum Unrouted {
    /// Its entity type is not declared.
    #[error(
        "the entity type in {place} is not routed; add a route, `.ignore(..)`, `.otherwise(..)` or `.ignore_others()`"
    )]
    Unknown {
        /// Where the entity type was looked for.
        place: String,
        /// The entity type that was found.
        entity: String,
    },
    /// It has no entity type.
    #[error("no entity type in {place}; add `.otherwise(..)` or `.ignore_others()` if such items are expected")]
    Missing {
        /// Where the entity type was looked for.
        place: String,
    },
    /// Its entity type cannot be read.
    #[error("the entity type cannot be read")]
    Unreadable(#[from] DecodeError),
}

impl fmt::Debug for Unrouted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { place, .. } => f.debug_struct("Unknown").field("place", place).finish_non_exhaustive(),
            Self::Missing { place } => f.debug_struct("Missing").field("place", place).finish(),
            Self::Unreadable(error) => f.debug_tuple("Unreadable").field(error).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facets_name_each_route_once() {
        let facets: Vec<_> = Routing::between(0b110, 0b1100).and_every(0b1).facets().collect();
        assert_eq!(facets, [(0, Facet::Both), (1, Facet::Left), (2, Facet::Both), (3, Facet::Joined)]);
        let facets: Vec<_> = Routing::whole(0b10).and_every(0b1).facets().collect();
        assert_eq!(facets, [(0, Facet::Whole), (1, Facet::Whole)]);
    }

    #[test]
    fn removing_the_last_route_leaves_nothing() {
        let mut routing = Routing::whole(1 << 63);
        routing.remove(63);
        assert_eq!(routing, Routing::default());
    }
}
