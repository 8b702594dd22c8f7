//! stub
#![allow(missing_docs)]
pub fn run(_: &crate::cli::Demo) -> anyhow::Result<()> { Ok(()) }
pub mod worker { pub fn run(_: &crate::cli::Job) -> anyhow::Result<()> { Ok(()) } }
