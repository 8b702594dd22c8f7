//! A client that writes the frames of HTTP/2 itself (RFC 9113), for what no library would send.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::running::{LIMIT, Proxy};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `GET / HTTP/2` for `a.test`, from the static table of HPACK (RFC 7541).
pub(crate) const GET: &[u8] = b"\x82\x86\x84\x41\x06a.test";
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Its connection.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) fn connect(proxy: &Proxy) -> Self {
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(PREFACE).unwrap();
        let mut raw = Self(stream);
        raw.send(SETTINGS, 0, 0, b"");
        raw
    }

    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        let _ = self.0.write_all(&[&head, payload].concat());
    }

    /// The next frame of this kind, or the end.
    pub(crate) fn next(&mut self, wanted: u8) -> Option<(u32, Vec<u8>)> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).ok()?;
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            self.0.read_exact(&mut payload).ok()?;
            if head[3] == wanted {
                let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                return Some((stream, payload));
            }
        }
    }
}
