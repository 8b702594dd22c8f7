//! Clients that speak HTTP/1 in raw bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::running::LIMIT;

/// A request for `a.test` without headers of its own.
pub(crate) fn request(method: &str, target: &str) -> String {
    with(method, target, "")
}

/// A request for `a.test` with these headers, each with its end of line.
pub(crate) fn with(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\n{headers}\r\n")
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// As lines.
    pub(crate) trailers: String,
}

impl Answer {
    fn new(head: String) -> Self {
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not an answer: {head}"));
        Self { status, head, body: Vec::new(), trailers: String::new() }
    }

    /// From all bytes of a connection.
    pub(crate) fn whole(bytes: &[u8]) -> Option<Self> {
        let end = end(bytes)?;
        let mut answer = Self::new(String::from_utf8_lossy(&bytes[..end]).into_owned());
        answer.body = bytes[end..].to_vec();
        Some(answer)
    }

    /// The one value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = fields.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        assert_eq!(values.next(), None, "{name} is there twice: {}", self.head);
        Some(value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Status, and why the proxy answered itself.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status, self.header("podmeter-reason").unwrap_or("a pod answered"))
    }
}

/// A client's connection.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    rest: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, rest: Vec::new() }
    }

    /// A server that refuses may close while the client still sends; what it said is there to be read.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush());
    }

    /// Sends these bytes and reads one answer.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request);
        self.answer()
    }

    /// The next answer with its body, 1xx left out.
    pub(crate) fn answer(&mut self) -> Answer {
        loop {
            let answer = self.head();
            if answer.status >= 200 || answer.status == 101 {
                return self.with_body(answer);
            }
        }
    }

    /// The next answer's head alone.
    pub(crate) fn head(&mut self) -> Answer {
        let end = loop {
            match end(&self.rest) {
                Some(end) => break end,
                None => self.more(),
            }
        };
        Answer::new(String::from_utf8(self.rest.drain(..end).collect()).unwrap())
    }

    /// Reads the body that follows a head.
    pub(crate) fn with_body(&mut self, mut answer: Answer) -> Answer {
        if matches!(answer.status, 101 | 204 | 304) {
            return answer;
        }
        if let Some(length) = answer.header("content-length") {
            answer.body = self.take(length.parse().unwrap());
        } else if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.line();
                let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
                if size == 0 {
                    break;
                }
                let chunk = self.take(size);
                answer.body.extend_from_slice(&chunk);
                assert_eq!(self.take(2), b"\r\n");
            }
            loop {
                match self.line().as_str() {
                    "\r\n" => break,
                    line => answer.trailers += line,
                }
            }
        } else {
            answer.body = self.ended();
        }
        answer
    }

    /// So many bytes.
    pub(crate) fn take(&mut self, bytes: usize) -> Vec<u8> {
        while self.rest.len() < bytes {
            self.more();
        }
        self.rest.drain(..bytes).collect()
    }

    /// For the other end of such a connection: whether a request came, which has no body.
    pub(crate) fn request_came(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        while end(&self.rest).is_none() {
            match self.stream.read(&mut buffer) {
                Ok(length @ 1..) => self.rest.extend_from_slice(&buffer[..length]),
                _ => return false,
            }
        }
        self.rest.clear();
        true
    }

    fn line(&mut self) -> String {
        let end = loop {
            match self.rest.windows(2).position(|two| two == b"\r\n") {
                Some(at) => break at + 2,
                None => self.more(),
            }
        };
        String::from_utf8(self.rest.drain(..end).collect()).unwrap()
    }

    /// What comes until the connection ends, in whatever way.
    pub(crate) fn ended(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.rest);
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return bytes,
                Ok(length) => bytes.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    panic!("not closed after {:?}", String::from_utf8_lossy(&bytes))
                }
                Err(_) => return bytes,
            }
        }
    }

    fn more(&mut self) {
        let mut buffer = [0; 16 << 10];
        let length = self.stream.read(&mut buffer).unwrap_or_else(|error| {
            panic!("{error} after {:?}", String::from_utf8_lossy(&self.rest))
        });
        assert!(length > 0, "closed after {:?}", String::from_utf8_lossy(&self.rest));
        self.rest.extend_from_slice(&buffer[..length]);
    }
}

/// Where a head ends.
pub(crate) fn end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}
