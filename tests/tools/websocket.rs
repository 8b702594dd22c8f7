//! WebSocket through the proxy: what comes back is what the server itself answers, for right and wrong frames alike.

use std::time::Duration;

use serde_json::Value;

use crate::program::{Server, run};
use crate::proxy::{Settings, sum};
use crate::{Case, Shown, python};

pub(crate) const CASES: &[Case] = &[("websocket_is_as_without_the_proxy", as_without_the_proxy)];

fn as_without_the_proxy() -> Shown {
    let folder = tempfile::tempdir().unwrap();
    let mut command = python::program("websocket.py")?;
    let server = Server::start(command.arg("serve"), folder.path().join("server.log"));
    let address = python::listening(&server);
    let proxy = Settings::to(address).start()?;
    let mut command = python::program("websocket.py")?;
    command.args([address.to_string(), proxy.plain.to_string()]);
    let said = run(&mut command, Duration::from_secs(120)).text();
    let said: Value = serde_json::from_str(&said).unwrap();
    let cases = said["cases"].as_f64().unwrap();
    assert!(cases > 100.0, "{cases} cases");
    assert_eq!(said["differ"], Value::Array(Vec::new()), "{said:#}");
    assert_eq!(said["many"], Value::Array(Vec::new()), "{said:#}");
    assert_eq!(said["handshakes"][0], said["handshakes"][1]);
    assert_eq!(said["handshakes"][0][0][1], true, "{said:#}");
    // Each is one request that was answered by switching protocols, and none is left.
    let handshakes = 4.0;
    let connections = 50.0;
    let switched = proxy.answered(&[("http_response_status_code", "101")]);
    assert_eq!(switched, cases + handshakes + connections);
    assert_eq!(sum(&proxy.page(), "podmeter_proxy_refused_total", &[]), 0.0);
    Ok(())
}
