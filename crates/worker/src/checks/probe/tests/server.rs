//! A server that answers checks correctly or incorrectly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// How a server handles a connection.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Sends the bytes and closes the connection.
    Bytes(Vec<u8>),
    /// Sends the first text, and then the second one repeatedly.
    Endless(&'static str, &'static str),
    /// Like `Endless`, but slowly.
    Slow(&'static str, &'static str),
    /// Sends nothing.
    Silence,
    /// Closes the connection without reading the request.
    Hangup,
}

impl Answer {
    /// An answer with a status line and a body.
    pub fn http(status: &str, body: &str) -> Self {
        let text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        Self::Bytes(text.into_bytes())
    }

    /// The expected answer.
    pub fn active() -> Self {
        Self::http("200 OK", r#"{"data":{"status":"active"}}"#)
    }
}

/// The pause between two parts of a slow answer.
const PAUSE: Duration = Duration::from_millis(5);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A server on a free port of this machine.
pub struct Server {
    pub address: SocketAddr,
    /// The requests of connections that have ended.
    ended: mpsc::UnboundedReceiver<String>,
}

impl Server {
    pub async fn start(answer: Answer) -> Self {
        Self::start_with(answer, None).await
    }

    pub async fn start_tls(answer: Answer, tls: TlsAcceptor) -> Self {
        Self::start_with(answer, Some(tls)).await
    }

    async fn start_with(answer: Answer, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = mpsc::unbounded_channel();
        let tls = tls.map(Arc::new);
        tokio::spawn(async move {
            // Connections are handled sequentially, so that they end in the order in which they arrived.
            while let Ok((stream, _)) = listener.accept().await {
                let request = match &tls {
                    None => serve(Box::new(stream), &answer).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => serve(Box::new(stream), &answer).await,
                        Err(error) => error.to_string(),
                    },
                };
                if end.send(request).is_err() {
                    return;
                }
            }
        });
        Self { address, ended }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The request of the next connection that has ended.
    pub async fn next_request(&mut self) -> String {
        self.ended.recv().await.unwrap()
    }

    /// Whether there was no connection yet. Makes a connection to test that it is the first.
    pub async fn is_untouched(&mut self) -> bool {
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        // The connection can be closed already.
        let _ = stream.write_all(b"first\r\n\r\n").await;
        drop(stream);
        self.next_request().await.starts_with("first")
    }
}

fn serve(mut stream: Box<dyn Stream>, answer: &Answer) -> BoxFuture<'_, String> {
    Box::pin(async move {
        if matches!(answer, Answer::Hangup) {
            return String::new();
        }
        let request = read_request(&mut stream).await;
        // An error means that the client has closed the connection.
        let _ = send(&mut stream, answer).await;
        let _ = stream.shutdown().await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        request
    })
}

async fn send(stream: &mut Box<dyn Stream>, answer: &Answer) -> std::io::Result<()> {
    match answer {
        Answer::Bytes(bytes) => stream.write_all(bytes).await,
        Answer::Endless(first, then) => {
            stream.write_all(first.as_bytes()).await?;
            loop {
                stream.write_all(then.as_bytes()).await?;
            }
        }
        Answer::Slow(first, then) => {
            stream.write_all(first.as_bytes()).await?;
            // Until the client ends the connection.
            while timeout(PAUSE, stream.read(&mut [0])).await.is_err() {
                stream.write_all(then.as_bytes()).await?;
            }
            Ok(())
        }
        Answer::Silence => stream.read_to_end(&mut Vec::new()).await.map(|_| ()),
        Answer::Hangup => Ok(()),
    }
}

/// Reads the head of a request, and the body of a check if it is one.
async fn read_request(stream: &mut Box<dyn Stream>) -> String {
    let mut text = Vec::new();
    let is_whole = |text: &[u8]| {
        // A TLS client of a server without TLS.
        if text.starts_with(&[0x16]) {
            return true;
        }
        let text = String::from_utf8_lossy(text);
        text.split_once("\r\n\r\n")
            .is_some_and(|(head, body)| !head.starts_with("POST") || body.ends_with('}'))
    };
    let mut buffer = [0; 1024];
    while !is_whole(&text) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => text.extend_from_slice(&buffer[..count]),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}
