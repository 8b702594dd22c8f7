//! Who may read the endpoints of the real binary: by token, by client certificate, or not at all.
//!
//! The API server is the fake one. Waits are on conditions with a generous limit; where time itself is promised,
//! such as until a withdrawn token is refused, that is what is measured.

#![expect(clippy::unwrap_used, reason = "helpers of a suite are tests too")]

#[path = "support/authority.rs"]
mod authority;
#[path = "support/page.rs"]
mod page;

// What the tests are made of.
#[path = "access/client.rs"]
mod client;
#[path = "access/running.rs"]
mod running;

// The tests.
#[path = "access/bounds.rs"]
mod bounds;
#[path = "access/certificates.rs"]
mod certificates;
#[path = "access/commands.rs"]
mod commands;
#[path = "access/outage.rs"]
mod outage;
#[path = "access/tls.rs"]
mod tls;
#[path = "access/tokens.rs"]
mod tokens;
