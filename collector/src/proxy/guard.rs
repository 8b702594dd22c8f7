//! What stands between a peer's bytes and hyper.
//!
//! hyper re-serialises whatever it understood, so the danger is what it understands where another parser would
//! understand something else: a line that ends in a bare LF, two lengths, a chunk size with white space. The guard
//! reads the same bytes first ([`http1`], [`http2`], [`response`]), refuses all that has two readings, and hands on
//! ([`stream`]) only what has one. It knows no route and no pod; what a well-formed request means is for
//! [`forward`](super) to judge.
//!
//! Invariant: hyper sees no byte of a head that was not read to its end and found good.

mod alarm;
mod chunks;
pub(crate) mod fields;
mod target;

pub mod addresses;
pub mod http1;
pub mod http2;
pub mod response;
pub mod stream;
pub mod verdict;

#[cfg(test)]
mod model;
#[cfg(test)]
#[expect(unreachable_pub, reason = "shared with the tests that talk to the running program")]
#[path = "../../../tests/proxy/smuggling.rs"]
mod smuggling;
