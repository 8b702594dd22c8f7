//! A client that keeps its connection, in plain HTTP/1.1 or over TLS.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Longest wait of a client that does not say otherwise.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where to, and how.
#[derive(Clone)]
pub(crate) struct Target {
    /// The proxy's socket.
    pub(crate) address: SocketAddr,
    /// What is asked for in `Host` and in the handshake.
    pub(crate) host: String,
    /// Whom to trust and what to show, for TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// The token to show.
    pub(crate) bearer: Option<String>,
    /// Longest wait for a connection, and for anything that is sent.
    pub(crate) patience: Duration,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: String,
}

/// Either kind of connection.
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A client with at most one connection.
pub(crate) struct Client {
    target: Target,
    stream: Option<BufReader<Stream>>,
    /// How many connections it made so far.
    pub(crate) connections: u32,
}

impl Answer {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// The pod that answered, as it says itself.
    pub(crate) fn pod(&self) -> &str {
        self.body.split_whitespace().next().unwrap_or_default()
    }
}

impl Target {
    /// Plain HTTP.
    pub(crate) fn plain(address: SocketAddr, host: &str) -> Self {
        Self { address, host: host.to_owned(), tls: None, bearer: None, patience: PATIENCE }
    }

    /// The same within TLS.
    pub(crate) fn within(self, tls: Arc<ClientConfig>) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// A client without a connection yet.
    pub(crate) fn client(&self) -> Client {
        Client { target: self.clone(), stream: None, connections: 0 }
    }

    /// One GET over a connection of its own.
    pub(crate) fn get(&self, path: &str) -> io::Result<Answer> {
        self.client().get(path)
    }
}

impl Client {
    /// Asks for a path.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.ask("GET", path, "")
    }

    /// Sends a request over the connection there is, or a new one, and reads the answer. A connection that the
    /// proxy closes without having said so is a failure.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        let (host, length) = (&self.target.host, body.len());
        let bearer = self.target.bearer.as_ref();
        let bearer =
            bearer.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{bearer}Content-Length: {length}\r\n\r\n{body}"
        );
        stream.get_mut().write_all(request.as_bytes())?;
        stream.get_mut().flush()?;
        let answer = read(&mut stream)?;
        if answer.header("connection") != Some("close") {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    /// Waits until the proxy closes the connection.
    pub(crate) fn closed(mut self) -> io::Result<()> {
        let mut stream = self.stream.take().ok_or_else(|| io::Error::other("no connection"))?;
        match stream.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(io::Error::other("something came that was not asked for")),
            Err(error) if is_timeout(&error) => Err(error),
            // Cut without a word is closed, too.
            Err(_) => Ok(()),
        }
    }

    /// The certificate that the proxy showed on the present connection.
    pub(crate) fn certificate(&self) -> Option<CertificateDer<'static>> {
        match self.stream.as_ref()?.get_ref() {
            Stream::Tls(stream) => Some(stream.conn.peer_certificates()?.first()?.clone()),
            Stream::Plain(_) => None,
        }
    }

    fn connect(&mut self) -> io::Result<BufReader<Stream>> {
        let stream = TcpStream::connect_timeout(&self.target.address, self.target.patience)?;
        stream.set_read_timeout(Some(self.target.patience))?;
        stream.set_nodelay(true)?;
        self.connections += 1;
        let Some(config) = &self.target.tls else {
            return Ok(BufReader::new(Stream::Plain(stream)));
        };
        let name = ServerName::try_from(self.target.host.clone()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        Ok(BufReader::new(Stream::Tls(Box::new(StreamOwned::new(connection, stream)))))
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn read(stream: &mut impl BufRead) -> io::Result<Answer> {
    let broken = |text: &str| io::Error::other(format!("no HTTP answer: {text:?}"));
    let first = line(stream)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| broken(&first))?;
    let mut answer = Answer { status, headers: Vec::new(), body: String::new() };
    loop {
        let header = line(stream)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or_else(|| broken(&header))?;
        answer.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let body = match answer.header("content-length") {
        Some(length) => exactly(stream, length.parse().map_err(|_| broken(length))?)?,
        None => chunks(stream)?,
    };
    answer.body = String::from_utf8_lossy(&body).into_owned();
    Ok(answer)
}

/// A line without its end; an end of the connection before it is an error.
fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(text) => Ok(text.to_owned()),
        None => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("the connection ended behind {line:?}"),
        )),
    }
}

fn exactly(stream: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(stream)?;
        let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
        body.extend(exactly(stream, size)?);
        line(stream)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
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
