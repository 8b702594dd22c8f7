//! Where snapshots go.
