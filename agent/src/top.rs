//! stub
#![allow(missing_docs)]
pub fn run(_: &crate::cli::Top) -> anyhow::Result<()> { Ok(()) }
