//! What handlers keep of a table.
//!
//! A trait object brings all methods of its trait into a function, called or not, and behind each of them is a call of the SDK: some
//! fifty kilobytes. So handlers keep no [`Table`], but the part of it that they use.

use futures_util::future::BoxFuture;

use super::{
    Action, Guard, Item, Query, ReadBatch, RowWrite, Table, TableError, TransactError, TransactTable, Written,
};

/// The writes of a [`Table`], which every table has.
pub trait Writes: Send + Sync + 'static {
    /// [`Table::name`].
    fn name(&self) -> &str;

    /// [`Table::write_guarded`].
    ///
    /// # Errors
    /// The same.
    fn write_guarded(&self, write: RowWrite, guard: Guard) -> BoxFuture<'_, Result<Written, TableError>>;

    /// [`Table::write_batch`].
    ///
    /// # Errors
    /// The same.
    fn write_batch<'a>(&'a self, writes: &'a [RowWrite]) -> BoxFuture<'a, Result<Vec<usize>, TableError>>;
}

/// The reads of a [`TransactTable`], which every one has.
pub trait Reads: Send + Sync + 'static {
    /// [`Table::name`].
    fn name(&self) -> &str;

    /// [`TransactTable::read_batch`].
    ///
    /// # Errors
    /// The same.
    fn read_batch<'a>(&'a self, keys: &'a [Item]) -> BoxFuture<'a, Result<ReadBatch, TableError>>;
}

/// The transactions of a [`TransactTable`], and what is read for them.
pub trait Transacts: Reads {
    /// [`TransactTable::transact`].
    ///
    /// # Errors
    /// The same.
    fn transact<'a>(&'a self, actions: &'a [Action]) -> BoxFuture<'a, Result<(), TransactError>>;

    /// [`TransactTable::query`].
    ///
    /// # Errors
    /// The same.
    fn query(&self, query: Query) -> BoxFuture<'_, Result<Vec<Item>, TableError>>;
}

impl<T: Table + ?Sized> Writes for T {
    fn name(&self) -> &str {
        Table::name(self)
    }

    fn write_guarded(&self, write: RowWrite, guard: Guard) -> BoxFuture<'_, Result<Written, TableError>> {
        Table::write_guarded(self, write, guard)
    }

    fn write_batch<'a>(&'a self, writes: &'a [RowWrite]) -> BoxFuture<'a, Result<Vec<usize>, TableError>> {
        Table::write_batch(self, writes)
    }
}

impl<T: TransactTable + ?Sized> Reads for T {
    fn name(&self) -> &str {
        Table::name(self)
    }

    fn read_batch<'a>(&'a self, keys: &'a [Item]) -> BoxFuture<'a, Result<ReadBatch, TableError>> {
        TransactTable::read_batch(self, keys)
    }
}

impl<T: TransactTable + ?Sized> Transacts for T {
    fn transact<'a>(&'a self, actions: &'a [Action]) -> BoxFuture<'a, Result<(), TransactError>> {
        TransactTable::transact(self, actions)
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<Vec<Item>, TableError>> {
        TransactTable::query(self, query)
    }
}
