//! The requests and what the three are expected to make of them.

use super::Expected::{Differ, DifferInBody, Same};
use super::Request;

pub(crate) const REQUESTS: &[Request] = &[
    ("a file", "GET /1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n", Same),
    ("an empty file", "GET /empty HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n", Same),
    (
        "a file in chunks",
        "GET /chunked/64k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    ("a large file", "GET /1m HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n", Same),
    (
        "the head of a file",
        "HEAD /1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "the head of a file in chunks",
        "HEAD /chunked/64k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    ("nothing there", "GET /none HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n", Same),
    ("a redirect", "GET /moved HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n", Same),
    ("no content", "GET /status/204 HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n", Same),
    (
        "an error of the backend",
        "GET /status/500 HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "an unready backend",
        "GET /status/503 HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "too many requests",
        "GET /status/429 HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "a part",
        "GET /text.txt HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nRange: bytes=5-99\r\n\r\n",
        Same,
    ),
    (
        "a part that is not there",
        "GET /text.txt HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nRange: bytes=900000-\r\n\r\n",
        Same,
    ),
    (
        "a wrong part",
        "GET /text.txt HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nRange: bytes=x\r\n\r\n",
        Same,
    ),
    (
        "not changed since",
        "GET /text.txt HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n\r\n",
        Same,
    ),
    (
        "compressed",
        "GET /text.txt HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n",
        Same,
    ),
    (
        "a path with escapes",
        "GET /a%20b/%C3%BC%2B%25.txt HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "what the backend saw",
        "GET /seen?a=b&c=%2F%zz?x HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nX-Test: value\r\n\r\n",
        Same,
    ),
    ("two slashes", "GET //seen HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n", Same),
    (
        "a path with all that a path may have",
        "GET /seen/-._~!$&'()*+,;=:@ HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "a path with what browsers send all the same",
        "GET /seen/[]^{|} HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "quotes, angle brackets and a backtick in the path",
        "GET /seen/\"<>` HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Differ(["200", "200", "400"], "RFC 3986 has none of these in a target"),
    ),
    (
        "a query with what browsers send all the same",
        "GET /seen?a[]=^`{|} HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "a backslash in the path",
        "GET /seen\\x HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Differ(["200", "200", "400"], "for some servers it is a slash"),
    ),
    (
        "bytes above ASCII in the path",
        "GET /seen/ü HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Differ(["200", "400", "400"], "a target is ASCII"),
    ),
    (
        "dots in the path",
        "GET /a/../1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Differ(["200", "200", "400"], "whose route it is would depend on who resolves them"),
    ),
    (
        "encoded dots in the path",
        "GET /a/%2e%2e/1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Differ(["200", "200", "400"], "the same"),
    ),
    (
        "a zero in the path",
        "GET /seen/%00 HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "a fragment in the path",
        "GET /1k#x HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Differ(["200", "400", "400"], "a fragment is never sent"),
    ),
    ("no path", "GET HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n", Same),
    (
        "a space in the path",
        "GET /1k x HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    ("a relative path", "GET 1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n", Same),
    (
        "a whole URL",
        "GET http://ref.test/1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "a whole URL of another host",
        "GET http://other.test/1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Differ(["200", "400", "400"], "target and Host must name the same"),
    ),
    (
        "a whole URL without a path",
        "GET http://ref.test HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "OPTIONS of everything",
        "OPTIONS * HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "OPTIONS of a path",
        "OPTIONS /seen HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "an unknown method",
        "FROB /seen HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "a method in small letters",
        "get /1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    ("TRACE", "TRACE /seen HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n", Same),
    (
        "CONNECT",
        "CONNECT ref.test:443 HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Differ(["400", "400", "405"], "the method is known and not allowed"),
    ),
    (
        "PUT",
        "PUT /upload/ref HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        Same,
    ),
    (
        "PUT in chunks",
        "PUT /upload/ref HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Same,
    ),
    (
        "PUT in chunks with extensions and trailers",
        "PUT /upload/ref HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
        Same,
    ),
    (
        "PUT that waits to be told",
        "PUT /upload/ref HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
        Same,
    ),
    (
        "an expectation nobody knows",
        "PUT /upload/ref HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nContent-Length: 5\r\nExpect: miracles\r\n\r\nhello",
        Differ(["204", "204", "417"], "RFC 9110, 10.1.1 allows to say so"),
    ),
    (
        "POST that the backend does not take",
        "POST /1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        Same,
    ),
    (
        "GET with a body",
        "GET /seen HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        Same,
    ),
    (
        "DELETE of nothing",
        "DELETE /upload/none HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "two requests at once",
        "GET /1k HTTP/1.1\r\nHost: ref.test\r\n\r\nGET /byte HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "a body and a request behind it",
        "PUT /upload/two HTTP/1.1\r\nHost: ref.test\r\nContent-Length: 5\r\n\r\nhelloGET /byte HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "an empty line first",
        "\r\nGET /1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "HTTP/1.0",
        "GET /1k HTTP/1.0\r\n\r\n",
        Differ(["400", "200", "400"], "there is no host to route by"),
    ),
    ("HTTP/1.0 with a host", "GET /seen HTTP/1.0\r\nHost: ref.test\r\n\r\n", Same),
    (
        "HTTP/1.0 for an answer in chunks",
        "GET /chunked/64k HTTP/1.0\r\nHost: ref.test\r\n\r\n",
        Same,
    ),
    (
        "HTTP/1.0 with chunks",
        "PUT /upload/old HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Same,
    ),
    ("HTTP/0.9", "GET /1k\r\n", Differ(["none", "400", "505"], "only 1.0 and 1.1 are spoken")),
    (
        "HTTP/1.2",
        "GET /1k HTTP/1.2\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Differ(["200", "200", "505"], "the same"),
    ),
    (
        "HTTP/2.0 in the line",
        "GET /1k HTTP/2.0\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Differ(["505", "200", "505"], "the same"),
    ),
    (
        "HTTP/3.7 in the line",
        "GET /1k HTTP/3.7\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Differ(["505", "200", "505"], "the same"),
    ),
    (
        "a version in small letters",
        "GET /1k http/1.1\r\nHost: ref.test\r\nConnection: close\r\n\r\n",
        Same,
    ),
    ("no host", "GET /1k HTTP/1.1\r\nConnection: close\r\n\r\n", Same),
    ("an empty host", "GET /1k HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", Same),
    (
        "two hosts",
        "GET /1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nHost: ref.test\r\n\r\n",
        Differ(["400", "200", "400"], "RFC 9112, 3.2: a server must answer 400"),
    ),
    (
        "two hosts that differ",
        "GET /1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nHost: other.test\r\n\r\n",
        Same,
    ),
    ("a host with a path", "GET /1k HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n", Same),
    (
        "a host in capitals with a port",
        "GET /seen HTTP/1.1\r\nHost: REF.test:8080\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "a host that is an IPv6 address",
        "GET /seen HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n",
        Same,
    ),
    (
        "an empty header",
        "GET /seen HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nX-Empty:\r\n\r\n",
        Same,
    ),
    (
        "spaces around a value",
        "GET /seen HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nX-Test: \t a  b \t \r\n\r\n",
        DifferInBody("podmeter trims"),
    ),
    (
        "two cookies",
        "GET /seen HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nCookie: a=b\r\nCookie: c=d\r\n\r\n",
        Same,
    ),
    (
        "a header that Connection names",
        "GET /seen HTTP/1.1\r\nHost: ref.test\r\nConnection: close, x-test\r\nX-Test: a\r\n\r\n",
        DifferInBody("RFC 9110, 7.6.1: podmeter removes what Connection names"),
    ),
    (
        "bytes above ASCII in a value",
        "GET /seen HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nX-Test: ü\r\n\r\n",
        Same,
    ),
    (
        "an underscore in a name",
        "GET /seen HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nX_Test: a\r\n\r\n",
        Same,
    ),
    (
        "a space before the colon",
        "GET /1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nX-Test : a\r\n\r\n",
        Same,
    ),
    (
        "a space in a name",
        "GET /1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nX Test: a\r\n\r\n",
        Same,
    ),
    (
        "a line without a colon",
        "GET /1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nX-Test\r\n\r\n",
        Differ(["200", "400", "400"], "nginx leaves the line out"),
    ),
    (
        "a header without a name",
        "GET /1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\n: a\r\n\r\n",
        Same,
    ),
    (
        "a header that goes on",
        "GET /seen HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nX-Test: a\r\n b\r\n\r\n",
        Differ(["400", "200", "400"], "RFC 9112, 5.2: refused or unfolded"),
    ),
    (
        "a zero in a value",
        "GET /1k HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nX-Test: a\0b\r\n\r\n",
        Same,
    ),
    (
        "a control character in a value",
        "GET /seen HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nX-Test: a\x01b\r\n\r\n",
        Differ(["200", "200", "400"], "RFC 9110, 5.5 allows none"),
    ),
    (
        "a bare carriage return in a value",
        "GET /seen HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nX-Test: a\rb\r\n\r\n",
        Same,
    ),
    (
        "lines that end with a line feed alone",
        "GET /1k HTTP/1.1\nHost: ref.test\nConnection: close\n\n",
        Differ(
            ["200", "200", "400"],
            "two readings of where a line ends are what smuggling lives on",
        ),
    ),
    (
        "an upgrade nobody offers",
        "GET /1k HTTP/1.1\r\nHost: ref.test\r\nConnection: upgrade, close\r\nUpgrade: frob\r\n\r\n",
        Same,
    ),
    (
        "an upgrade to HTTP/2",
        "GET /1k HTTP/1.1\r\nHost: ref.test\r\nConnection: upgrade, http2-settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        Same,
    ),
    (
        "TE with trailers",
        "GET /chunked/64k HTTP/1.1\r\nHost: ref.test\r\nConnection: te, close\r\nTE: trailers\r\n\r\n",
        Same,
    ),
    (
        "length and chunks",
        "PUT /upload/both HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Differ(["400", "204", "400"], "RFC 9112, 6.1: may be smuggling"),
    ),
    (
        "chunks and length",
        "PUT /upload/both HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Differ(["400", "204", "400"], "the same"),
    ),
    (
        "two lengths that are the same",
        "PUT /upload/len HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        Differ(["400", "204", "400"], "RFC 9110, 8.6 allows to refuse it"),
    ),
    (
        "two lengths that differ",
        "PUT /upload/len HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello1",
        Same,
    ),
    (
        "a list of lengths",
        "PUT /upload/len HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nContent-Length: 5, 5\r\n\r\nhello",
        Differ(["400", "204", "400"], "the same"),
    ),
    (
        "a length with a sign",
        "PUT /upload/len HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nContent-Length: +5\r\n\r\nhello",
        Same,
    ),
    (
        "a length below zero",
        "PUT /upload/len HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nContent-Length: -5\r\n\r\nhello",
        Same,
    ),
    (
        "a length beyond all numbers",
        "PUT /upload/len HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
        Same,
    ),
    (
        "an empty length",
        "PUT /upload/len HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nContent-Length:\r\n\r\n",
        Same,
    ),
    (
        "chunks twice",
        "PUT /upload/te HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nTransfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Differ(["501", "400", "400"], "RFC 9112, 6.1: chunked stands once"),
    ),
    (
        "an encoding before chunks",
        "PUT /upload/te HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Differ(["501", "422", "400"], "only chunked is known"),
    ),
    (
        "an encoding that is none",
        "PUT /upload/te HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nTransfer-Encoding: identity\r\n\r\n",
        Differ(["501", "400", "400"], "the same"),
    ),
    (
        "an encoding that looks like chunks",
        "PUT /upload/te HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nTransfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Differ(["501", "400", "400"], "the same"),
    ),
    (
        "chunks in capitals",
        "PUT /upload/te HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Same,
    ),
    (
        "a chunk's size that is none",
        "PUT /upload/te HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nhello\r\n0\r\n\r\n",
        Same,
    ),
    (
        "a chunk longer than its size",
        "PUT /upload/te HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
        Same,
    ),
    (
        "a chunk's size with 0x",
        "PUT /upload/te HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        Same,
    ),
    (
        "a chunk's size beyond all numbers",
        "PUT /upload/te HTTP/1.1\r\nHost: ref.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        Same,
    ),
    ("no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01?\x03\x03 is a TLS hello\r\n\r\n", Same),
];
