//! The snapshot: one table, swapped whole, read without a lock.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use super::table::Table;

/// Where the newest table is put. Clones share it.
#[derive(Clone, Debug)]
pub struct Publisher(Arc<ArcSwap<Table>>);

/// A worker's own view of the newest table: a check of one pointer when nothing has changed.
#[derive(Clone, Debug)]
pub struct Reader(Cache<Arc<ArcSwap<Table>>, Arc<Table>>);

impl Publisher {
    /// Starts with `table`.
    pub fn new(table: Table) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(table)))
    }

    /// Every request that is routed from now on sees `table`.
    pub fn publish(&self, table: Table) {
        self.0.store(Arc::new(table));
    }

    /// The table that is published now.
    pub fn current(&self) -> Arc<Table> {
        self.0.load_full()
    }

    /// A view for one worker.
    pub fn reader(&self) -> Reader {
        Reader(Cache::new(Arc::clone(&self.0)))
    }
}

impl Reader {
    /// The newest table.
    pub fn current(&mut self) -> &Arc<Table> {
        self.0.load()
    }
}
