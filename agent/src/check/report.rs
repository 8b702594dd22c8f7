//! The report, for people and for programs.

use std::fmt::Write;

use clap::builder::styling::{AnsiColor, Style};
use serde_json::json;

use super::{Finding, State};

/// A line for each finding, the fix below it.
pub(super) fn table(findings: &[Finding], colours: bool) -> String {
    let width = findings.iter().map(|finding| finding.what.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Finding { what, state, says, fix } in findings {
        let (word, style) = match state {
            State::Ok => ("ok", AnsiColor::Green.on_default()),
            State::Degraded => ("degraded", AnsiColor::Yellow.on_default()),
            State::Failed => ("FAILED", AnsiColor::Red.on_default().bold()),
        };
        let style = if colours { style } else { Style::new() };
        let pad = " ".repeat(8 - word.len());
        let indent = format!("\n{}", " ".repeat(12 + width));
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{style}{word}{style:#}{pad}  {what:width$}  {}",
            says.replace('\n', &indent)
        );
        if let Some(fix) = fix {
            let _ = writeln!(text, "{}fix: {}", &indent[1..], fix.replace('\n', &indent));
        }
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let _ = writeln!(
        text,
        "\n{} ok, {} degraded, {} failed",
        count(State::Ok),
        count(State::Degraded),
        count(State::Failed)
    );
    text
}

/// One JSON document.
pub(super) fn json(findings: &[Finding]) -> serde_json::Result<String> {
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let document = json!({"findings": findings, "ok": count(State::Ok), "degraded": count(State::Degraded), "failed": count(State::Failed)});
    Ok(format!("{}\n", serde_json::to_string_pretty(&document)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> [Finding; 2] {
        [
            Finding::ok("cgroup", "v2"),
            Finding::failed("api: list pods", "refused", "apply this:\nrules:"),
        ]
    }

    #[test]
    fn lines_of_a_fix_stand_below_each_other() {
        let text = table(&findings(), false);
        assert_eq!(
            text,
            "ok        cgroup          v2\n\
             FAILED    api: list pods  refused\n                          fix: apply this:\n                          rules:\n\
             \n1 ok, 0 degraded, 1 failed\n"
        );
    }

    #[test]
    fn colours_only_when_asked_for() {
        assert!(
            table(&findings(), true).contains("\u{1b}[")
                && !table(&findings(), false).contains('\u{1b}')
        );
    }

    #[test]
    fn json_has_a_fix_only_where_there_is_one() {
        let document: serde_json::Value =
            serde_json::from_str(&json(&findings()).unwrap()).unwrap();
        assert_eq!(document["findings"][0], json!({"what": "cgroup", "state": "ok", "says": "v2"}));
        assert_eq!(document["findings"][1]["state"], "failed");
        assert_eq!(document["failed"], 1);
    }
}
