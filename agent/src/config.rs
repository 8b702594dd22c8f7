//! Settings: from one YAML file, a few variables and flags, checked as a whole.
//!
//! Two stages: [`mod@file`] is what was written, [`Settings`] what is meant (validated, typed, nothing left to
//! guess). Every fault is reported at once, with key and fix. Precedence: flag, then `PODMETER_*`
//! variable (clap puts both into [`Launch`]), then file, then default.

mod faults;
pub mod file;
mod proxy;
mod section;
mod settings;

use std::path::Path;

pub use faults::Faults;
pub use proxy::{Proxy, fixed};
pub(crate) use settings::checked_interval;
pub use settings::{Host, LogSettings, Settings, Source};

use crate::cli::Launch;

/// Read when `--config` is not given, if it exists.
pub const DEFAULT_PATH: &str = "/etc/podmeter/podmeter.yaml";

/// Reads the file and puts the flags over it.
///
/// # Errors
/// Everything that is wrong with file and flags together.
pub fn load(launch: &Launch, host: &Host) -> Result<Settings, Faults> {
    let mut faults = Faults::default();
    let written =
        path(launch).map_or_else(file::File::default, |path| file::read(path, &mut faults));
    let settings = settings::validate(written, launch, host, &mut faults);
    if faults.is_empty() { Ok(settings) } else { Err(faults) }
}

/// The file that [`load`] reads, if any.
#[must_use]
pub fn path(launch: &Launch) -> Option<&Path> {
    let default = Path::new(DEFAULT_PATH);
    launch.config.as_deref().or_else(|| default.exists().then_some(default))
}

#[cfg(test)]
mod tests;
