//! Checks against real servers on this machine.

mod server;

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;
use server::{Answer, Server};

/// Longer than any answer takes.
const PATIENT: Duration = Duration::from_mins(1);
/// For answers that never come.
const SHORT: Duration = Duration::from_millis(300);
const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(7));

fn probe_with(allowed: &str, timeout: Duration, ca: Option<&Path>, resolve: Resolve) -> Probe {
    Probe::new(Guard::parse(allowed).unwrap(), timeout, ca, resolve, MAX_LOOKUPS).unwrap()
}

/// A probe that may reach the servers of these tests.
fn probe(timeout: Duration) -> Probe {
    probe_with("127.0.0.0/8", timeout, None, system_resolver())
}

/// A resolver that has these addresses for every name and port.
fn resolving_to(addresses: Vec<SocketAddr>) -> Resolve {
    Arc::new(move |_, _| {
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    })
}

async fn reason(answer: Answer, timeout: Duration) -> String {
    let mut server = Server::start(answer).await;
    let result = probe(timeout).check(TENANT, &server.url()).await;
    // A connection never outlives its check.
    server.next_request().await;
    result.err().map_or_else(|| "active".to_owned(), |failure| failure.to_string())
}

#[tokio::test]
async fn the_request_is_the_one_that_endpoints_expect() {
    let mut server = Server::start(Answer::active()).await;
    let url = format!("http://localhost:{}/flows/1?key=a%20b#part", server.address.port());
    let probe = probe_with("127.0.0.0/8,::1/128", PATIENT, None, resolving_to(vec![server.address]));
    probe.check(TENANT, &url).await.unwrap();
    let request = server.next_request().await.to_lowercase();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, r#"{"action":"ping"}"#);
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("post /flows/1?key=a%20b http/1.1"));
    let headers: Vec<_> = lines.collect();
    let host = format!("host: localhost:{}", server.address.port());
    for expected in [host.as_str(), "content-type: application/json", "content-length: 17"] {
        assert!(headers.contains(&expected), "{expected} in {headers:?}");
    }
}

#[tokio::test]
async fn only_an_active_status_counts_as_available() {
    for body in
        [r#"{"data":{"status":"active"}}"#, r#" {"version":"3.0","data":{"x":[1],"status":"active"}} "#]
    {
        assert_eq!(reason(Answer::http("200 OK", body), PATIENT).await, "active", "{body}");
    }
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{\"data\":{\r\n13\r\n\"status\":\"active\"}}\r\n0\r\n\r\n";
    assert_eq!(reason(Answer::Bytes(chunked.into()), PATIENT).await, "active");
    let until_closed = "HTTP/1.0 200 OK\r\n\r\n{\"data\":{\"status\":\"active\"}}";
    assert_eq!(reason(Answer::Bytes(until_closed.into()), PATIENT).await, "active");

    let not_active = Failure::NotActive.to_string();
    for body in [
        "",
        "active",
        "{}",
        r#"{"status":"active"}"#,
        r#"{"data":{"status":"Active"}}"#,
        r#"{"data":{"status":"inactive"}}"#,
        r#"{"data":{"status":["active"]}}"#,
        r#"[{"data":{"status":"active"}}]"#,
        r#"{"data":{"status":"active"}} and more"#,
        r#"{"data":{"status":"active"}"#,
    ] {
        assert_eq!(reason(Answer::http("200 OK", body), PATIENT).await, not_active, "{body}");
    }
    let deep = "[".repeat(60_000);
    assert_eq!(reason(Answer::http("200 OK", &deep), PATIENT).await, not_active);
}

#[tokio::test]
async fn another_http_status_is_a_failure() {
    let active = r#"{"data":{"status":"active"}}"#;
    for status in
        ["500 Oops", "404 Not Found", "201 Created", "204 No Content", "304 Not Modified", "427 Odd"]
    {
        let expected = format!("expected status 200, found {}", &status[..3]);
        let body = if status.starts_with("204") || status.starts_with("304") { "" } else { active };
        assert_eq!(reason(Answer::http(status, body), PATIENT).await, expected);
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let mut other = Server::start(Answer::active()).await;
        let answer =
            format!("HTTP/1.1 {status} Gone\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", other.url());
        let expected = format!("expected status 200, found {status}");
        assert_eq!(reason(Answer::Bytes(answer.into()), PATIENT).await, expected);
        assert!(other.is_untouched().await);
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_fails_in_time() {
    let head = "HTTP/1.1 200 OK\r\n";
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for answer in [
        Answer::Silence,
        Answer::Slow(head, "x: y\r\n"),
        Answer::Slow(endless, "1\r\n \r\n"),
        Answer::Slow("HTTP/1.1 200 OK\r\ncontent-length: 28\r\n\r\n{", ""),
        Answer::Slow("", "HTTP/1.1 100 Continue\r\n\r\n"),
    ] {
        assert_eq!(reason(answer.clone(), SHORT).await, "no answer within 300ms", "{answer:?}");
    }
}

#[tokio::test]
async fn a_process_that_stood_still_reports_nothing() {
    let server = Server::start(Answer::Silence).await;
    let (probe, url) = (probe(SHORT), server.url());
    let stand_still = async {
        tokio::time::sleep(SHORT / 2).await;
        std::thread::sleep(SHORT + LATE);
    };
    let (result, ()) = tokio::join!(probe.check(TENANT, &url), stand_still);
    assert!(matches!(&result, Err(Failure::NotChecked(_))), "{result:?}");
}

#[tokio::test]
async fn the_size_of_an_answer_is_limited() {
    let long = Failure::TooLong.to_string();
    let filler = "                                                                ";
    let chunk = "40\r\n                                                                \r\n";
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(reason(Answer::Endless(endless, chunk), PATIENT).await, long);
    assert_eq!(reason(Answer::Endless("HTTP/1.1 200 OK\r\n\r\n", filler), PATIENT).await, long);
    let large = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
    assert_eq!(reason(Answer::Endless(large, filler), PATIENT).await, long);
    for (head, more) in [
        ("HTTP/1.1 200 OK\r\n", "x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"),
        ("HTTP/1.1 200 OK\r\nx: ", filler),
        ("HTTP/1.1 200 ", filler),
        (endless, "\r\n"),
    ] {
        let reason = reason(Answer::Endless(head, more), PATIENT).await;
        assert!(reason.starts_with("the HTTP exchange failed: "), "{head} {reason}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_a_failure() {
    for answer in [
        Answer::Hangup,
        Answer::Bytes(Vec::new()),
        Answer::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        Answer::Bytes(b"{\"data\":{\"status\":\"active\"}}".to_vec()),
        Answer::Bytes(
            b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"data\":{\"status\":\"active\"}}".to_vec(),
        ),
        Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 28\r\ncontent-length: 29\r\n\r\n".to_vec()),
    ] {
        let reason = reason(answer.clone(), PATIENT).await;
        assert!(reason.starts_with("the HTTP exchange failed: "), "{answer:?} {reason}");
    }
}

#[tokio::test]
async fn internal_addresses_are_refused_in_every_spelling() {
    let mut server = Server::start(Answer::active()).await;
    let port = server.address.port();
    let probe = probe_with("", PATIENT, None, system_resolver());
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.01",
        "127.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "0.0.0.0",
    ] {
        let result = probe.check(TENANT, &format!("http://{host}:{port}/")).await;
        assert!(matches!(result, Err(Failure::Refused(_))), "{host}: {result:?}");
    }
    assert!(server.is_untouched().await);
}

#[tokio::test]
async fn a_name_with_one_internal_address_is_refused() {
    let mut server = Server::start(Answer::active()).await;
    let url = format!("http://endpoint.example:{}/", server.address.port());
    for internal in ["10.0.0.1:80", "[::1]:80", "[fd00::1]:80", "169.254.169.254:80"] {
        let addresses = vec![server.address, internal.parse().unwrap()];
        let probe = probe_with("127.0.0.1/32", PATIENT, None, resolving_to(addresses));
        let result = probe.check(TENANT, &url).await;
        assert!(matches!(result, Err(Failure::Refused(_))), "{internal}: {result:?}");
    }
    assert!(server.is_untouched().await);
}

#[tokio::test]
async fn a_name_is_resolved_once() {
    let (mut first, mut second) =
        (Server::start(Answer::active()).await, Server::start(Answer::active()).await);
    let (addresses, asked) = ([first.address, second.address], Arc::new(AtomicUsize::new(0)));
    let count = asked.clone();
    let resolve: Resolve = Arc::new(move |name, port| {
        assert_eq!((name.as_str(), port), ("endpoint.example", 80));
        let address = addresses[count.fetch_add(1, Ordering::Relaxed).min(1)];
        Box::pin(async move { Ok(vec![address]) })
    });
    probe_with("127.0.0.1/32", PATIENT, None, resolve)
        .check(TENANT, "http://endpoint.example/")
        .await
        .unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert!(first.next_request().await.starts_with("POST / HTTP/1.1\r\nhost: endpoint.example\r\n"));
    assert!(second.is_untouched().await);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = Server::start(Answer::active()).await;
    let check = async |addresses| {
        let probe = probe_with("127.0.0.1/32", PATIENT, None, resolving_to(addresses));
        probe.check(TENANT, "http://endpoint.example/").await
    };
    check(vec![closed, server.address]).await.unwrap();
    assert!(matches!(check(vec![closed]).await, Err(Failure::Unreachable(_))));
    assert!(matches!(check(Vec::new()).await, Err(Failure::Unreachable(_))));
}

#[tokio::test]
async fn a_few_addresses_are_tried_and_all_are_judged() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut server = Server::start(Answer::active()).await;
    let check = async |addresses| {
        let probe = probe_with("127.0.0.1/32", PATIENT, None, resolving_to(addresses));
        probe.check(TENANT, "http://endpoint.example/").await
    };
    check(vec![closed, closed, closed, server.address]).await.unwrap();
    server.next_request().await;
    let fifth = check(vec![closed, closed, closed, closed, server.address]).await;
    assert!(matches!(fifth, Err(Failure::Unreachable(_))), "{fifth:?}");
    let mut many = vec![server.address; 9];
    many.push("10.0.0.1:80".parse().unwrap());
    assert!(matches!(check(many).await, Err(Failure::Refused(_))));
    assert!(server.is_untouched().await);
}

#[tokio::test]
async fn faults_of_the_worker_say_nothing_about_the_endpoint() {
    for errno in [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOMEM, Errno::NOBUFS] {
        assert!(is_ours(&errno.into()), "{errno}");
    }
    for errno in [Errno::CONNREFUSED, Errno::CONNRESET, Errno::HOSTUNREACH, Errno::TIMEDOUT] {
        assert!(!is_ours(&errno.into()), "{errno}");
    }
    assert!(!is_ours(&io::Error::other("no such name")));

    let without_threads: Resolve =
        Arc::new(|_, _| Box::pin(async { Err(Failure::NotChecked(Errno::AGAIN.into())) }));
    let probe = probe_with("", PATIENT, None, without_threads);
    let result = probe.check(TENANT, "http://endpoint.example/").await;
    assert!(matches!(result, Err(Failure::NotChecked(_))), "{result:?}");
    let panicking: Resolve = Arc::new(|_, _| Box::pin(async { panic!("as a test") }));
    let result = probe_with("", PATIENT, None, panicking).check(TENANT, "http://endpoint.example/").await;
    assert!(matches!(result, Err(Failure::NotChecked(_))), "{result:?}");
}

#[tokio::test]
async fn a_tenant_whose_names_hang_leaves_room_for_others() {
    let server = Server::start(Answer::active()).await;
    let address = server.address;
    let begun = Arc::new(AtomicUsize::new(0));
    let count = begun.clone();
    let resolve: Resolve = Arc::new(move |name, _| {
        count.fetch_add(1, Ordering::Relaxed);
        Box::pin(
            async move { if name == "hangs" { std::future::pending().await } else { Ok(vec![address]) } },
        )
    });
    let guard = || Guard::parse("127.0.0.1/32").unwrap();
    let probe = Probe::new(guard(), SHORT, None, resolve, 8).unwrap();
    let hanging = futures::future::join_all((0..9).map(|_| probe.check(TENANT, "http://hangs/"))).await;
    // Two names hung. For the others there was no permit, which is not the fault of their endpoints.
    let late = hanging.iter().filter(|result| matches!(result, Err(Failure::TimedOut(_)))).count();
    let ours = hanging.iter().filter(|result| matches!(result, Err(Failure::NotChecked(_)))).count();
    assert_eq!((late, ours, begun.load(Ordering::Relaxed)), (2, 7, 2), "{hanging:?}");
    // They keep their permits although their checks have ended, and other tenants have their own.
    let again = probe.check(TENANT, "http://endpoint.example/").await;
    assert!(matches!(again, Err(Failure::NotChecked(_))), "{again:?}");
    probe.check(TenantId::OPERATOR, "http://endpoint.example/").await.unwrap();
}

#[tokio::test]
async fn a_resolver_that_fails_or_hangs_fails_the_check() {
    let failing: Resolve =
        Arc::new(|_, _| Box::pin(async { Err(Failure::Unresolved(io::Error::other("no such name"))) }));
    let result = probe_with("", PATIENT, None, failing).check(TENANT, "http://endpoint.example/").await;
    assert_eq!(result.unwrap_err().to_string(), "the name of the endpoint cannot be resolved: no such name");
    let hanging: Resolve = Arc::new(|_, _| Box::pin(std::future::pending()));
    let result = probe_with("", SHORT, None, hanging).check(TENANT, "http://endpoint.example/").await;
    assert!(matches!(result, Err(Failure::TimedOut(_))));
}

#[tokio::test]
async fn other_urls_are_not_followed() {
    for url in ["ftp://127.0.0.1/", "http://user:secret@127.0.0.1/", "file:///etc/hostname", "endpoint"] {
        let failure = probe(PATIENT).check(TENANT, url).await.unwrap_err();
        assert!(matches!(failure, Failure::Url) && !failure.to_string().contains("secret"), "{url}");
    }
}

/// A self-signed certificate for `endpoint.example`, in a file that is removed with it.
struct Certificate {
    file: std::path::PathBuf,
    acceptor: TlsAcceptor,
}

impl Certificate {
    fn make() -> Self {
        let made = rcgen::generate_simple_self_signed(["endpoint.example".to_owned()]).unwrap();
        let file = std::env::temp_dir().join(format!("flowmeter-{}.pem", uuid::Uuid::now_v7()));
        std::fs::write(&file, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self { file, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

#[tokio::test]
async fn https_endpoints_need_a_valid_certificate() {
    let certificate = Certificate::make();
    let mut server = Server::start_tls(Answer::active(), certificate.acceptor.clone()).await;
    let resolve = resolving_to(vec![server.address]);
    let trusting = probe_with("127.0.0.1/32", PATIENT, Some(&certificate.file), resolve.clone());
    trusting.check(TENANT, "https://endpoint.example/a").await.unwrap();
    assert!(server.next_request().await.starts_with("POST /a HTTP/1.1\r\nhost: endpoint.example\r\n"));

    let failure = trusting.check(TENANT, "https://other.example/").await.unwrap_err();
    assert!(
        matches!(failure, Failure::Tls(_)) && failure.to_string().contains("endpoint.example"),
        "{failure}"
    );
    let failure = trusting.check(TENANT, &format!("https://{}/", server.address)).await.unwrap_err();
    assert!(matches!(failure, Failure::Tls(_)), "{failure}");
    let stranger = probe_with("127.0.0.1/32", PATIENT, None, resolve.clone());
    let failure = stranger.check(TENANT, "https://endpoint.example/").await.unwrap_err();
    assert!(failure.to_string().contains("UnknownIssuer"), "{failure}");

    let plain = Server::start(Answer::http("400 Bad Request", "")).await;
    let failure = stranger.check(TENANT, &format!("https://{}/", plain.address)).await.unwrap_err();
    assert!(matches!(failure, Failure::Tls(_)), "{failure}");
    let silent = Server::start(Answer::Silence).await;
    let hurried = probe_with("127.0.0.1/32", SHORT, None, resolve);
    let failure = hurried.check(TENANT, &format!("https://{}/", silent.address)).await.unwrap_err();
    assert!(matches!(failure, Failure::TimedOut(_)), "{failure}");
}

#[tokio::test]
async fn a_file_without_valid_certificates_is_rejected() {
    let certificate = Certificate::make();
    let error = || tls::connector(Some(&certificate.file)).map(|_| ()).unwrap_err().to_string();
    std::fs::write(&certificate.file, "nothing").unwrap();
    assert!(error().ends_with("expected certificates, found none"));
    std::fs::write(&certificate.file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    assert!(error().contains("a certificate is invalid"));
    std::fs::remove_file(&certificate.file).unwrap();
    assert!(error().contains("expected certificates in PEM"));
}
