//! The same bytes through nginx, haproxy and podmeter, to the same backend: the same status and body, but for what is
//! listed with its reason. How a body is framed and the headers of a connection are each proxy's own.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::haproxy::Haproxy;
use crate::nginx::Nginx;
use crate::proxy::Settings;
use crate::{Case, Shown};

#[path = "reference/requests.rs"]
mod requests;

use requests::REQUESTS;

pub(crate) const CASES: &[Case] = &[("nginx_haproxy_and_podmeter_answer_alike", all_answer_alike)];

/// What the three make of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// Status and body are the same for all.
    Same,
    /// Only the statuses are, and why.
    DifferInBody(&'static str),
    /// The statuses of nginx, haproxy and podmeter, and why podmeter's is right. `none` is for no answer.
    Differ([&'static str; 3], &'static str),
}

impl Expected {
    fn told(self) -> String {
        match self {
            Self::Same => "the same".to_owned(),
            Self::DifferInBody(why) => format!("the same but for the body: {why}"),
            Self::Differ(statuses, why) => format!("{statuses:?}: {why}"),
        }
    }
}

/// Name, bytes, and what comes of them.
pub(crate) type Request = (&'static str, &'static str, Expected);

/// A status and a body.
type Answer = (String, Vec<u8>);

fn all_answer_alike() -> Shown {
    let nginx = Nginx::site("")?;
    let fronts = [
        Nginx::before(nginx.address)?.into_front(),
        Haproxy::before(nginx.address, "http", "")?.into_front(),
        Settings::to(nginx.address).start()?.into_front(),
    ];
    let mut wrong = Vec::new();
    for (name, text, expected) in REQUESTS {
        let answers = fronts.each_ref().map(|front| ask(front.address, text.as_bytes()));
        let statuses = answers.each_ref().map(|answers| statuses(answers));
        let is_right = match expected {
            Expected::Same => {
                let [by_nginx, by_haproxy, by_podmeter] = &answers;
                by_podmeter == by_nginx && by_podmeter == by_haproxy && !by_podmeter.is_empty()
            }
            Expected::DifferInBody(_) => {
                statuses[2] == statuses[0] && statuses[2] == statuses[1] && answers[2] != answers[0]
            }
            Expected::Differ(wanted, _) => statuses.each_ref().map(String::as_str) == *wanted,
        };
        if !is_right {
            let bodies = answers.map(|answers| {
                let bodies = answers.iter().map(|(_, body)| String::from_utf8_lossy(body));
                bodies.filter(|body| body.len() < 200).map(String::from).collect::<Vec<_>>()
            });
            wrong.push(format!("{name}: {statuses:?}, wanted {}: {bodies:?}", expected.told()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// Something in front of the backend, kept running.
pub(crate) struct Front {
    address: SocketAddr,
    _kept: Box<dyn std::any::Any>,
}

trait IntoFront: Sized + 'static {
    fn address(&self) -> SocketAddr;

    fn into_front(self) -> Front {
        Front { address: self.address(), _kept: Box::new(self) }
    }
}

impl IntoFront for Nginx {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

impl IntoFront for Haproxy {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

impl IntoFront for crate::proxy::Proxy {
    fn address(&self) -> SocketAddr {
        self.plain
    }
}

fn statuses(answers: &[Answer]) -> String {
    let statuses: Vec<_> = answers.iter().map(|(status, _)| status.as_str()).collect();
    if statuses.is_empty() { "none".to_owned() } else { statuses.join(" ") }
}

/// Sends the bytes on a connection of their own and reads all answers.
fn ask(address: SocketAddr, bytes: &[u8]) -> Vec<Answer> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // Who refuses early may close before all is sent.
    let _ = stream.write_all(bytes);
    let mut got = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    // The last request of each case asks for the end of the connection; where that is not understood, a pause of the
    // answer is its end.
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(length) => got.extend_from_slice(&buffer[..length]),
        }
        stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    }
    let _ = stream.shutdown(Shutdown::Both);
    parse(&got, bytes.starts_with(b"HEAD "))
}

fn parse(mut got: &[u8], is_head: bool) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Some(end) = find(got, b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&got[..end]).to_ascii_lowercase();
        got = &got[end + 4..];
        let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let (body, rest) = body(&head, got, is_head || status == "304" || status == "204");
        got = rest;
        // Whoever comes first makes the file, and the others change it.
        let status = if status == "201" { "204".to_owned() } else { status };
        // A proxy may say or leave out that the client may go on.
        if status != "100" {
            // What a proxy says of a fault is its own.
            let is_own = matches!(status.as_str(), "400" | "405" | "414" | "431" | "501" | "505");
            answers.push((status, if is_own { Vec::new() } else { body }));
        }
    }
    answers
}

fn body<'a>(head: &str, got: &'a [u8], is_none: bool) -> (Vec<u8>, &'a [u8]) {
    let value =
        |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    if is_none || head.starts_with("http/1.1 100") {
        (Vec::new(), got)
    } else if value("transfer-encoding").is_some() {
        chunks(got)
    } else if let Some(length) = value("content-length") {
        let length = length.trim().parse::<usize>().unwrap().min(got.len());
        (got[..length].to_vec(), &got[length..])
    } else {
        (got.to_vec(), &[])
    }
}

fn chunks(mut got: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut body = Vec::new();
    while let Some(end) = find(got, b"\r\n") {
        let size = std::str::from_utf8(&got[..end]).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        got = &got[end + 2..];
        if size == 0 {
            return (body, got.get(2..).unwrap_or_default());
        }
        body.extend_from_slice(&got[..size.min(got.len())]);
        got = got.get(size + 2..).unwrap_or_default();
    }
    (body, got)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|found| found == what)
}
