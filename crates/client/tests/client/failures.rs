//! The metric types of failures: real failures of connections of tonic, hyper, rustls and tokio.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flowmeter_client::{ExecutionMetrics, MetricType};
use flowmeter_fake::{Authority, Fake, Plan, any_port};
use flowmeter_proto::v1::RecordUsageRequest;
use flowmeter_proto::v1::ingest_service_client::IngestServiceClient;
use http_body_util::Empty;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::{Client, connect::Connect};
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, rustls};
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig};
use tonic::{Code, Status};

/// A time limit that always passes.
const LIMIT: Duration = Duration::from_millis(20);

fn assert_counts<E: std::error::Error + 'static>(error: E, expected: MetricType) {
    let ended = Err(error);
    let mut metrics = ExecutionMetrics::new();
    metrics.add_call(&ended);
    let counted = MetricType::ALL.into_iter().find(|of| metrics.get(*of) == 1);
    assert_eq!(counted, Some(expected), "{ended:?}");
}

async fn call(endpoint: &Endpoint) -> Result<(), Status> {
    let mut service = IngestServiceClient::new(endpoint.connect_lazy());
    service.record_usage(RecordUsageRequest::default()).await.map(drop)
}

/// With tonic: the error of a call, or of the connection before it.
async fn assert_grpc(endpoint: Endpoint, expected: MetricType) {
    assert_counts(call(&endpoint).await.unwrap_err(), expected);
    if let Err(error) = endpoint.connect().await {
        assert_counts(error, expected);
    }
}

/// With hyper, as reqwest uses it.
async fn assert_http(
    connector: impl Connect + Clone + Send + Sync + 'static,
    url: &str,
    expected: MetricType,
) {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    assert_counts(client.get(url.parse().unwrap()).await.unwrap_err(), expected);
}

/// With a socket.
async fn assert_tcp(address: &str, expected: MetricType) {
    let read = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"hello").await?;
        stream.read_exact(&mut [0]).await
    };
    assert_counts(read.await.unwrap_err(), expected);
}

/// In every way without TLS.
async fn assert_each(address: &str, expected: MetricType) {
    let url = format!("http://{address}");
    assert_grpc(endpoint(&url), expected).await;
    assert_http(HttpConnector::new(), &url, expected).await;
    assert_tcp(address, expected).await;
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint::from_shared(url.to_owned()).unwrap()
}

/// A server that handles connections with a function, until it is dropped.
struct Peer {
    address: String,
    _task: AbortOnDropHandle<()>,
}

impl Peer {
    async fn start<F>(treat: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = any_port().await;
        let address = listener.local_addr().unwrap().to_string();
        let accept = async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(treat(stream));
            }
        };
        Self { address, _task: AbortOnDropHandle::new(tokio::spawn(accept)) }
    }

    async fn silent() -> Self {
        let hold = |stream| async move {
            std::future::pending::<()>().await;
            drop(stream);
        };
        Self::start(hold).await
    }

    /// Sends this after it has received anything, and then disconnects.
    async fn saying(words: &'static [u8]) -> Self {
        let answer = move |mut stream: TcpStream| async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(words).await;
            let _ = stream.shutdown().await;
            // What is not read would reset the connection.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        };
        Self::start(answer).await
    }

    async fn resetting() -> Self {
        let reset = |mut stream: TcpStream| async move {
            let _ = stream.read(&mut [0; 1]).await;
            stream.set_zero_linger().unwrap();
        };
        Self::start(reset).await
    }
}

/// An address without a listener.
async fn nobody() -> String {
    any_port().await.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn a_connection_that_is_refused_or_lost() {
    assert_each(&nobody().await, MetricType::ConnectionError).await;
    assert_each(&Peer::resetting().await.address, MetricType::ConnectionError).await;
    assert_each(&Peer::saying(b"").await.address, MetricType::ConnectionError).await;
}

#[tokio::test]
async fn a_name_without_an_address() {
    assert_each("nonexistent.invalid:80", MetricType::ConnectionError).await;
}

#[tokio::test]
async fn an_answer_that_does_not_come() {
    let silent = Peer::silent().await;
    let url = format!("http://{}", silent.address);
    assert_grpc(endpoint(&url).timeout(LIMIT), MetricType::TimeoutError).await;
    let keep_alive = endpoint(&url).http2_keep_alive_interval(LIMIT).keep_alive_timeout(LIMIT);
    assert_grpc(keep_alive, MetricType::TimeoutError).await;
    let mut stream = TcpStream::connect(&silent.address).await.unwrap();
    let elapsed = tokio::time::timeout(LIMIT, stream.read_u8()).await.unwrap_err();
    assert_counts(elapsed, MetricType::TimeoutError);
    let tls = ClientTlsConfig::new().with_webpki_roots().timeout(LIMIT);
    let https = endpoint(&format!("https://{}", silent.address)).tls_config(tls).unwrap();
    assert_grpc(https, MetricType::TimeoutError).await;
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts them, so that sooner or later there is no place for another one.
    let mut waiting = Vec::new();
    while let Ok(stream) = tokio::time::timeout(LIMIT, TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
    }
    let url = format!("http://{address}");
    assert_grpc(endpoint(&url).connect_timeout(LIMIT), MetricType::TimeoutError).await;
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(LIMIT));
    assert_http(connector, &url, MetricType::TimeoutError).await;
}

const NAME: &str = "ingest.example";

/// A server with a certificate.
async fn https((certificate, key): (String, String)) -> Fake {
    Fake::start_with_tls(ServerTlsConfig::new().identity(Identity::from_pem(certificate, key))).await
}

fn to(server: &Fake, tls: ClientTlsConfig) -> Endpoint {
    endpoint(&format!("https://{}", server.address)).tls_config(tls).unwrap()
}

fn trusting(authority: &Authority) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem())).domain_name(NAME)
}

#[tokio::test]
async fn certificates_that_are_not_trusted() {
    let authority = Authority::new();
    let server = https(authority.issue(NAME)).await;
    call(&to(&server, trusting(&authority))).await.unwrap();

    let browser = ClientTlsConfig::new().with_webpki_roots().domain_name(NAME);
    assert_grpc(to(&server, browser), MetricType::SslError).await;
    // The name of a server says nothing about what happened.
    for name in ["proxy.example", "proxy", "timeout"] {
        assert_grpc(to(&server, trusting(&authority).domain_name(name)), MetricType::SslError).await;
    }
    let expired = https(authority.issue_expired(NAME)).await;
    assert_grpc(to(&expired, trusting(&authority)), MetricType::SslError).await;
    let (certificate, key) = authority.issue(NAME);
    let mutual = ServerTlsConfig::new()
        .identity(Identity::from_pem(certificate, key))
        .client_ca_root(Certificate::from_pem(authority.pem()));
    let mutual = Fake::start_with_tls(mutual).await;
    assert_grpc(to(&mutual, trusting(&authority)), MetricType::SslError).await;
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls() {
    let authority = Authority::new();
    assert_grpc(to(&Fake::start().await, trusting(&authority)), MetricType::SslError).await;
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions();
    let config = config.unwrap().with_root_certificates(rustls::RootCertStore::empty());
    let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
    for words in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
        let peer = Peer::saying(words).await;
        let stream = TcpStream::connect(&peer.address).await.unwrap();
        let error = connector.connect(NAME.try_into().unwrap(), stream).await.unwrap_err();
        assert_counts(error, MetricType::SslError);
    }
}

#[tokio::test]
async fn a_proxy_that_fails() {
    let unused = "http://unused.invalid";
    let any_scheme = || {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector
    };
    let refusals: [&[u8]; 3] =
        [b"HTTP/1.1 407 Who are you\r\n\r\n", b"HTTP/1.1 502 Bad Gateway\r\n\r\n", b""];
    for words in refusals {
        let proxy = Peer::saying(words).await;
        let url = format!("http://{}", proxy.address).parse().unwrap();
        assert_http(Tunnel::new(url, any_scheme()), unused, MetricType::ProxyError).await;
        let url = format!("http://{}", proxy.address).parse().unwrap();
        assert_http(SocksV5::new(url, any_scheme()), unused, MetricType::ProxyError).await;
    }
    for address in [nobody().await, "nonexistent.invalid:80".to_owned()] {
        let url = format!("http://{address}").parse().unwrap();
        assert_http(Tunnel::new(url, any_scheme()), unused, MetricType::ProxyError).await;
        let url = format!("http://{address}").parse().unwrap();
        assert_http(SocksV5::new(url, any_scheme()), unused, MetricType::ProxyError).await;
    }
}

#[tokio::test]
async fn a_grpc_service_that_answers_with_an_error() {
    let fake = Fake::start().await;
    let table = [
        (Code::Unauthenticated, MetricType::AuthError),
        (Code::ResourceExhausted, MetricType::QuotaError),
        (Code::Internal, MetricType::ServiceError),
        (Code::DeadlineExceeded, MetricType::TimeoutError),
        (Code::Unavailable, MetricType::ConnectionError),
        (Code::InvalidArgument, MetricType::GeneralError),
    ];
    for (code, expected) in table {
        // Whose message may be about anything.
        fake.plan([Plan::Refuse(Status::new(code, "the certificate of the proxy timed out"))]);
        assert_counts(call(&endpoint(&fake.url())).await.unwrap_err(), expected);
    }
}
