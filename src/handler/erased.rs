//! Handlers of different types in one list.

use std::{marker::PhantomData, pin::Pin};

use super::{Batch, Handler, Share};
use crate::record::{FromImage, StreamView};

/// Whether an item, as somebody has found it in the table, is of an entity type of a route.
pub(crate) type Belongs = dyn Fn(&serde_dynamo::Item) -> bool + Send + Sync;

/// A handler whose types are known only inside.
pub(crate) trait Erased: Send + Sync {
    fn run<'a>(&'a self, share: Share<'a>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
    fn window(&self) -> usize;
    /// Tells the handler which items belong to its route: unless it is told, all do.
    fn stand_behind(&mut self, belongs: Box<Belongs>);
}

struct Typed<H, T, V> {
    handler: H,
    belongs: Option<Box<Belongs>>,
    _types: PhantomData<fn() -> (T, V)>,
}

impl<H: Handler<T, V>, T: FromImage, V: StreamView> Erased for Typed<H, T, V> {
    fn run<'a>(&'a self, share: Share<'a>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move { self.handler.handle(&mut Batch::<T, V>::new(share, self.belongs.as_deref())).await })
    }

    fn window(&self) -> usize {
        self.handler.window()
    }

    fn stand_behind(&mut self, belongs: Box<Belongs>) {
        self.belongs = Some(belongs);
    }
}

pub(crate) fn erase<T: FromImage, V: StreamView>(handler: impl Handler<T, V>) -> Box<dyn Erased> {
    Box::new(Typed { handler, belongs: None, _types: PhantomData })
}
