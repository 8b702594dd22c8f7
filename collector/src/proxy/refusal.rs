//! Why the proxy answered a request itself instead of a pod.

use super::reason::reasons;

reasons! {
    /// A closed set: the `reason` label of `podmeter_proxy_refused_total`.
    Refusal;
    // What is no honest HTTP/1 request (RFC 9112). The connection is closed after the answer.
    RequestLine "request_line" BAD_REQUEST "The request line is not method, target and version, separated by single spaces.";
    BareLf "bare_lf" BAD_REQUEST "A line ends without a carriage return.";
    BareCr "bare_cr" BAD_REQUEST "A carriage return stands alone.";
    HeaderName "header_name" BAD_REQUEST "A header's name is empty, not a token, or followed by white space.";
    HeaderValue "header_value" BAD_REQUEST "A header's value holds a control character.";
    ObsFold "obs_fold" BAD_REQUEST "A header goes on in the next line.";
    BothLengths "both_lengths" BAD_REQUEST "Content-Length and Transfer-Encoding stand together.";
    ContentLength "content_length" BAD_REQUEST "Content-Length is not one plain number, or stands twice.";
    TransferEncoding "transfer_encoding" BAD_REQUEST "Transfer-Encoding is not exactly chunked, or not allowed in this version of HTTP.";
    Chunk "chunk" BAD_REQUEST "A chunk's size, extension or end is malformed.";
    Trailer "trailer" BAD_REQUEST "A trailer is malformed, too large, or one that may not be a trailer.";
    Version "version" HTTP_VERSION_NOT_SUPPORTED "Only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here.";
    HostMissing "host_missing" BAD_REQUEST "There is no Host.";
    HostTwice "host_twice" BAD_REQUEST "Host stands twice.";
    HostInvalid "host_invalid" BAD_REQUEST "Host is not a name or address with an optional port.";
    HostMismatch "host_mismatch" BAD_REQUEST "Host and the target's authority differ.";
    Target "target" BAD_REQUEST "The target is neither a path nor an absolute http or https URL.";
    Headers "headers" REQUEST_HEADER_FIELDS_TOO_LARGE "There are too many headers, or they are too large.";
    TargetTooLong "target_too_long" URI_TOO_LONG "The target is too long.";
    // What is honest and not done here.
    Connect "connect" METHOD_NOT_ALLOWED "CONNECT is for forward proxies.";
    Trace "trace" METHOD_NOT_ALLOWED "TRACE would show a client what others added.";
    Upgrade "upgrade" BAD_REQUEST "A request that asks for another protocol may not have a body.";
    Expectation "expectation" EXPECTATION_FAILED "Only 100-continue can be expected.";
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE "The body is larger than this route allows.";
    Guarded "guarded" FORBIDDEN "The Ingress of this path asks for a protection that is not supported here.";
    Misdirected "misdirected" MISDIRECTED_REQUEST "The TLS connection was made for another host.";
    // What is too slow or too much.
    HeadTimeout "head_timeout" REQUEST_TIMEOUT "The request's head did not arrive in time.";
    BodyTimeout "body_timeout" REQUEST_TIMEOUT "The request's body did not arrive in time.";
    Http2Flood "http2_flood" BAD_REQUEST "The connection sent too many frames that carry nothing.";
    Connections "connections" SERVICE_UNAVAILABLE "There are too many connections.";
    AddressConnections "address_connections" TOO_MANY_REQUESTS "There are too many connections from this address.";
    Accept "accept" SERVICE_UNAVAILABLE "The kernel gave no connection: out of files or of memory.";
    ProxyProtocol "proxy_protocol" BAD_REQUEST "The PROXY protocol header is absent or malformed.";
    Handshake "tls_handshake" BAD_REQUEST "The TLS handshake failed or did not end in time.";
    ClientCertificate "client_certificate" FORBIDDEN "The client's certificate is absent, not trusted or revoked.";
    // What there is nothing for.
    NoRoute "no_route" NOT_FOUND "No route has this host and path.";
    RedirectLoop "redirect_loop" LOOP_DETECTED "The route redirects to the very URL that was asked for.";
    NoEndpoint "no_endpoint" SERVICE_UNAVAILABLE "No pod of the Service is ready.";
    Overloaded "overloaded" SERVICE_UNAVAILABLE "Every pod of the Service has as many requests as it may.";
    CircuitOpen "circuit_open" SERVICE_UNAVAILABLE "Every pod of the Service failed too often; they are given a pause.";
    NotReady "not_ready" SERVICE_UNAVAILABLE "The routes are not known yet.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn labels_are_unique_and_in_order() {
        let labels: HashSet<_> = Refusal::ALL.iter().map(|refusal| refusal.as_str()).collect();
        assert_eq!(labels.len(), Refusal::ALL.len());
        for (at, refusal) in Refusal::ALL.iter().enumerate() {
            assert_eq!(*refusal as usize, at);
            assert!(!refusal.status().is_success());
        }
    }
}
