//! The node agent of Podmeter: decides when to sample, where series go and with which settings.
//!
//! The measuring itself is the `collector` crate's; this one owns the command line, the
//! configuration, the exposition formats, the HTTP endpoints and the exit codes.

pub mod apiserver;
pub mod app;
pub mod check;
pub mod cli;
pub mod config;
pub mod demo;
pub mod exit;
pub mod export;
pub mod logs;
mod notices;
pub mod once;
pub mod proxy;
pub mod server;
pub mod tasks;
pub mod tick;
pub mod top;
