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

/// The filter asked for, less what libraries say of single requests: kube at level error of each that failed, where
/// the watch tells the same once, with the fix; h2 at level warn of each client that floods it, who could fill the
/// log that way. A filter that names them gets those lines too.
fn filter(asked: &str) -> String {
    let quiet = [("kube", "kube_client::client::builder=off"), ("h2", "h2=error")];
    let more = quiet.iter().filter(|(name, _)| !asked.contains(name)).map(|(_, less)| *less);
    std::iter::once(asked).chain(more).collect::<Vec<_>>().join(",")
}

/// Whether colours may be written: to a terminal only, and not against `NO_COLOR` (<https://no-color.org>).
pub(crate) fn has_colours(stream: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
