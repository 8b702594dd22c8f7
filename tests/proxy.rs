//! The proxy of the real binary, between raw clients and pods that behave as a test needs it, with what it says
//! of itself on `/metrics`.
//!
//! Waits are on conditions with a generous limit. Nothing sleeps to let something happen; only clients and pods
//! that are slow on purpose do.

#![expect(clippy::unwrap_used, reason = "helpers of a suite are tests too")]

#[path = "support/authority.rs"]
mod authority;
#[path = "support/page.rs"]
mod page;

// What the tests are made of.
#[path = "proxy/certificates.rs"]
mod certificates;
#[path = "proxy/client.rs"]
mod client;
#[path = "proxy/config.rs"]
mod config;
#[path = "proxy/frames.rs"]
mod frames;
#[path = "proxy/gate.rs"]
mod gate;
#[path = "proxy/http2.rs"]
mod http2;
#[path = "proxy/native.rs"]
mod native;
#[path = "proxy/pod.rs"]
mod pod;
#[path = "proxy/running.rs"]
mod running;
#[expect(unreachable_pub, reason = "shared with the guard's own tests")]
#[path = "proxy/smuggling.rs"]
mod smuggling;

// The tests.
#[path = "proxy/affinity.rs"]
mod affinity;
#[path = "proxy/attacks.rs"]
mod attacks;
#[path = "proxy/balance.rs"]
mod balance;
#[path = "proxy/identity.rs"]
mod identity;
#[path = "proxy/life.rs"]
mod life;
#[path = "proxy/limits.rs"]
mod limits;
#[path = "proxy/measuring.rs"]
mod measuring;
#[path = "proxy/mutual.rs"]
mod mutual;
#[path = "proxy/routes.rs"]
mod routes;
#[path = "proxy/secure.rs"]
mod secure;
#[path = "proxy/streaming.rs"]
mod streaming;
#[path = "proxy/streams.rs"]
mod streams;
#[path = "proxy/timeouts.rs"]
mod timeouts;
#[path = "proxy/upgrades.rs"]
mod upgrades;
