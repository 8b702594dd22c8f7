//! Pods that behave as a test needs it: raw bytes over TCP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A pod; its threads end with the process.
pub(super) struct Pod {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    heads: Vec<String>,
    bodies: Vec<String>,
    connections: usize,
}

impl Pod {
    /// Answers every request with these bytes.
    pub(super) fn answering(answer: &'static str) -> Self {
        Self::serve(move |stream, seen| {
            while let Some((head, body)) = read(stream) {
                let mut seen = seen.lock().unwrap();
                seen.heads.push(head);
                seen.bodies.push(body);
                drop(seen);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        })
    }

    /// Answers the first request of each connection with these bytes, and closes it.
    pub(super) fn answering_once(answer: &'static str) -> Self {
        Self::serve(move |stream, seen| {
            if let Some((head, _)) = read(stream) {
                seen.lock().unwrap().heads.push(head);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        })
    }

    /// Agrees to become something else, and says everything again.
    pub(super) fn upgrading() -> Self {
        Self::serve(|stream, _| {
            let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
            if read(stream).is_some() {
                stream.write_all(answer.as_bytes()).unwrap();
                let mut buffer = [0; 1024];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    stream.write_all(&buffer[..length]).unwrap();
                }
            }
        })
    }

    /// Nobody listens.
    pub(super) fn refusing() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { address, seen: Arc::default() }
    }

    fn serve(serve: impl Fn(&mut TcpStream, &Mutex<Seen>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (kept, serve) = (seen.clone(), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, serve, mut stream) = (kept.clone(), serve.clone(), stream.unwrap());
                seen.lock().unwrap().connections += 1;
                thread::spawn(move || serve(&mut stream, &seen));
            }
        });
        Self { address, seen }
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.seen.lock().unwrap().heads.clone()
    }

    pub(super) fn bodies(&self) -> Vec<String> {
        self.seen.lock().unwrap().bodies.clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }
}

/// A request: its head, and its body put together.
fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut more = |bytes: &mut Vec<u8>| {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&buffer[..length]);
        Some(())
    };
    let end = loop {
        match bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            Some(at) => break at + 4,
            None => more(&mut bytes)?,
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut rest = bytes.split_off(end);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    if let Some(length) = length {
        let length: usize = length.parse().unwrap();
        while rest.len() < length {
            more(&mut rest)?;
        }
        return Some((head, String::from_utf8(rest).unwrap()));
    }
    if head.contains("transfer-encoding: chunked") {
        while !rest.ends_with(b"0\r\n\r\n") {
            more(&mut rest)?;
        }
        let text = String::from_utf8(rest).unwrap();
        let body = text.split("\r\n").skip(1).step_by(2).collect();
        return Some((head, body));
    }
    Some((head, String::new()))
}
