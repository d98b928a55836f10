//! A TCP proxy that stands between two parts and fails when it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A proxy to one address.
pub struct Proxy {
    address: SocketAddr,
    faults: Arc<Faults>,
}

struct Faults {
    /// What clients send is taken and goes nowhere.
    deaf: AtomicBool,
    /// Connections are refused.
    away: AtomicBool,
    /// Counts up to end the connections that there are.
    cut: watch::Sender<u64>,
}

impl Proxy {
    /// Starts a proxy to `target`, such as `127.0.0.1:5672`.
    pub async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let faults = Arc::new(Faults {
            deaf: AtomicBool::new(false),
            away: AtomicBool::new(false),
            cut: watch::channel(0).0,
        });
        let shared = faults.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !shared.away.load(Ordering::SeqCst) {
                    tokio::spawn(carry(client, target.clone(), shared.clone()));
                }
            }
        });
        Self { address, faults }
    }

    /// The URL with the proxy in the place of its host and port.
    pub fn in_url(&self, url: &str) -> String {
        let (head, tail) = url.rsplit_once('@').expect("the URL has credentials");
        let path = tail.find('/').map_or("", |at| &tail[at..]);
        format!("{head}@{}{path}", self.address)
    }

    /// What clients send from now on is taken and goes nowhere.
    pub fn swallow_requests(&self) {
        self.faults.deaf.store(true, Ordering::SeqCst);
    }

    /// Ends every connection and refuses others.
    pub fn go_away(&self) {
        self.faults.away.store(true, Ordering::SeqCst);
        self.faults.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Works again.
    pub fn recover(&self) {
        self.faults.deaf.store(false, Ordering::SeqCst);
        self.faults.away.store(false, Ordering::SeqCst);
    }
}

async fn carry(client: TcpStream, target: String, faults: Arc<Faults>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let mut cut = faults.cut.subscribe();
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    tokio::select! {
        () = pump(client_reads, server_writes, Some(&faults.deaf)) => {}
        () = pump(server_reads, client_writes, None) => {}
        _ = cut.changed() => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    swallowing: Option<&AtomicBool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let swallowed = swallowing.is_some_and(|swallowing| swallowing.load(Ordering::SeqCst));
        if !swallowed && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
