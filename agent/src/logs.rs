//! Log lines on stderr: stdout belongs to what a command was asked for.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::cli::LogFormat;
use crate::config::LogSettings;

/// Starts logging. A second call changes nothing.
pub fn start(settings: &LogSettings) {
    let filter = EnvFilter::builder().parse_lossy(filter(&settings.filter));
    let lines =
        fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(has_colours(&io::stderr()));
    let started = match settings.format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    // Tests of several commands share one process, and with it the first one's logger.
    drop(started);
}

/// The filter asked for, less what kube says at level error of each failed request: the watch tells the
/// same once, with the fix. A filter that names kube gets those lines too.
fn filter(asked: &str) -> String {
    if asked.contains("kube") {
        return asked.to_owned();
    }
    format!("{asked},kube_client::client::builder=off")
}

/// Whether colours may be written: to a terminal only, and not against `NO_COLOR` (<https://no-color.org>).
pub(crate) fn has_colours(stream: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
