//! Endpoints of flows: a real HTTP server that answers, fails, hangs, redirects and streams endlessly.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ACTIVE: &str = r#"{"data":{"status":"active"}}"#;

/// A server that runs until the test ends.
pub struct Endpoint {
    address: SocketAddr,
    seen: Arc<Mutex<HashMap<String, usize>>>,
}

impl Endpoint {
    /// Listens on a free port of every IPv4 and IPv6 address of this machine. The first part of a path determines the
    /// answer: `active`, `slow`, `down`, `other`, `hang`, `redirect` or `stream`.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("[::]:0").await.unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
        let seen = Arc::<Mutex<HashMap<String, usize>>>::default();
        let counted = seen.clone();
        tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                // A client that disconnects only ends its own connection.
                tokio::spawn(answer(connection, address, counted.clone()));
            }
        });
        Self { address, seen }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The number of requests to a path so far.
    pub fn seen(&self, path: &str) -> usize {
        self.seen.lock().unwrap().get(path).copied().unwrap_or(0)
    }
}

async fn answer(
    mut connection: TcpStream,
    address: SocketAddr,
    seen: Arc<Mutex<HashMap<String, usize>>>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    // The ping is the end of what is asked.
    while !request.ends_with(br#"{"action":"ping"}"#) {
        if connection.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
    assert!(request.starts_with("POST /"), "{request}");
    let kind = path.split('/').next().unwrap().to_owned();
    *seen.lock().unwrap().entry(path).or_default() += 1;
    let (status, header, body) = match kind.as_str() {
        "active" => ("200 OK", String::new(), ACTIVE),
        "slow" => {
            tokio::time::sleep(Duration::from_secs(1)).await;
            ("200 OK", String::new(), ACTIVE)
        }
        "other" => ("200 OK", String::new(), r#"{"data":{"status":"paused"}}"#),
        "redirect" => ("307 Temporary Redirect", format!("location: http://{address}/active/else\r\n"), ""),
        "hang" => return std::future::pending().await,
        "stream" => {
            connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                connection.write_all(&[b' '; 1_000]).await?;
            }
        }
        _ => ("500 Internal Server Error", String::new(), ACTIVE),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{header}content-length: {length}\r\nconnection: close\r\n\r\n");
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(body.as_bytes()).await
}
