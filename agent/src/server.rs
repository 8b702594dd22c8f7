//! Podmeter's own HTTP endpoints.
