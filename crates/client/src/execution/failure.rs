//! Finds the metric type of an error: by the types of the error and its causes, and otherwise by their messages.
//!
//! An error of a gRPC call without a cause comes from the service, and not from the transport.

use std::error::Error;
use std::io;

use tonic::{Code, Status};

use super::MetricType;
use crate::layer::httpstatus_of_grpc;

/// Phrases in messages and their types, in order of precedence: a TLS handshake may have timed out, and a SOCKS handshake is
/// one with a proxy. The phrases about TLS are those of rustls and OpenSSL, and those about proxies are those of hyper.
const PHRASES: [(MetricType, &[&str]); 4] = [
    (MetricType::ProxyError, &["proxy", "tunnel error", "socks error"]),
    (MetricType::TimeoutError, &["timeout", "timed out"]),
    (
        MetricType::SslError,
        &[
            "tls",
            "ssl",
            "certificate",
            "certificates",
            "handshake",
            "fatal alert",
            "corrupt message",
            "unexpected message got",
            "peer is incompatible",
            "peer misbehaved",
            "decrypt peer",
            "encrypted client hello",
        ],
    ),
    (MetricType::RetryError, &["retries"]),
];

/// Phrases about hosts without an address and lost connections, for errors without a code of the operating system. They
/// decide last, because an error about TLS or a proxy may be the cause of an error about the connection.
const UNCONNECTED: [&str; 11] = [
    "dns",
    "lookup address",
    "name resolution",
    "such host",
    "tcp connect",
    "connection refused",
    "connection reset",
    "connection closed",
    "connection aborted",
    "connection error",
    "broken pipe",
];

pub(super) fn type_of(error: &(dyn Error + 'static)) -> MetricType {
    let causes = || std::iter::successors(Some(error), cause);
    if let Some(code) = causes().find_map(answered) {
        return type_of_code(code);
    }
    if causes().any(is_time_limit) {
        return MetricType::TimeoutError;
    }
    // The message of a status repeats its causes in the format of Debug.
    let in_words = causes().filter(|error| !error.is::<Status>());
    let words: Vec<Words> = in_words.map(|error| Words::of(&error.to_string())).collect();
    let type_of_words = |words: &Words| {
        let (metric_type, _) = PHRASES.iter().find(|(_, phrases)| words.say_any(phrases))?;
        Some(*metric_type)
    };
    if let Some(metric_type) = words.iter().find_map(type_of_words) {
        return metric_type;
    }
    if causes().any(is_unconnected) || words.iter().any(|words| words.say_any(&UNCONNECTED)) {
        return MetricType::ConnectionError;
    }
    MetricType::GeneralError
}

/// The code of a gRPC service, if the service answered.
fn answered(error: &(dyn Error + 'static)) -> Option<Code> {
    error.downcast_ref::<Status>().filter(|status| status.source().is_none()).map(Status::code)
}

fn type_of_code(code: Code) -> MetricType {
    match code {
        Code::DeadlineExceeded => MetricType::TimeoutError,
        Code::Unavailable => MetricType::ConnectionError,
        code => MetricType::of_http_status(httpstatus_of_grpc(code.into())),
    }
}

fn cause<'a>(error: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    (*error).source()
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    error.downcast_ref::<io::Error>().map(io::Error::kind)
}

fn is_time_limit(error: &(dyn Error + 'static)) -> bool {
    error.is::<tokio::time::error::Elapsed>() || io_kind(error) == Some(io::ErrorKind::TimedOut)
}

fn is_unconnected(error: &(dyn Error + 'static)) -> bool {
    matches!(
        io_kind(error),
        Some(
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::NotConnected
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::AddrNotAvailable
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::NetworkDown
                | io::ErrorKind::UnexpectedEof
        )
    )
}

/// The words of a text in lower case, with a space before and after each.
struct Words(String);

impl Words {
    fn of(text: &str) -> Self {
        let mut words = String::from(" ");
        let tokens = text.split_whitespace().filter(|token| !is_address(token)).flat_map(unquoted);
        // A hyphen joins words: my-proxy is a name.
        for word in
            tokens.flat_map(|token| token.split(|char: char| !char.is_ascii_alphanumeric() && char != '-'))
        {
            if !word.is_empty() {
                words.push_str(&word.to_ascii_lowercase());
                words.push(' ');
            }
        }
        Self(words)
    }

    fn say_any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.0.contains(&format!(" {phrase} ")))
    }
}

/// The parts of a token that are not in quotation marks, which are names.
fn unquoted(token: &str) -> impl Iterator<Item = &str> {
    let is_open = token.matches('"').count() % 2 == 1;
    token.split('"').step_by(if is_open { 1 } else { 2 })
}

/// Whether it is a URL, a name with a dot in it, or a host with a port.
fn is_address(token: &str) -> bool {
    let token = token.trim_matches(|char: char| !char.is_ascii_alphanumeric());
    let has_port = || {
        let port = token.rsplit_once(':').map(|(_, port)| port);
        port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    token.contains("://") || token.contains('.') || has_port()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error and its cause.
    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Failed {
        text: &'static str,
        source: Option<Box<dyn Error + 'static>>,
    }

    fn of_texts(texts: &[&'static str]) -> MetricType {
        let mut error: Option<Box<dyn Error>> = None;
        for text in texts.iter().rev() {
            error = Some(Box::new(Failed { text, source: error }));
        }
        type_of(error.expect("there is a text").as_ref())
    }

    #[test]
    fn messages_have_types() {
        use MetricType::{ConnectionError, GeneralError, ProxyError, RetryError, SslError, TimeoutError};
        let url = "error sending request for url (https://proxy.example/certificate)";
        let table: [(&[&str], MetricType); 36] = [
            // Names that have no address.
            (
                &[
                    url,
                    "client error (Connect)",
                    "dns error",
                    "failed to lookup address information: Name or service not known",
                ],
                ConnectionError,
            ),
            (
                &["failed to lookup address information: Temporary failure in name resolution"],
                ConnectionError,
            ),
            (&["No such host is known. (os error 11001)"], ConnectionError),
            // TLS.
            (&["received fatal alert: HandshakeFailure"], SslError),
            (&["connection error", "received fatal alert: UnknownCA"], SslError),
            (&["received corrupt message of type InvalidContentType"], SslError),
            (&["peer is incompatible: NoCipherSuitesInCommon"], SslError),
            (&["received unexpected message: got ApplicationData when expecting Alert"], SslError),
            (&["invalid peer certificate: Expired"], SslError),
            (&["peer sent no certificates"], SslError),
            (&["tls handshake eof"], SslError),
            (&["error:0A000086:SSL routines:tls_post_process_server_certificate:verify failed"], SslError),
            // Connections.
            (&[url, "connection closed before message completed"], ConnectionError),
            (&["operation was canceled", "connection closed"], ConnectionError),
            (&["connection error", "it went away"], ConnectionError),
            (&["Connection refused (os error 111)"], ConnectionError),
            (&["http2 error", "stream closed because of a broken pipe"], ConnectionError),
            // Time limits, proxies, retries.
            (&["operation timed out"], TimeoutError),
            (&["connection error: timeout"], TimeoutError),
            (&["TLS handshake timeout."], TimeoutError),
            (&["the proxy answered 502"], ProxyError),
            (&["Proxy: CONNECT failed", "tls handshake eof"], ProxyError),
            (&["client error (Connect)", "tunnel error: unsuccessful"], ProxyError),
            (&["client error (Connect)", "SOCKS error: io error during SOCKS handshake"], ProxyError),
            (&["too many retries"], RetryError),
            // Names are ignored.
            (&["proxy.example:443 refused"], GeneralError),
            (&["proxy:443 refused"], GeneralError),
            (&["my-proxy refused, and tls.example as well."], GeneralError),
            (&["tcp connect error", "(ssl.timeout.example:443): Connection refused"], ConnectionError),
            (&[url], GeneralError),
            (&[r#"certificate not valid for name "proxy"; it is for DnsName("timeout")"#], SslError),
            (&[r#"refused by "the proxy here""#], ProxyError),
            // Parts of words are ignored.
            (&["the connections closed early"], GeneralError),
            (&["received unexpected message from connection"], GeneralError),
            (&["it failed"], GeneralError),
            (&[""], GeneralError),
        ];
        for (texts, expected) in table {
            assert_eq!(of_texts(texts), expected, "{texts:?}");
        }
    }

    #[test]
    fn codes_of_the_operating_system_have_types() {
        let of = |text, kind: io::ErrorKind| {
            type_of(&Failed { text, source: Some(Box::new(io::Error::from(kind))) })
        };
        let url = "error sending request for url (https://proxy.example/certificate)";
        for (kind, expected) in [
            (io::ErrorKind::TimedOut, MetricType::TimeoutError),
            (io::ErrorKind::ConnectionRefused, MetricType::ConnectionError),
            (io::ErrorKind::ConnectionReset, MetricType::ConnectionError),
            (io::ErrorKind::AddrNotAvailable, MetricType::ConnectionError),
            (io::ErrorKind::NetworkDown, MetricType::ConnectionError),
            (io::ErrorKind::UnexpectedEof, MetricType::ConnectionError),
            (io::ErrorKind::InvalidData, MetricType::GeneralError),
        ] {
            assert_eq!(of(url, kind), expected, "{kind:?}");
        }
        let alert = io::Error::new(io::ErrorKind::InvalidData, "received fatal alert: HandshakeFailure");
        assert_eq!(type_of(&alert), MetricType::SslError);
        assert_eq!(of("the proxy is down", io::ErrorKind::ConnectionRefused), MetricType::ProxyError);
        assert_eq!(of("the proxy is down", io::ErrorKind::TimedOut), MetricType::TimeoutError);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_limit_of_tokio_is_a_timeout() {
        let never = std::future::pending::<()>();
        let elapsed = tokio::time::timeout(std::time::Duration::ZERO, never).await.unwrap_err();
        let failed = Failed { text: "the proxy is down", source: Some(Box::new(elapsed)) };
        assert_eq!(type_of(&failed), MetricType::TimeoutError);
    }
}
