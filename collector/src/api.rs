//! The way to the API server, for whoever needs to know what it holds.
//!
//! [`client`] reaches it, [`feed`] follows one resource there, [`health`] tells how that goes and [`observe`] makes
//! series of it, [`rights`] lists what we may need, [`access`] finds out what we may do, and [`review`] asks what
//! others may. [`object`] and [`lax`] read what it sends. [`mod@write`] sends Events and the like, from an [`outbox`]
//! and no oftener than a [`limit`] allows. What is made of it is the business of [`crate::pods`] and of the proxy.

pub mod access;
pub mod client;
pub(crate) mod feed;
pub mod health;
pub(crate) mod lax;
pub(crate) mod limit;
pub(crate) mod object;
pub mod observe;
pub(crate) mod outbox;
pub mod review;
pub mod rights;
pub(crate) mod write;
