//! What the exit codes of `podmeter` mean, and which error gives which.
//!
//! Scripts and the kubelet read these, so they are part of the interface and do not change:
//! 0 all went well (a signal that ends `run` or `demo` included), 1 a failure at run time, 2 a wrong
//! configuration or command line (clap's own code too), 3 `check` found something that will not work.

use std::error::Error;
use std::process::ExitCode;

use crate::{check, config};

/// A failure while running.
pub const FAILURE: u8 = 1;
/// Wrong settings or command line: starting again without a change gives the same.
pub const USAGE: u8 = 2;
/// `podmeter check` found something that will not work.
pub const UNWORKABLE: u8 = 3;

/// The exit code of an error that reached `main`.
#[must_use]
pub fn code_for(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(number(error))
}

fn number(error: &anyhow::Error) -> u8 {
    let causes = || error.chain();
    if causes().any(<dyn Error>::is::<config::Faults>) {
        USAGE
    } else if causes().any(<dyn Error>::is::<check::Unworkable>) {
        UNWORKABLE
    } else {
        FAILURE
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn wrong_settings_are_a_usage_error_however_deep_they_lie() {
        let faults: anyhow::Result<()> = Err(config::Faults::default().into());
        assert_eq!(number(&faults.context("cannot start").unwrap_err()), USAGE);
    }

    #[test]
    fn failed_checks_and_other_failures_are_told_apart() {
        assert_eq!(number(&check::Unworkable { failed: 2 }.into()), UNWORKABLE);
        assert_eq!(number(&anyhow::anyhow!("address in use")), FAILURE);
    }
}
