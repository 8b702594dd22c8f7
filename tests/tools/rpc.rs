//! gRPC by its own library on both sides: calls of all four kinds, trailers, statuses, deadlines and cancellations.

use std::time::Duration;

use serde_json::{Value, json};

use crate::program::{Server, run};
use crate::proxy::Settings;
use crate::{Case, Shown, python};

pub(crate) const CASES: &[Case] =
    &[("grpc_over_plain_http2", || calls(false)), ("grpc_over_tls", || calls(true))];

fn calls(is_tls: bool) -> Shown {
    let folder = tempfile::tempdir().unwrap();
    let mut command = python::program("rpc.py")?;
    let server = Server::start(command.arg("serve"), folder.path().join("server.log"));
    let address = python::listening(&server);
    let proxy = Settings { service: "protocol: h2c", is_tls, ..Settings::to(address) }.start()?;
    let ask = |arguments: &[String]| -> Result<Value, String> {
        let mut command = python::program("rpc.py")?;
        let said = run(command.args(arguments), Duration::from_secs(120)).text();
        Ok(serde_json::from_str(&said).unwrap())
    };
    // The calls themselves are right: they succeed without the proxy.
    assert_eq!(ask(&[address.to_string()])?, json!({}), "without the proxy");
    let through = if is_tls {
        [proxy.secure().to_string(), proxy.certificate().display().to_string()].to_vec()
    } else {
        vec![proxy.plain.to_string()]
    };
    assert_eq!(ask(&through)?, json!({}), "through the proxy");
    Ok(())
}
