//! Which handlers a change goes to.
//!
//! A router looks at a discriminator only: an attribute such as `entityType`, or the part of a key before a
//! separator. The records that a route asks for are decoded, the others are not.

mod discriminator;
mod filters;
mod routing;

use std::marker::PhantomData;

use bytes::Bytes;
use discriminator::Discriminator;
pub use routing::Unrouted;
pub(crate) use routing::{Route, Routing};

use crate::{
    handler::{Belongs, Erased, IntoHandler, erase},
    record::{Entity, FromImage, NewAndOldImages, PayloadError, RawRecord, Split, StreamView, Supplies, split},
};

/// Routes are kept in one machine word.
const MAX_ROUTES: usize = 64;

/// Sends each change to the handlers of its entity type.
///
/// `V` is the view type of the table's stream. A handler can be routed where `V` supplies what it reads.
///
/// ```
/// use anabranch::{handler::Failure, record::{Entity, Record}, router::Router};
///
/// #[derive(serde::Deserialize)]
/// struct Pet { name: String }
/// impl Entity for Pet {
///     const NAME: &'static str = "PET";
/// }
///
/// async fn welcome(record: Record<Pet>) -> Result<(), Failure> { Ok(()) }
///
/// let router = Router::by_attribute("entityType").on(welcome).ignore("ACTIVITY");
/// ```
///
/// An entity that is neither routed nor [ignored](Self::ignore) is a reject, not a warning: name it, or say what
/// happens to the rest with [`otherwise`](Self::otherwise) or [`ignore_others`](Self::ignore_others).
pub struct Router<V: StreamView = NewAndOldImages> {
    discriminator: Discriminator,
    routes: Vec<Route>,
    entities: Vec<(Box<str>, u64)>,
    every: u64,
    otherwise: Option<u64>,
    _view: PhantomData<fn() -> V>,
}

impl Router<NewAndOldImages> {
    /// Routes by the value of an attribute of the item.
    ///
    /// A modify that changes the attribute is delivered as a remove to the old type and as an insert to the new one, side by
    /// side if these have different routes. The [version](crate::record::Version) of the insert is just above that of the
    /// remove, so that whatever is guarded by versions ends right in either order, even if both write the same row. What is
    /// not, such as [`Replica::plain`](crate::replica::Replica::plain) or an update of your own, must not be the target of
    /// both: give the two types one route, with [`route_all`](Self::route_all). The same holds beside a route of
    /// [every](Self::every) type, or of both, which gets the modify as it is: its version is just above that of the remove as well.
    ///
    /// This needs both images, so only a stream of `NEW_AND_OLD_IMAGES` can be routed by an attribute.
    pub fn by_attribute(name: impl Into<String>) -> Self {
        Self::with(Discriminator::Attribute(name.into()))
    }
}

impl<V: StreamView> Router<V> {
    /// A router without entity types: add handlers with [`every`](Self::every).
    pub fn new() -> Self {
        Self::with(Discriminator::None)
    }

    /// Routes by the part of a key attribute before the first separator: `PET` of `PET#42`.
    ///
    /// A key without the separator is its own entity name.
    pub fn by_key_prefix(key: impl Into<String>, separator: char) -> Self {
        Self::with(Discriminator::KeyPrefix { key: key.into(), separator })
    }

    fn with(discriminator: Discriminator) -> Self {
        Self { discriminator, routes: Vec::new(), entities: Vec::new(), every: 0, otherwise: None, _view: PhantomData }
    }

    /// Routes the entity type that the handler names by its record type.
    ///
    /// Several handlers of one entity all get its records, side by side; a record is done with when all are. See
    /// [`every`](Self::every) for what they must not share.
    #[must_use]
    pub fn on<T, W, M>(self, handler: impl IntoHandler<T, W, M>) -> Self
    where
        T: FromImage + Entity,
        W: StreamView,
        V: Supplies<W>,
    {
        self.route(T::NAME, handler)
    }

    /// Routes an entity type by name, for record types that have none of their own.
    ///
    /// # Panics
    /// When the router has no discriminator, or more than 64 routes.
    #[must_use]
    pub fn route<T, W, M>(mut self, entity: &str, handler: impl IntoHandler<T, W, M>) -> Self
    where
        T: FromImage,
        W: StreamView,
        V: Supplies<W>,
    {
        let route = self.add(entity, handler);
        *self.entity(entity) |= route;
        self
    }

    /// Routes several entity types to one handler. An item that changes from one of them to another is delivered whole, as a
    /// modify.
    ///
    /// ```
    /// # use anabranch::{record::NewAndOldImages, replica::Replica, router::Router, sink::table::Memory};
    /// let pets = Replica::plain(Memory::new("Pets", ["PK", "SK"]));
    /// let router = Router::by_attribute("species").route_all(["CAT", "DOG"], pets).ignore_others();
    /// ```
    ///
    /// # Panics
    /// When the router has no discriminator, or more than 64 routes.
    #[must_use]
    pub fn route_all<'e, T, W, M>(
        mut self,
        entities: impl IntoIterator<Item = &'e str>,
        handler: impl IntoHandler<T, W, M>,
    ) -> Self
    where
        T: FromImage,
        W: StreamView,
        V: Supplies<W>,
    {
        let entities: Vec<_> = entities.into_iter().collect();
        let route = self.add(&entities.join("|"), handler);
        for entity in entities {
            *self.entity(entity) |= route;
        }
        self
    }

    /// Gives every record to the handler, whatever its entity type, beside the handlers of that type.
    ///
    /// A handler that is on two routes gets a record twice, and nothing here can tell that it is the same: an effect without a guard
    /// happens twice. Two routes may write the same row, document or view if they make the same of each item, under guard: the second
    /// is skipped as stale, for the price of its requests. They must not if they make different things of one item, since both are
    /// at one version, and the first that comes keeps the other out, whichever that is. Give such a target one route, and let its
    /// function look at the item; or give each route a target of its own, views a name of their own, and
    /// [idempotent](crate::idempotency) handlers a ledger of their own.
    #[must_use]
    pub fn every<T, W, M>(mut self, handler: impl IntoHandler<T, W, M>) -> Self
    where
        T: FromImage,
        W: StreamView,
        V: Supplies<W>,
    {
        self.every |= self.add("every", handler);
        self
    }

    /// Gives the records of all entity types that nothing else names to the handler.
    #[must_use]
    pub fn otherwise<T, W, M>(mut self, handler: impl IntoHandler<T, W, M>) -> Self
    where
        T: FromImage,
        W: StreamView,
        V: Supplies<W>,
    {
        let route = self.add("otherwise", handler);
        *self.otherwise.get_or_insert(0) |= route;
        self
    }

    /// Skips the records of an entity type.
    #[must_use]
    pub fn ignore(mut self, entity: &str) -> Self {
        self.entity(entity);
        self
    }

    /// Skips the records of all entity types that nothing else names.
    #[must_use]
    pub fn ignore_others(mut self) -> Self {
        self.otherwise.get_or_insert(0);
        self
    }

    fn add<T, W, M>(&mut self, name: &str, handler: impl IntoHandler<T, W, M>) -> u64
    where
        T: FromImage,
        W: StreamView,
    {
        let at = self.routes.len();
        assert!(at < MAX_ROUTES, "a router has at most {MAX_ROUTES} routes; split the function, or use `.and(..)`");
        self.routes.push(Route { name: name.into(), handler: erase(handler.into_handler()) });
        1 << at
    }

    fn entity(&mut self, name: &str) -> &mut u64 {
        assert!(
            !matches!(self.discriminator, Discriminator::None),
            "the entity `{name}` cannot be told apart: start with `Router::by_attribute` or `Router::by_key_prefix`"
        );
        let at = self.entities.iter().position(|(entity, _)| **entity == *name).unwrap_or_else(|| {
            self.entities.push((name.into(), 0));
            self.entities.len() - 1
        });
        &mut self.entities[at].1
    }

    /// Whether an item would come to a route if it were inserted as it is; none if it stays with the route whatever becomes of it.
    fn belonging(&self, route: u64) -> Option<Box<Belongs>> {
        if self.every & route != 0 || !self.discriminator.may_change() {
            return None;
        }
        let takes = |routes: u64| routes & route != 0;
        let named: Vec<_> = self.entities.iter().map(|(name, routes)| (name.clone(), takes(*routes))).collect();
        let others = self.otherwise.is_some_and(takes);
        let discriminator = self.discriminator.clone();
        Some(Box::new(move |item| {
            let entity = discriminator.attribute_of(item);
            let named = named.iter().find(|(name, _)| entity == Some(name));
            named.map_or(others, |(_, takes)| *takes)
        }))
    }

    /// The same router without its compile-time view.
    pub(crate) fn into_table(self) -> Table {
        let belonging: Vec<_> = (0..self.routes.len()).map(|route| self.belonging(1 << route)).collect();
        let Self { discriminator, mut routes, entities, every, otherwise, .. } = self;
        for (route, belongs) in routes.iter_mut().zip(belonging) {
            belongs.into_iter().for_each(|belongs| route.handler.stand_behind(belongs));
        }
        Table { discriminator, routes, entities, every, otherwise }
    }
}

impl<V: StreamView> Default for Router<V> {
    fn default() -> Self {
        Self::new()
    }
}

/// A router at work.
pub(crate) struct Table {
    discriminator: Discriminator,
    routes: Vec<Route>,
    entities: Vec<(Box<str>, u64)>,
    every: u64,
    otherwise: Option<u64>,
}

impl Table {
    pub(crate) fn handlers(&self) -> impl ExactSizeIterator<Item = &dyn Erased> {
        self.routes.iter().map(|route| &*route.handler)
    }

    pub(crate) fn name(&self, route: usize) -> &str {
        &self.routes[route].name
    }

    /// The records of a batch, split in the way that routing them is cheapest.
    pub(crate) fn split(&self, payload: Bytes) -> Result<Split, PayloadError> {
        let records = split(payload)?;
        Ok(match &self.discriminator {
            Discriminator::Attribute(name) => records.watching(name),
            Discriminator::KeyPrefix { .. } | Discriminator::None => records,
        })
    }

    /// Where a record goes.
    pub(crate) fn routing(&self, raw: &RawRecord) -> Result<Routing, Unrouted> {
        let routing = self.discriminator.routing(raw, |entity| self.lookup(entity))?;
        Ok(routing.and_every(self.every))
    }

    fn lookup(&self, entity: Option<&[u8]>) -> Option<u64> {
        let named = entity.and_then(|name| self.entities.iter().find(|(entity, _)| entity.as_bytes() == name));
        named.map(|(_, routes)| *routes).or(self.otherwise).or((self.every != 0).then_some(0))
    }
}
