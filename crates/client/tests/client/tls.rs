//! TLS: trusted authorities and client certificates.

use std::time::Duration;

use flowmeter_client::{Client, ClientSettings, TlsSettings};
use flowmeter_fake::{Authority, Fake, event};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

async fn accepted(fake: &Fake, tls: TlsSettings) -> Result<usize, String> {
    let settings = ClientSettings::new(format!("https://{}", fake.address)).tls(tls).patience(Duration::ZERO);
    let answer = Client::new(settings).unwrap().record_usage(&[event("a")]).await;
    answer.map(|recorded| recorded.accepted_count).map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_certificate_of_a_server_must_be_trusted() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("ingest.example");
    let fake =
        Fake::start_with_tls(ServerTlsConfig::new().identity(Identity::from_pem(certificate, key))).await;

    let trusting = TlsSettings::new().authority_pem(authority.pem()).server_name("ingest.example");
    assert_eq!(accepted(&fake, trusting.clone()).await, Ok(1));

    let error = accepted(&fake, trusting.server_name("other.example")).await.unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
    let error = accepted(&fake, TlsSettings::new().server_name("ingest.example")).await.unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
    let other = TlsSettings::new().authority_pem(Authority::new().pem()).server_name("ingest.example");
    let error = accepted(&fake, other).await.unwrap_err();
    assert!(error.starts_with("UNAVAILABLE") && error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_client_presents_its_certificate() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("ingest.example");
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(certificate, key))
        .client_ca_root(Certificate::from_pem(authority.pem()));
    let fake = Fake::start_with_tls(tls).await;

    let without = TlsSettings::new().authority_pem(authority.pem()).server_name("ingest.example");
    assert!(accepted(&fake, without.clone()).await.unwrap_err().starts_with("UNAVAILABLE"));
    let (certificate, key) = authority.issue("client.example");
    assert_eq!(accepted(&fake, without.identity_pem(certificate, key)).await, Ok(1));
}
