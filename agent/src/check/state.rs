//! Whether what is to outlive the process can be kept, and what was.

use collector::state::fault::Fault;
use collector::state::folder::Folder;
use collector::state::format::{self, Place};

use super::Finding;
use crate::config::Settings;

const WHAT: &str = "state";

pub(super) fn findings(settings: &Settings) -> Option<Finding> {
    let path = settings.state.as_ref()?;
    let (folder, place) = (Folder::new(path), Place::here(&settings.node, &settings.proc));
    Some(match look(&folder, &place) {
        Ok(says) => Finding::ok(WHAT, format!("{}: {says}", path.display())),
        Err(fault) => {
            let lost = "OOM kills of earlier incarnations begin anew with every start";
            Finding::degraded(WHAT, format!("{}: {lost}", fault.reason()), fault.to_string())
        }
    })
}

/// Takes the lock, reads and tries to write, unless a running Podmeter does.
fn look(folder: &Folder, place: &Place) -> Result<&'static str, Fault> {
    let lock = folder.lock()?;
    let text = folder.read()?;
    let is_there = text.is_some();
    text.map(|text| format::parse(&text, place)).transpose()?;
    let Some(lock) = lock else { return Ok("a running Podmeter keeps its state there") };
    folder.try_out(&lock)?;
    Ok(if is_there { "counts go on from there" } else { "can be written; nothing is kept yet" })
}
