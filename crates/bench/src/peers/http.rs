//! HTTP/1 requests over one connection.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection, which is used for one request after the other.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    address: String,
}

impl Connection {
    /// Connects to an address such as `127.0.0.1:8086`.
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // An error of the connection is that of the request which needs it.
        tokio::spawn(connection);
        Ok(Self { sender, address: address.to_owned() })
    }

    /// Sends a body, and returns that of the answer.
    pub async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Result<Bytes> {
        self.send(path, "text/plain", body.into()).await
    }

    /// Sends parameters as a form does, and returns the body of the answer.
    pub async fn post_form(&mut self, path: &str, parameters: &[(&str, &str)]) -> Result<Bytes> {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        self.send(path, "application/x-www-form-urlencoded", form.into()).await
    }

    async fn send(&mut self, path: &str, content_type: &str, body: Bytes) -> Result<Bytes> {
        let request = Request::post(path)
            .header(HOST, &self.address)
            .header(CONTENT_TYPE, content_type)
            .body(Full::new(body))?;
        let sent = async {
            self.sender.ready().await?;
            let answer = self.sender.send_request(request).await?;
            let status = answer.status();
            anyhow::Ok((status, answer.into_body().collect().await?.to_bytes()))
        };
        let (status, body) = sent.await.with_context(|| format!("POST {path} to {}", self.address))?;
        ensure!(
            status.is_success(),
            "POST {path} to {}: expected success, found {status}: {}",
            self.address,
            String::from_utf8_lossy(&body)
        );
        Ok(body)
    }
}
