//! Settings: from one YAML file, a few variables and flags, checked as a whole.
//!
//! Two stages: [`mod@file`] is what was written, [`Settings`] what is meant (validated, typed, nothing left to
//! guess). Every fault is reported at once, with key and fix. Precedence: flag, then `PODMETER_*`
//! variable (clap puts both into [`Launch`]), then file, then default.

mod access;
mod faults;
pub mod file;
mod moved;
mod proxy;
mod section;
mod settings;

use std::path::{Path, PathBuf};

pub use access::{Access, Mode};
pub use faults::Faults;
pub use moved::{MOVED, Moved};
pub use proxy::{Proxy, fixed};
pub(crate) use settings::checked_interval;
pub use settings::{Host, LogSettings, Settings, Source};

use crate::cli::Launch;

/// Read when `--config` is not given, if it exists.
pub const DEFAULT_PATH: &str = "/etc/podmeter/podmeter.yaml";

/// Settings, with the text that they were read from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is meant.
    pub settings: Settings,
    /// Path and text of the file, if there is one.
    pub file: Option<(PathBuf, String)>,
}

/// Reads the file and puts the flags over it.
///
/// # Errors
/// Everything that is wrong with file and flags together.
pub fn load(launch: &Launch, host: &Host) -> Result<Settings, Faults> {
    load_file(launch, host).map(|loaded| loaded.settings)
}

/// As [`load`], for whoever goes on watching the file.
///
/// # Errors
/// Everything that is wrong with file and flags together.
pub fn load_file(launch: &Launch, host: &Host) -> Result<Loaded, Faults> {
    let mut faults = Faults::default();
    let file = path(launch).map(|path| (path.to_owned(), file::text(path, &mut faults)));
    let (path, text) = file.as_ref().map_or((Path::new(""), ""), |(path, text)| (path, text));
    let settings = understood(path, text, (launch, host), &mut faults);
    if faults.is_empty() { Ok(Loaded { settings, file }) } else { Err(faults) }
}

/// What a text of the file at `path` means under these flags on this machine.
///
/// # Errors
/// Everything that is wrong with it.
pub fn understand(
    path: &Path,
    text: &str,
    launch: &Launch,
    host: &Host,
) -> Result<Settings, Faults> {
    let mut faults = Faults::default();
    let settings = understood(path, text, (launch, host), &mut faults);
    if faults.is_empty() { Ok(settings) } else { Err(faults) }
}

fn understood(
    path: &Path,
    text: &str,
    (launch, host): (&Launch, &Host),
    faults: &mut Faults,
) -> Settings {
    let written = file::parse(&path.display().to_string(), text, faults);
    settings::validate(written, launch, host, faults)
}

/// The file that [`load`] reads, if any.
#[must_use]
pub fn path(launch: &Launch) -> Option<&Path> {
    let default = Path::new(DEFAULT_PATH);
    launch.config.as_deref().or_else(|| default.exists().then_some(default))
}

#[cfg(test)]
mod tests;
