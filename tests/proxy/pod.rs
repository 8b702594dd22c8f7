//! Pods that behave as a test needs it: raw bytes over TCP, in threads that end with the process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use crate::client::end;
use crate::running::until;

/// A pod.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

/// What it saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Whole ones.
    pub(crate) requests: Vec<Received>,
    /// Connections that were made to it.
    pub(crate) connections: usize,
    /// Of these, the ones that have ended.
    pub(crate) closed: usize,
}

/// A whole request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// As lines.
    pub(crate) trailers: String,
}

/// One connection to it.
pub(crate) struct Link {
    pub(crate) stream: TcpStream,
    rest: Vec<u8>,
    seen: Arc<Mutex<Seen>>,
}

impl Pod {
    /// Does this with each of its connections, which end with it.
    pub(crate) fn new(serve: impl Fn(&mut Link) + Send + Sync + 'static) -> Self {
        Self::listening(TcpListener::bind("127.0.0.1:0").unwrap(), serve)
    }

    fn listening(listener: TcpListener, serve: impl Fn(&mut Link) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (of_links, serve) = (seen.clone(), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, serve) = (of_links.clone(), serve.clone());
                seen.lock().unwrap().connections += 1;
                let _ = stream.set_nodelay(true);
                thread::spawn(move || {
                    serve(&mut Link { stream, rest: Vec::new(), seen: seen.clone() });
                    seen.lock().unwrap().closed += 1;
                });
            }
        });
        Self { address, seen }
    }

    /// Answers every request with these bytes.
    pub(crate) fn saying(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        Self::new(move |link| {
            while link.read().is_some() {
                link.say(&answer);
            }
        })
    }

    /// Answers every request with this body.
    pub(crate) fn named(name: &str) -> Self {
        Self::saying(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len()))
    }

    /// Answers the first request of each connection with these bytes, and closes it.
    pub(crate) fn once(answer: &'static str) -> Self {
        Self::new(move |link| {
            if link.read().is_some() {
                link.say(answer);
            }
        })
    }

    /// Nobody listens there.
    pub(crate) fn refusing() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { address, seen: Arc::default() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// How many whole requests came.
    pub(crate) fn requests(&self) -> usize {
        self.seen().requests.len()
    }

    /// The last request.
    pub(crate) fn last(&self) -> Received {
        self.seen().requests.last().cloned().expect("a request")
    }

    /// Waits until so many of its connections have ended.
    pub(crate) fn closed(&self, connections: usize) {
        until("the end of connections to a pod", || {
            (self.seen().closed >= connections).then_some(())
        });
    }
}

impl Received {
    /// The one value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().filter_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        });
        let value = values.next();
        assert_eq!(values.next(), None, "{name} is there twice: {}", self.head);
        value
    }

    /// Method and target.
    pub(crate) fn asked(&self) -> &str {
        let line = self.head.lines().next().unwrap_or_default();
        line.strip_suffix(" HTTP/1.1").unwrap_or(line)
    }
}

impl Link {
    /// The next request, whole; `None` when the connection ends before.
    pub(crate) fn read(&mut self) -> Option<Received> {
        let head = self.head()?;
        let mut received = Received { head, ..Received::default() };
        if let Some(length) = received.header("content-length") {
            let length = length.parse().unwrap();
            received.body = self.take(length)?;
        } else if received.header("transfer-encoding").is_some() {
            while let size @ 1.. = usize::from_str_radix(self.line()?.trim_end(), 16).unwrap() {
                received.body.extend(self.take(size)?);
                self.take(2)?;
            }
            loop {
                match self.line()?.as_str() {
                    "\r\n" => break,
                    line => received.trailers += line,
                }
            }
        }
        self.seen.lock().unwrap().requests.push(received.clone());
        Some(received)
    }

    /// The next request's head alone.
    pub(crate) fn head(&mut self) -> Option<String> {
        while end(&self.rest).is_none() {
            self.more()?;
        }
        let end = end(&self.rest)?;
        Some(String::from_utf8_lossy(&self.rest.drain(..end).collect::<Vec<_>>()).into_owned())
    }

    /// So many bytes.
    pub(crate) fn take(&mut self, bytes: usize) -> Option<Vec<u8>> {
        while self.rest.len() < bytes {
            self.more()?;
        }
        Some(self.rest.drain(..bytes).collect())
    }

    /// Whatever comes next; `None` at the end.
    pub(crate) fn some(&mut self) -> Option<Vec<u8>> {
        if self.rest.is_empty() {
            self.more()?;
        }
        Some(std::mem::take(&mut self.rest))
    }

    /// Waits until the other end closes.
    pub(crate) fn wait_for_end(&mut self) {
        while self.some().is_some() {}
    }

    /// False when the other end is gone.
    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(text.as_ref()).is_ok()
    }

    /// The next line, with its end.
    pub(crate) fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.rest.windows(2).position(|two| two == b"\r\n") {
                return String::from_utf8(self.rest.drain(..at + 2).collect()).ok();
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 16 << 10];
        let length = self.stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        self.rest.extend_from_slice(&buffer[..length]);
        Some(())
    }
}
