//! For tests: the guard's rules read a second time and another way, and bytes to compare the two readings on.

use proptest::prelude::*;
use regex::bytes::Regex;

use super::http1::Limits;

/// How many requests the bytes are, exactly, if they are; found with regular expressions on the whole of them.
pub(super) fn requests(limits: Limits, bytes: &[u8]) -> Option<u64> {
    const HEAD: &str = concat!(
        r"(?-u)^(?:\r\n)?([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/1\.([01])\r\n",
        r"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*)\r\n"
    );
    let head = Regex::new(HEAD).unwrap();
    let length = Regex::new(r"(?i-u)^content[-_]length: *(0|[1-9][0-9]*) *$").unwrap();
    let coding = Regex::new(r"(?i-u)^transfer[-_]encoding: *chunked *$").unwrap();
    let framing = Regex::new(r"(?i-u)^(content[-_]length|transfer[-_]encoding):").unwrap();
    let mut rest = bytes;
    let mut requests = 0;
    while !matches!(rest, b"" | b"\r\n") {
        let found = head.captures(rest)?;
        let target = std::str::from_utf8(&found[2]).unwrap();
        let fields: Vec<_> = found[4].split(|byte| *byte == b'\n').collect();
        let fields: Vec<_> = fields.iter().filter_map(|line| line.strip_suffix(b"\r")).collect();
        let named = |name: &str| {
            let is = |line: &&&[u8]| {
                line.split(|byte| *byte == b':')
                    .next()
                    .unwrap()
                    .eq_ignore_ascii_case(name.as_bytes())
            };
            fields.iter().filter(is).count()
        };
        let framing: Vec<_> = fields.iter().filter(|line| framing.is_match(line)).collect();
        let is_old = &found[3] == b"0";
        if !is_target(&found[1], target)
            || named("upgrade") > 0
            || framing.len() > 1
            || framing.iter().any(|line| line.contains(&b'_'))
            || named("host") > 1
            || (named("host") == 0 && !is_old)
            || found[0].strip_prefix(b"\r\n").unwrap_or(&found[0]).len() > limits.head_bytes
            || fields.len() > limits.headers
            || target.len() > limits.target_bytes
        {
            return None;
        }
        rest = &rest[found[0].len()..];
        if let Some(line) = framing.first() {
            if let Some(length) = length.captures(line) {
                let digits = std::str::from_utf8(&length[1]).unwrap();
                rest = rest.get(usize::try_from(digits.parse::<i64>().ok()?).unwrap()..)?;
            } else if coding.is_match(line) && !is_old {
                rest = behind_chunks(rest)?;
            } else {
                return None;
            }
        }
        requests += 1;
    }
    Some(requests)
}

fn is_target(method: &[u8], target: &str) -> bool {
    let authority = r"(?:[a-z0-9._-]+|\[[0-9a-f:.]*\])(?::[0-9]{1,5})?";
    let form = match method {
        b"CONNECT" => format!("(?i-u)^{authority}$"),
        _ => format!(r"(?i-u)^(?:/.*|\*|https?://{authority}(?:/.*)?)$"),
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Regex::new(&form).unwrap().is_match(target.as_bytes())
        && !target.contains(['#', '<', '>'])
        && !path.contains('`')
        && !query.contains('"')
}

fn behind_chunks(mut rest: &[u8]) -> Option<&[u8]> {
    const SIZE: &str = concat!(
        r"(?-u)^([0-7][0-9a-fA-F]{15}|[0-9a-fA-F]{1,15})((?:;[!#$%&'*+.^_`|~0-9A-Za-z-]+",
        r#"(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*)\r\n"#
    );
    const TRAILERS: &str = r"(?-u)^((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*)\r\n";
    let size = Regex::new(SIZE).unwrap();
    loop {
        let found = size.captures(rest)?;
        rest = &rest[found[0].len()..];
        let bytes = u64::from_str_radix(std::str::from_utf8(&found[1]).unwrap(), 16).unwrap();
        if bytes == 0 {
            break;
        }
        let data = rest.get(..usize::try_from(bytes).unwrap())?;
        rest = rest[data.len()..].strip_prefix(b"\r\n")?;
    }
    let found = Regex::new(TRAILERS).unwrap().captures(rest)?;
    let forbidden = Regex::new(r"(?i-u)(^|\n)(host|cookie|content[-_]length):").unwrap();
    (!forbidden.is_match(&found[1])).then(|| &rest[found[0].len()..])
}

/// Pieces of which requests are made, honest and not.
const PIECES: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\n",
    b"POST /a?b HTTP/1.1\r\n",
    b"GET / HTTP/1.0\r\n",
    b"Host: a\r\n",
    b"Host: a\r\n\r\n",
    b"X: y\r\n",
    b"Upgrade: x\r\n",
    b"Content-Length: 3\r\n",
    b"content_length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n",
    b"abc",
    b"3\r\nabc\r\n",
    b"0\r\n",
    b"0\r\n\r\n",
    b"1;a=\"b\\\"\";c\r\nx\r\n",
    b"Cookie: a\r\n",
    b" ",
    b"\t",
    b"\n",
    b"\r",
    b":",
    b"`",
    b"\"",
    b"\0",
    b"\x0b",
    b"\xff",
    b",",
    b"#",
    b"?",
    b"GET ",
    b"CONNECT ",
    b"http://a",
    b"https://[::1]:80/",
    b" a:443 HTTP/1.1\r\n",
    b"*",
    b"/",
];

fn piece() -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::select(PIECES).prop_map(<[u8]>::to_vec)
}

/// Requests that are honest.
pub(super) fn honest() -> impl Strategy<Value = Vec<u8>> {
    let fields = proptest::collection::vec("[a-zA-Z][a-z_-]{0,30}:[ \t]?[ -~]{0,20}", 0..4)
        .prop_map(|mut fields| {
            let matters = |field: &String| {
                let name = field.split(':').next().unwrap_or_default().replace('_', "-");
                ["content-length", "transfer-encoding", "host", "upgrade", "connection", "expect"]
                    .contains(&name.to_ascii_lowercase().as_str())
            };
            fields.retain(|field| !matters(field));
            fields
        });
    let body = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..4);
    ("[A-Z]{1,8}", "/[a-z0-9%/?&=.-]{0,40}", fields, body, 0..3).prop_map(
        |(method, target, fields, chunks, framing)| {
            // What hyper does with these methods is another matter.
            let method = if method == "CONNECT" { "GET" } else { &method };
            let mut request = format!("{method} {target} HTTP/1.1\r\nHost: a.example\r\n");
            for field in fields {
                request.extend([&field, "\r\n"]);
            }
            match framing {
                0 => (request + "\r\n").into_bytes(),
                1 => {
                    let body = chunks.concat();
                    let head = format!("{request}Content-Length: {}\r\n\r\n", body.len());
                    [head.into_bytes(), body].concat()
                }
                _ => {
                    let mut bytes =
                        format!("{request}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
                    for chunk in chunks {
                        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                        bytes.extend(chunk);
                        bytes.extend(b"\r\n");
                    }
                    bytes.extend(b"0\r\n\r\n");
                    bytes
                }
            }
        },
    )
}

/// Honest requests in a row of which some bytes were changed, and rows of pieces.
pub(super) fn doubtful() -> impl Strategy<Value = Vec<u8>> {
    let changed = (
        proptest::collection::vec(honest(), 1..3),
        proptest::collection::vec((any::<prop::sample::Index>(), 0..2_usize, piece()), 0..3),
    )
        .prop_map(|(requests, changes)| {
            let mut bytes = requests.concat();
            for (index, removed, piece) in changes {
                let at = index.index(bytes.len());
                let end = (at + removed).min(bytes.len());
                bytes.splice(at..end, piece);
                if bytes.is_empty() {
                    bytes.push(b'G');
                }
            }
            bytes
        });
    let pieces = proptest::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat());
    prop_oneof![changed, pieces]
}
