use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::*;

/// Every piece is one read of its own.
struct Pieces(Vec<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        if let Some(piece) = self.0.first_mut() {
            let length = piece.len().min(buffer.remaining());
            buffer.put_slice(&piece[..length]);
            piece.drain(..length);
            if piece.is_empty() {
                self.0.remove(0);
            }
        }
        std::task::Poll::Ready(Ok(()))
    }
}

/// Runs what never waits for anything but its own bytes.
fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn pieces(bytes: &[u8], size: usize) -> Pieces {
    Pieces(bytes.chunks(size).map(<[u8]>::to_vec).collect())
}

/// All that a reader of the connection gets after the header.
fn after(mut io: Pieces) -> Result<(Option<SocketAddr>, Vec<u8>), Refusal> {
    block_on(async {
        let preamble = read(&mut io).await?;
        let mut rest = Vec::new();
        Rewound::new(io, preamble.rest).read_to_end(&mut rest).await.unwrap();
        Ok((preamble.source, rest))
    })
}

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut header = V2.to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    header.extend(body);
    header
}

fn v2_ipv4(source: [u8; 4], port: u16) -> Vec<u8> {
    let mut body = source.to_vec();
    body.extend([10, 0, 0, 1]);
    body.extend(port.to_be_bytes());
    body.extend(443u16.to_be_bytes());
    v2(0x21, 0x11, &body)
}

fn check(header: &[u8], expected: Result<Option<&str>, ()>) {
    const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\r\n\x00";
    let bytes = [header, HELLO].concat();
    for size in [1, 2, 7, 100, bytes.len()] {
        let got = after(pieces(&bytes, size));
        match expected {
            Ok(source) => {
                let source = source.map(|source| source.parse().unwrap());
                assert_eq!(got, Ok((source, HELLO.to_vec())), "{header:?} by {size}");
            }
            Err(()) => assert_eq!(got, Err(Refusal::ProxyProtocol), "{header:?} by {size}"),
        }
    }
}

#[test]
fn text_header_names_the_client() {
    check(b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n", Ok(Some("192.0.2.1:56324")));
    check(b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", Ok(Some("[2001:db8::1]:56324")));
    check(b"PROXY TCP6 ::ffff:192.0.2.1 ::1 5 443\r\n", Ok(Some("192.0.2.1:5")));
    check(b"PROXY TCP4 0.0.0.0 10.0.0.1 1 443\r\n", Ok(None));
    check(b"PROXY UNKNOWN\r\n", Ok(None));
    check(b"PROXY UNKNOWN ffff::1 whatever 1 2 3 4 5 +6\r\n", Ok(None));
}

#[test]
fn malformed_text_header_is_refused() {
    for line in [
        &b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\n"[..],
        b"PROXY TCP4 192.0.2.1 10.0.0.1 56324\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 443 \r\n",
        b"PROXY TCP4 192.0.2.1  10.0.0.1 56324 443\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 +5 443\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 65536 443\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 56324 443\r\n",
        b"PROXY TCP4 192.0.2.1\r10.0.0.1 56324 443\r\n",
        b"PROXY UDP4 192.0.2.1 10.0.0.1 56324 443\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY UNKNOWN\r \r\n",
        b"PROXY UNKNOWN\n",
        b"PROXY\r\n",
        b"proxy TCP4 192.0.2.1 10.0.0.1 56324 443\r\n",
        b"PROXY TCP4 \xff\xff 10.0.0.1 56324 443\r\n",
    ] {
        check(line, Err(()));
    }
    let long = [&b"PROXY UNKNOWN "[..], &[b'x'; V1_MOST], b"\r\n"].concat();
    check(&long, Err(()));
    let longest = [&b"PROXY UNKNOWN "[..], &[b'x'; V1_MOST - 16], b"\r\n"].concat();
    assert_eq!(longest.len(), V1_MOST);
    check(&longest, Ok(None));
}

#[test]
fn binary_header_names_the_client() {
    check(&v2_ipv4([192, 0, 2, 1], 56324), Ok(Some("192.0.2.1:56324")));
    let mut body: Vec<u8> = "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets().to_vec();
    body.extend([0; 16]);
    body.extend([0, 5, 1, 187]);
    check(&v2(0x21, 0x21, &body), Ok(Some("[2001:db8::1]:5")));
    // Additions, here of 1,500 bytes, are passed over.
    body.extend([4, 5, 220]);
    body.extend([0; 1500]);
    check(&v2(0x21, 0x21, &body), Ok(Some("[2001:db8::1]:5")));
}

#[test]
fn binary_header_without_an_address_keeps_the_peers() {
    check(&v2(0x20, 0x00, b""), Ok(None));
    check(&v2(0x20, 0xff, b"whatever"), Ok(None));
    check(&v2(0x21, 0x00, b"additions"), Ok(None));
    check(&v2(0x21, 0x31, &[0; 216]), Ok(None));
}

#[test]
fn malformed_binary_header_is_refused() {
    check(&v2(0x21, 0x11, &[0; 11]), Err(()));
    check(&v2(0x21, 0x21, &[0; 35]), Err(()));
    check(&v2(0x11, 0x11, &[1; 12]), Err(()));
    check(&v2(0x22, 0x11, &[1; 12]), Err(()));
    check(&v2(0x21, 0x41, &[1; 12]), Err(()));
    // A datagram's.
    check(&v2(0x21, 0x12, &[1; 12]), Err(()));
    check(&v2(0x21, 0x00, &[0; V2_MOST + 1]), Err(()));
    check(&v2(0x21, 0x00, &[0; V2_MOST]), Ok(None));
}

#[test]
fn first_byte_of_anything_else_is_the_last_that_is_read() {
    for first in [&b"\x16\x03\x01"[..], b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n", b"\n"] {
        let mut io = pieces(first, 1);
        let until = first.iter().zip(V1).take_while(|(a, b)| a == b).count();
        assert_eq!(block_on(read(&mut io)), Err(Refusal::ProxyProtocol));
        assert_eq!(io.0.len(), first.len() - until - 1, "{first:?}");
    }
}

#[test]
fn end_within_the_header_is_a_refusal() {
    let header = v2_ipv4([192, 0, 2, 1], 1);
    for end in 0..header.len() {
        assert_eq!(after(pieces(&header[..end], 5)), Err(Refusal::ProxyProtocol), "{end}");
    }
}

#[test]
fn rewound_connection_writes_through_and_reads_on() {
    block_on(async {
        let (mut far, near) = tokio::io::duplex(64);
        let mut near = Rewound::new(near, Bytes::from_static(b"abc"));
        assert!(near.is_write_vectored());
        far.write_all(b"def").await.unwrap();
        let mut read = [0; 6];
        near.read_exact(&mut read[..2]).await.unwrap();
        near.read_exact(&mut read[2..]).await.unwrap();
        assert_eq!(&read, b"abcdef");
        let slices = [io::IoSlice::new(b"12"), io::IoSlice::new(b"34")];
        assert_eq!(near.write_vectored(&slices).await.unwrap(), 4);
        near.shutdown().await.unwrap();
        let mut sent = Vec::new();
        far.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent, b"1234");
    });
}

proptest! {
    #[test]
    fn any_client_comes_back_in_both_versions(ip: Ipv4Addr, port: u16, size in 1..60usize) {
        prop_assume!(!ip.is_unspecified());
        let expected = Some(SocketAddr::from((ip, port)));
        let text = format!("PROXY TCP4 {ip} 10.0.0.1 {port} 443\r\nrest");
        prop_assert_eq!(after(pieces(text.as_bytes(), size)), Ok((expected, b"rest".to_vec())));
        let binary = [&v2_ipv4(ip.octets(), port)[..], b"rest"].concat();
        prop_assert_eq!(after(pieces(&binary, size)), Ok((expected, b"rest".to_vec())));
    }

    #[test]
    fn how_the_bytes_arrive_changes_nothing(
        start in prop_oneof![Just(V1.to_vec()), Just(V1_UNKNOWN.to_vec()), Just(V2.to_vec()), Just(Vec::new())],
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        size in 1..50usize,
    ) {
        let bytes = [start, bytes].concat();
        let whole = after(pieces(&bytes, bytes.len().max(1)));
        prop_assert_eq!(after(pieces(&bytes, size)), whole.clone());
        if let Ok((_, rest)) = whole {
            prop_assert!(bytes.ends_with(&rest));
        }
    }

    #[test]
    fn more_bytes_never_change_a_verdict(
        start in prop_oneof![Just(V1.to_vec()), Just(V2.to_vec())],
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = [start, bytes].concat();
        let mut verdict = None;
        for end in 0..=bytes.len() {
            let now = parse(&bytes[..end]);
            if let Some(earlier) = verdict {
                prop_assert_eq!(now, earlier);
            } else if let Ok(Parsed::Part(needed)) = now {
                prop_assert!(needed > end && needed <= V2_FIXED + V2_MOST);
            } else {
                verdict = Some(now);
            }
        }
    }
}
