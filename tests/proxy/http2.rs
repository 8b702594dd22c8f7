//! Clients and pods that speak HTTP/2, on a runtime of their own so that tests read as those of HTTP/1 do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// What a client sends.
pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// A connection.
pub(crate) struct Http2 {
    sender: SendRequest<Body>,
    tasks: JoinSet<()>,
    runtime: Runtime,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

/// A request for `a.test` without a body.
pub(crate) fn get(path: &str) -> Request<Body> {
    post(path, "")
}

/// A request for `a.test` with this body.
pub(crate) fn post(path: &str, body: &'static str) -> Request<Body> {
    let mut request = Request::new(Full::new(Bytes::from(body)).boxed());
    if !body.is_empty() {
        *request.method_mut() = http::Method::POST;
    }
    *request.uri_mut() = format!("http://a.test{path}").parse().unwrap();
    request
}

/// A body that goes on as long as there are pieces.
pub(crate) fn pieces(pieces: impl Iterator<Item = Frame<Bytes>> + Send + Sync + 'static) -> Body {
    StreamBody::new(futures::stream::iter(pieces.map(Ok))).boxed()
}

impl Http2 {
    /// With prior knowledge.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(async move { TcpStream::connect(address).await.unwrap() })
    }

    /// Over whatever this opens.
    pub(crate) fn over<T>(open: impl Future<Output = T>) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (sender, connection) = runtime.block_on(async {
            let stream = TokioIo::new(open.await);
            Builder::new(TokioExecutor::new()).handshake(stream).await.unwrap()
        });
        let mut tasks = JoinSet::new();
        tasks.spawn_on(async move { drop(connection.await) }, runtime.handle());
        Self { sender, tasks, runtime }
    }

    /// The head of the answer; its body comes while this is held.
    pub(crate) fn begin(&mut self, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        let answer = self.sender.send_request(request);
        self.runtime.block_on(answer)
    }

    /// The answer.
    pub(crate) fn ask(&mut self, request: Request<Body>) -> Whole {
        let answer = self.begin(request).unwrap();
        self.finish(answer).unwrap()
    }

    /// The answers to requests that are under way at once.
    pub(crate) fn ask_all(&mut self, requests: impl Iterator<Item = Request<Body>>) -> Vec<Whole> {
        let answers = requests.map(|request| self.sender.send_request(request));
        let answers: Vec<_> = answers.collect();
        let all = futures::future::join_all(
            answers
                .into_iter()
                .map(|answer| async { collect(answer.await.unwrap()).await.unwrap() }),
        );
        self.runtime.block_on(all)
    }

    /// What is left of an answer.
    pub(crate) fn finish(&self, answer: Response<Incoming>) -> hyper::Result<Whole> {
        self.runtime.block_on(collect(answer))
    }

    /// Reads so many bytes of an answer, or some more, and says how many.
    pub(crate) fn some(&self, answer: &mut Response<Incoming>, bytes: usize) -> usize {
        let mut seen = 0;
        while seen < bytes {
            let frame = self.runtime.block_on(answer.frame()).unwrap().unwrap();
            seen += frame.data_ref().map_or(0, Bytes::len);
        }
        seen
    }

    /// Waits until the connection has ended.
    pub(crate) fn ended(&mut self) {
        self.runtime.block_on(self.tasks.join_next());
    }
}

async fn collect(answer: Response<Incoming>) -> hyper::Result<Whole> {
    let (head, body) = answer.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let body = body.to_bytes();
    Ok(Whole { status: head.status, headers: head.headers, body, trailers })
}

/// A request as a pod of HTTP/2 saw it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

/// A pod that speaks HTTP/2 without TLS, and answers with the request's body and with trailers. Its thread ends with
/// the process.
pub(crate) struct Http2Pod {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Http2Pod {
    pub(crate) fn new() -> Self {
        Self::gathering(1)
    }

    /// One that answers only when so many requests are there, and takes a hundred of a connection.
    pub(crate) fn gathering(requests: usize) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let kept = asked.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve(listener, kept, requests));
        });
        Self { address, asked }
    }

    /// What was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

async fn serve(listener: std::net::TcpListener, asked: Arc<Mutex<Vec<Asked>>>, gather: usize) {
    let gathered = Arc::new(tokio::sync::Barrier::new(gather));
    let listener = TcpListener::from_std(listener).unwrap();
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (asked, gathered) = (asked.clone(), gathered.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (asked, gathered) = (asked.clone(), gathered.clone());
            async move {
                gathered.wait().await;
                answer(request, asked).await
            }
        });
        connections.spawn(async move {
            let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            server.max_concurrent_streams(100);
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    asked: Arc<Mutex<Vec<Asked>>>,
) -> hyper::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let body = body.to_bytes();
    let line = format!("{} {}", head.method, head.uri);
    asked.lock().unwrap().push(Asked { line, headers: head.headers, body: body.clone(), trailers });
    let mut after = HeaderMap::new();
    after.insert("grpc-status", "0".parse().unwrap());
    let frames = [Frame::data(body), Frame::trailers(after)];
    let mut answer = Response::new(pieces(frames.into_iter()));
    answer.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    Ok(answer)
}
