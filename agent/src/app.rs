//! stub
#![allow(missing_docs)]
pub fn run(_: &crate::cli::Launch) -> anyhow::Result<()> { Ok(()) }
