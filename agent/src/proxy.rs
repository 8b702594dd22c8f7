//! The agent's side of the reverse proxy. The proxy itself is `collector::proxy`.

#[cfg(test)]
mod page;
pub mod reload;
pub(crate) mod run;
