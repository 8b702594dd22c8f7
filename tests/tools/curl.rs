//! curl, and what it tells of an answer.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::program::{ended, find};
use crate::proxy::HOST;

/// Far more than any transfer here takes.
pub(crate) const MOST: Duration = Duration::from_secs(60);

/// One transfer.
#[derive(Debug)]
pub(crate) struct Curl(Command);

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// `000` when there was none.
    pub(crate) status: String,
    /// As curl names it: `1`, `1.1` or `2`.
    pub(crate) version: String,
    /// Connections that were made for it.
    pub(crate) connections: u32,
    /// How long it took.
    pub(crate) seconds: f64,
    /// How curl ended: 0 is for all well.
    pub(crate) exit: i32,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// What came before the body, as it came.
    pub(crate) head: String,
}

impl Curl {
    /// A transfer with these arguments, nothing of the machine's settings, and no URL yet.
    pub(crate) fn new(arguments: &[&str]) -> Result<Self, String> {
        let mut command = Command::new(find("curl")?);
        command.args(["-q", "-s", "-S", "--noproxy", "*", "--path-as-is"]).args(arguments);
        Ok(Self(command))
    }

    /// One more argument.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.0.args(arguments);
        self
    }

    /// Gets a path of `http://ADDRESS`.
    pub(crate) fn get(self, address: SocketAddr, path: &str) -> Answer {
        self.url(&format!("http://{address}{path}"))
    }

    /// Gets a path of the host that the proxy has a certificate for.
    pub(crate) fn get_secure(self, address: SocketAddr, path: &str) -> Answer {
        let port = address.port();
        let resolve = format!("{HOST}:{port}:{}", address.ip());
        self.with(&["--resolve", &resolve]).url(&format!("https://{HOST}:{port}{path}"))
    }

    /// Runs it for this URL, after any that are among the arguments.
    pub(crate) fn url(mut self, url: &str) -> Answer {
        let folder = tempfile::tempdir().unwrap();
        let (body, head) = (folder.path().join("body"), folder.path().join("head"));
        self.0.args(["-w", "%{http_code} %{http_version} %{num_connects} %{time_total}", "-o"]);
        self.0.arg(&body).arg("-D").arg(&head).arg(url);
        let (exit, said) = ended(&mut self.0, MOST);
        let text = said.text();
        let mut words = text.split_whitespace();
        let mut word = || words.next().unwrap_or_default();
        Answer {
            status: word().to_owned(),
            version: word().to_owned(),
            connections: word().parse().unwrap_or_default(),
            seconds: word().parse().unwrap_or_default(),
            exit: exit.unwrap_or(-1),
            body: std::fs::read(body).unwrap_or_default(),
            head: std::fs::read_to_string(head).unwrap_or_default().to_ascii_lowercase(),
        }
    }
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Values of a header in the last head, in their order.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let head = self.head.trim_end().rsplit("\r\n\r\n").next().unwrap_or_default();
        let fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(key, _)| *key == name).map(|(_, value)| value.trim()).collect()
    }
}
