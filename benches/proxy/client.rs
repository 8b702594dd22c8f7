//! Our own client: one connection, plain or TLS, that asks for one page and checks each answer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::site::{HOST, Page};

/// Longest head of an answer.
const MAX_HEAD: usize = 16 << 10;
/// For a connection, a handshake and the first answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who is asked, and for what.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Whom.
    pub(crate) address: SocketAddr,
    /// Over TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// For what.
    pub(crate) page: Page,
}

/// Why an answer does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The connection broke, or what came over it is no HTTP.
    Connection,
    /// Not 200.
    Status,
    /// 200, of another length than the page's.
    Size,
}

impl Target {
    /// The request, with further header lines.
    pub(crate) fn request(&self, headers: &str) -> String {
        let port = self.address.port();
        format!("GET {} HTTP/1.1\r\nHost: {HOST}:{port}\r\n{headers}\r\n", self.page.path)
    }

    /// Asks once and compares every byte of the answer. Returns the cipher.
    pub(crate) fn check(&self) -> anyhow::Result<String> {
        let mut transport = self.connect()?;
        transport.write_all(self.request("Connection: close\r\n").as_bytes())?;
        let mut bytes = Vec::new();
        match transport.read_to_end(&mut bytes) {
            // Not everybody says good-bye within TLS.
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(error.into()),
            _ => {}
        }
        let end = end_of_head(&bytes).context("an answer without an end of its head")?;
        ensure!(length(&bytes[..end]) == Ok(self.page.size), "not 200 with its length");
        if bytes[end..] != self.page.body() {
            bail!("{} bytes that are not the page's {}", bytes.len() - end, self.page.size);
        }
        Ok(match &transport {
            Transport::Plain(_) => String::new(),
            Transport::Tls(stream) => stream
                .conn
                .negotiated_cipher_suite()
                .map(|suite| format!("{:?}", suite.suite()))
                .unwrap_or_default(),
        })
    }

    /// Bytes of one whole answer to a request with these header lines, its head included.
    pub(crate) fn length(&self, headers: &str) -> anyhow::Result<u64> {
        let mut transport = self.connect()?;
        transport.write_all(self.request(headers).as_bytes())?;
        let (mut answer, mut bytes, mut buffer) = (Answer::default(), 0, vec![0; 16 << 10]);
        loop {
            let read = transport.read(&mut buffer)?;
            ensure!(read > 0, "an answer that ends too early");
            bytes += read as u64;
            match answer.push(&buffer[..read], self.page.size) {
                Ok(true) => return Ok(bytes),
                Ok(false) => {}
                Err(flaw) => bail!("no good answer: {flaw:?}"),
            }
        }
    }

    fn connect(&self) -> anyhow::Result<Transport> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let Some(tls) = &self.tls else { return Ok(Transport::Plain(stream)) };
        let client = ClientConnection::new(Arc::clone(tls), HOST.try_into()?)?;
        let mut stream = StreamOwned::new(client, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Transport::Tls(Box::new(stream)))
    }
}

#[derive(Debug)]
enum Transport {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Transport {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// A kept connection. It never blocks once it is open.
#[derive(Debug)]
pub(crate) struct Connection {
    transport: Transport,
    request: Vec<u8>,
    answer: Answer,
    size: usize,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.transport.socket().as_fd()
    }
}

impl Connection {
    /// Connects and, for TLS, shakes hands.
    pub(crate) fn open(target: &Target) -> anyhow::Result<Self> {
        let transport = target.connect()?;
        transport.socket().set_nonblocking(true)?;
        let request = target.request("").into_bytes();
        Ok(Self { transport, request, answer: Answer::default(), size: target.page.size })
    }

    /// The same, and one answer over it.
    pub(crate) fn used(target: &Target, buffer: &mut [u8]) -> anyhow::Result<Self> {
        let mut connection = Self::open(target)?;
        let socket = connection.transport.socket();
        socket.set_nonblocking(false)?;
        connection.ask().ok().context("cannot ask")?;
        match connection.advance(buffer) {
            Ok(true) => {}
            other => bail!("no good answer to the first request: {other:?}"),
        }
        connection.transport.socket().set_nonblocking(true)?;
        Ok(connection)
    }

    /// Sends a request. It is smaller than any socket's buffer.
    pub(crate) fn ask(&mut self) -> Result<(), Flaw> {
        self.answer = Answer::default();
        self.transport.write_all(&self.request).map_err(|_| Flaw::Connection)?;
        self.transport.flush().map_err(|_| Flaw::Connection)
    }

    /// Reads what there is; `true` once the answer is whole.
    pub(crate) fn advance(&mut self, buffer: &mut [u8]) -> Result<bool, Flaw> {
        loop {
            match self.transport.read(buffer) {
                Ok(0) => return Err(Flaw::Connection),
                Ok(read) if self.answer.push(&buffer[..read], self.size)? => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Flaw::Connection),
            }
        }
    }
}

/// As much of an answer as has come.
#[derive(Debug, Default)]
struct Answer {
    head: Vec<u8>,
    /// Bytes of the body still to come, once the head is whole.
    left: Option<usize>,
}

impl Answer {
    fn push(&mut self, bytes: &[u8], size: usize) -> Result<bool, Flaw> {
        let body = if self.left.is_some() {
            bytes.len()
        } else {
            self.head.extend_from_slice(bytes);
            let Some(end) = end_of_head(&self.head) else {
                return if self.head.len() > MAX_HEAD { Err(Flaw::Connection) } else { Ok(false) };
            };
            if length(&self.head[..end])? != size {
                return Err(Flaw::Size);
            }
            self.left = Some(size);
            self.head.len() - end
        };
        // More than was told of would be read as the next answer.
        let left = self.left.unwrap_or_default().checked_sub(body).ok_or(Flaw::Size)?;
        self.left = Some(left);
        Ok(left == 0)
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// What the head of a good answer says of its body's length.
fn length(head: &[u8]) -> Result<usize, Flaw> {
    let text = std::str::from_utf8(head).map_err(|_| Flaw::Connection)?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    if !status.ok_or(Flaw::Connection)?.starts_with("200") {
        return Err(Flaw::Status);
    }
    lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .ok_or(Flaw::Size)
}
