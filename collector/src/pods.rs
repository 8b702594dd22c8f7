//! The pods of this node: watched, pruned and indexed.
//!
//! [`client`] reaches the API server, [`watch`] follows it, [`health`] tells how that goes, [`access`] asks what
//! we may do there. [`model`] is what is kept of a Pod, [`labels`] decides which labels and annotations go on
//! series, [`workload`] finds the owner's name, [`resources`] the requests and limits in force, [`index`] is what
//! the join looks things up in. [`standalone`] stands in when there is no API server.

pub mod access;
pub mod client;
mod feed;
pub mod health;
pub mod index;
pub mod labels;
mod lax;
pub mod model;
mod object;
pub mod observe;
mod prune;
pub mod quantity;
pub mod resources;
pub mod standalone;
pub mod watch;
mod workload;

pub use prune::Skipped;
