//! How an attempt at a pod failed.

use super::reason::reasons;

reasons! {
    /// A closed set: the `error_type` label of a request to a pod that has no status to show.
    Failure;
    ConnectRefused "connect_refused" BAD_GATEWAY "The pod refused the connection.";
    ConnectTimeout "connect_timeout" GATEWAY_TIMEOUT "The pod did not accept a connection in time.";
    NoSocket "no_socket" SERVICE_UNAVAILABLE "The node has no file or port left for a connection to the pod.";
    ConnectFailed "connect_failed" BAD_GATEWAY "There is no way to the pod.";
    Tls "tls" BAD_GATEWAY "The pod's TLS handshake failed.";
    Reset "reset" BAD_GATEWAY "The pod closed the connection before it answered.";
    FirstByteTimeout "first_byte_timeout" GATEWAY_TIMEOUT "The pod did not begin its answer in time.";
    BadResponse "bad_response" BAD_GATEWAY "The pod's answer is not HTTP, or not one answer only.";
    ResponseHeaders "response_headers" BAD_GATEWAY "The pod's answer has too many or too large headers.";
    BodyIncomplete "body_incomplete" BAD_GATEWAY "The pod's answer broke off.";
    IdleTimeout "idle_timeout" GATEWAY_TIMEOUT "The pod's answer stood still for too long.";
    RequestTimeout "request_timeout" GATEWAY_TIMEOUT "The whole request took too long.";
    ClientGone "client_gone" BAD_GATEWAY "The client went away before the answer was whole.";
    RequestBody "request_body" BAD_REQUEST "The client's body broke off or was malformed.";
}

impl Failure {
    /// Whether the pod is to blame, so that it counts against it in outlier ejection.
    #[must_use]
    pub fn is_the_pods(self) -> bool {
        !matches!(self, Self::ClientGone | Self::RequestBody | Self::NoSocket)
    }
}
