//! The agent's side of the reverse proxy. The proxy itself is `collector::proxy`.

pub mod reload;
pub(crate) mod run;
