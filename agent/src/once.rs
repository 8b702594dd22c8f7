//! stub
#![allow(missing_docs)]
pub fn run(_: &crate::cli::Once) -> anyhow::Result<()> { Ok(()) }
