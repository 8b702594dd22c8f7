//! The pods of this node: watched, pruned and indexed.
//!
//! [`watch`] follows the API server, [`access`] tells what it must let us do for that. [`model`] is what is kept of a Pod, [`labels`] decides which labels and annotations go on
//! series, [`workload`] finds the owner's name, [`resources`] the requests and limits in force, [`startup`] how long it took to be ready, [`index`] is what
//! the join looks things up in. [`notices`] writes Events on pods. [`standalone`] stands in when there is no API server.

pub mod access;
pub mod index;
pub mod labels;
pub mod model;
pub mod notices;
mod object;
pub(crate) mod prune;
pub mod quantity;
pub mod resources;
pub mod standalone;
pub mod startup;
pub mod watch;
pub(crate) mod workload;
