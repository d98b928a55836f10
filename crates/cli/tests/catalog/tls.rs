//! Connections with TLS.

use flowmeter_fake::Fake;

use crate::program;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_connects_with_tls() {
    let (fake, files) = Fake::start_with_tls_as_localhost().await;
    let url = format!("https://localhost:{}", fake.address.port());
    let authority = files.join("authority.pem");
    let trusting = ["record", "--action", "read", "--ca-certificate", authority.to_str().unwrap()];
    let ended = program::flowmeter(&url, "good", &trusting, b"").await;
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert_eq!(fake.events()[0].action, "read");
    assert_eq!(fake.seen_now()[0].metadata["authorization"], "Bearer good");

    // No authority that browsers trust has signed the certificate.
    let ended = program::flowmeter(&url, "good", &["build-info"], b"").await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("UnknownIssuer"), "{}", ended.err);
    let ended =
        program::flowmeter(&url, "good", &["build-info", "--ca-certificate", "/nonexistent"], b"").await;
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .err
            .starts_with("error: --ca-certificate (or FLOWMETER_CA_CERTIFICATE): cannot read /nonexistent: "),
        "{}",
        ended.err
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_url_names_its_flag_and_variable() {
    let ended = program::flowmeter("localhost", "good", &["build-info"], b"").await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.starts_with("error: --query-url (or FLOWMETER_QUERY_URL): "), "{}", ended.err);
    let ended = program::flowmeter("ftp://host", "good", &["record"], b"").await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.starts_with("error: --ingest-url (or FLOWMETER_INGEST_URL): "), "{}", ended.err);
}
