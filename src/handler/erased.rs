//! Handlers of different types in one list.

use std::{marker::PhantomData, pin::Pin};

use super::{Batch, Handler, Share};
use crate::record::{FromImage, StreamView};

/// A handler whose types are known only inside.
pub(crate) trait Erased: Send + Sync {
    fn run<'a>(&'a self, share: Share<'a>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
    fn window(&self) -> usize;
}

struct Typed<H, T, V>(H, PhantomData<fn() -> (T, V)>);

impl<H: Handler<T, V>, T: FromImage, V: StreamView> Erased for Typed<H, T, V> {
    fn run<'a>(&'a self, share: Share<'a>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move { self.0.handle(&mut Batch::<T, V>::new(share)).await })
    }

    fn window(&self) -> usize {
        self.0.window()
    }
}

pub(crate) fn erase<T: FromImage, V: StreamView>(handler: impl Handler<T, V>) -> Box<dyn Erased> {
    Box::new(Typed(handler, PhantomData))
}
