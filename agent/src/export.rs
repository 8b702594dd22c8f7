//! Where snapshots go. An exporter reads a [`Snapshot`](collector::snapshot::Snapshot) and nothing else.

pub mod prometheus;

#[cfg(test)]
pub(crate) mod golden;
#[cfg(test)]
mod reference;
