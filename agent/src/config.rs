//! Settings: from one YAML file, a few variables and flags, checked as a whole.
//!
//! Two stages: [`mod@file`] is what was written, [`Settings`] what is meant (validated, typed, nothing left to
//! guess). Every fault is reported at once, with key and fix. Precedence: flag, then `PODMETER_*`
//! variable (clap puts both into [`Launch`]), then file, then default.

mod faults;
pub mod file;
mod section;
mod settings;

use std::path::Path;

pub use faults::Faults;
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
    let written = match &launch.config {
        Some(path) => file::read(path, &mut faults),
        None if Path::new(DEFAULT_PATH).exists() => {
            file::read(Path::new(DEFAULT_PATH), &mut faults)
        }
        None => file::File::default(),
    };
    let settings = settings::validate(written, launch, host, &mut faults);
    if faults.is_empty() { Ok(settings) } else { Err(faults) }
}

#[cfg(test)]
mod tests;
