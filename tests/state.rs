//! What an update must not lose: the real binary ends, starts again with the same state, and its series go on.
//!
//! The API server is the fake one and the cgroups are ordinary files that look like v1, so that kills and
//! replaced containers come when a test wants them. Waits are on conditions with a generous limit.

#![expect(clippy::unwrap_used, reason = "helpers of a suite are tests too")]

#[path = "support/page.rs"]
mod page;

// What the tests are made of.
#[path = "state/node.rs"]
mod node;

// The tests.
#[path = "state/faults.rs"]
mod faults;
#[path = "state/names.rs"]
mod names;
#[path = "state/restarts.rs"]
mod restarts;
