//! testssl and curl at the port for TLS: nothing old, nothing weak, none of the known holes.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::curl::Curl;
use crate::nginx::Nginx;
use crate::program::{ended, find};
use crate::proxy::{HOST, Settings};
use crate::{Case, Shown};

pub(crate) const CASES: &[Case] = &[
    ("testssl_finds_nothing_weak", finds_nothing_weak),
    ("curl_is_refused_with_old_tls", refused_with_old_tls),
];

/// What is known of old or badly configured servers.
const HOLES: [&str; 13] = [
    "heartbleed",
    "CCS",
    "ticketbleed",
    "ROBOT",
    "secure_client_renego",
    "CRIME_TLS",
    "POODLE_SSL",
    "SWEET32",
    "FREAK",
    "LOGJAM",
    "BEAST",
    "LUCKY13",
    "RC4",
];

/// Debian names it without the ending.
fn testssl() -> Result<Command, String> {
    find("testssl").or_else(|_| find("testssl.sh")).map(Command::new)
}

fn finds_nothing_weak() -> Shown {
    let nginx = Nginx::site("")?;
    let proxy = Settings { is_tls: true, ..Settings::to(nginx.address) }.start()?;
    let folder = tempfile::tempdir().unwrap();
    let mut command = testssl()?;
    // Protocols, kinds of ciphers, forward secrecy, holes; neither names nor anything else is looked up.
    command.args([
        "--quiet",
        "--color",
        "0",
        "--nodns",
        "none",
        "--warnings",
        "off",
        "--ip",
        "127.0.0.1",
    ]);
    command.args(["-p", "-s", "-f", "-U", "--jsonfile", "found.json"]);
    command.arg(format!("https://{HOST}:{}", proxy.secure().port())).current_dir(&folder);
    let (_, said) = ended(&mut command, Duration::from_secs(240));
    let text = std::fs::read_to_string(folder.path().join("found.json")).unwrap_or_default();
    let found: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {}", said.text()));
    let found = found.as_array().unwrap();
    let said = |id: &str| {
        let item = found.iter().find(|item| item["id"] == id);
        item.and_then(|item| item["finding"].as_str())
            .unwrap_or_else(|| panic!("nothing about {id}: {text}"))
    };
    let old = ["SSLv2", "SSLv3", "TLS1", "TLS1_1"];
    let weak = ["NULL", "aNULL", "EXPORT", "LOW", "3DES_IDEA", "AVERAGE"]
        .map(|kind| format!("cipherlist_{kind}"));
    for id in old.into_iter().chain(weak.iter().map(String::as_str)) {
        assert_eq!(said(id), "not offered", "{id}");
    }
    for id in ["TLS1_2", "cipherlist_STRONG", "PFS"] {
        assert_eq!(said(id), "offered", "{id}");
    }
    assert!(said("TLS1_3").starts_with("offered"), "{}", said("TLS1_3"));
    for hole in HOLES {
        assert!(said(hole).starts_with("not vulnerable"), "{hole}: {}", said(hole));
    }
    // BREACH is about what the backend compresses, and it does here.
    let bad = ["LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL"];
    let worse: Vec<_> = found
        .iter()
        .filter(|item| bad.iter().any(|bad| item["severity"] == *bad) && item["id"] != "BREACH")
        .collect();
    assert!(worse.is_empty(), "{worse:#?}");
    Ok(())
}

fn refused_with_old_tls() -> Shown {
    let nginx = Nginx::site("")?;
    let proxy = Settings { is_tls: true, ..Settings::to(nginx.address) }.start()?;
    // curl would refuse these itself with its usual level of security.
    let old = ["-k", "--ciphers", "DEFAULT@SECLEVEL=0", "--tls-max"];
    for version in ["1.0", "1.1"] {
        let answer = Curl::new(&["--tlsv1.0"])?
            .with(&old)
            .with(&[version])
            .get_secure(proxy.secure(), "/1k");
        assert_eq!(answer.exit, 35, "TLS {version}: {answer:?}");
    }
    for version in ["1.2", "1.3"] {
        let answer = Curl::new(&["--tlsv1.2"])?
            .with(&old)
            .with(&[version])
            .get_secure(proxy.secure(), "/1k");
        assert_eq!((answer.exit, answer.status.as_str()), (0, "200"), "TLS {version}");
    }
    proxy.has_refused("tls_handshake", 2.0);
    Ok(())
}
