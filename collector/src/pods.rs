//! The pods of this node: watched, pruned and indexed.
//!
//! [`watch`] talks to the API server, [`model`] is what is kept of a Pod, [`labels`] decides which
//! labels and annotations go on series, [`workload`] finds the owner's name, [`resources`] the requests
//! and limits in force, [`standalone`] stands in when there is no API server.

pub mod index;
pub mod labels;
pub mod model;
pub mod quantity;
pub mod resources;
pub mod standalone;
pub mod watch;
pub mod workload;
