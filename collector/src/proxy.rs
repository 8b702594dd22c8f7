//! The reverse proxy of the node: routes HTTP(S) to pods and measures what each pod answers.
//!
//! What there is to serve comes in from the sources ([`discovery`] from the API server, the agent from its
//! file) as plain data ([`route`], [`service`]) and is told to a [`control::Told`], which compiles it and swaps
//! it in ([`live`], [`table`], [`tls`]). Requests flow one way: [`listen`] accepts, [`guard`] refuses what is no
//! honest request, [`forward`] asks the [`table`] for the route, [`balance`] for the pod, [`backend`] for a
//! connection, and tells [`stats`] and, if there is one, the [`access_log`] how it went. [`start`] puts it all together.

pub mod access_log;
pub mod affinity;
mod backend;
mod balance;
mod clock;
pub mod control;
pub mod discovery;
pub mod failure;
mod forward;
pub mod forwarded;
pub mod guard;
pub mod hop;
pub mod listen;
mod live;
pub mod preamble;
mod reason;
pub mod refusal;
pub mod route;
pub mod service;
pub mod settings;
pub mod start;
pub mod stats;
pub mod table;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod trace;
mod worker;
