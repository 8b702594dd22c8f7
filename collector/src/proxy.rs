//! The reverse proxy of the node: routes HTTP(S) to pods and measures what each pod answers.
//!
//! What there is to serve comes in from the sources ([`discovery`] from the API server, the agent from its
//! file) as plain data ([`route`], [`service`], [`tls`]) and is told to a [`control::Control`], which
//! compiles it and swaps it in. Requests flow one way: [`listen`] accepts, [`guard`] refuses what is no honest
//! request, [`forward`] asks the [`table`] for the route, [`balance`] for the pod, [`backend`] for a connection,
//! and tells [`stats`] how it went.

pub mod control;
pub mod discovery;
pub mod failure;
pub mod refusal;
pub mod route;
pub mod service;
pub mod settings;
pub mod stats;
