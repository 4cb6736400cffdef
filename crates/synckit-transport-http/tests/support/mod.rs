//! Servers and clients for tests.
#![allow(dead_code, unreachable_pub)]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use synckit_core::{Event, EventStore, Hub, Result, store::Write};
use synckit_store_mem::MemStore;
use synckit_transport_http::{ServerOptions, router, serve};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

/// A hub on a port of its own.
pub struct Server {
    pub address: SocketAddr,
    pub store: Arc<MemStore>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<()>>,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(ServerOptions::default()).await
    }

    pub async fn with(options: ServerOptions) -> Self {
        let store = Arc::new(MemStore::new());
        let app = router(Hub::new(Arc::clone(&store) as Arc<dyn EventStore>), options);
        Self::serving(store, app, Duration::from_secs(10)).await
    }

    pub async fn serving(store: Arc<MemStore>, app: axum::Router, grace: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(serve(listener, app, async { drop(stopped.await) }, grace));
        Self { address, store, stop, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}/sync", self.address)
    }

    pub async fn append(&self, events: Vec<Event>) {
        self.store.write(Write::Append(events)).await.unwrap();
    }

    pub async fn stop(self) {
        drop(self.stop);
        self.task.await.unwrap().unwrap();
    }

    pub async fn connect(&self) -> Raw {
        Raw(BufReader::new(TcpStream::connect(self.address).await.unwrap()))
    }

    /// One request with these headers on a connection of its own.
    pub async fn request(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut raw = self.connect().await;
        raw.send(line, headers, body).await;
        raw.answer().await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.request(&format!("POST {path}"), &[("Content-Type", "application/json")], body.as_bytes()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(&format!("GET {path}"), &[], b"").await
    }
}

/// A connection without any client library.
pub struct Raw(pub BufReader<TcpStream>);

impl Raw {
    pub async fn send(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{line} HTTP/1.1\r\nHost: hub\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        self.write(&bytes).await;
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }

    /// Reads the next answer, which has a content length.
    pub async fn answer(&mut self) -> Answer {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        let status =
            line.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {line:?}")).parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            match line.trim().split_once(':') {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => break,
            }
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        answer.body.resize(answer.header("content-length").unwrap().parse().unwrap(), 0);
        self.0.read_exact(&mut answer.body).await.unwrap();
        answer
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A peer that reads one request per connection and answers with fixed bytes.
pub struct Fake {
    pub address: SocketAddr,
    pub requests: Arc<std::sync::Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Fake {
    /// Closes each connection after its answer.
    pub async fn answering(answers: Vec<Vec<u8>>) -> Self {
        Self::start(answers, false).await
    }

    /// Answers twice, and keeps both connections open.
    pub async fn stuck_after(answer: &[u8]) -> Self {
        Self::start(vec![answer.to_vec(); 2], true).await
    }

    async fn start(answers: Vec<Vec<u8>>, hold: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            let mut open = Vec::new();
            for answer in answers {
                let (stream, _) = listener.accept().await.unwrap();
                let mut raw = BufReader::new(stream);
                let request = read_request(&mut raw).await;
                seen.lock().unwrap().push(request);
                raw.get_mut().write_all(&answer).await.unwrap();
                if hold {
                    open.push(raw);
                }
            }
            std::future::pending::<()>().await;
        });
        Self { address, requests, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}/sync", self.address)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_request(raw: &mut BufReader<TcpStream>) -> String {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        assert_ne!(raw.read_line(&mut text).await.unwrap(), 0, "half a request: {text:?}");
    }
    let length = text
        .lines()
        .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    raw.read_exact(&mut body).await.unwrap();
    text + &String::from_utf8_lossy(&body)
}

/// An answer with this status and body.
pub fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len())
            .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// An answer of a hub of this kit to a greeting.
pub fn kit_greeting() -> Vec<u8> {
    let zero = "0".repeat(64);
    let id = "1".repeat(32);
    let body = format!(
        r#"{{"log":"{id}","node":"{id}","mode":"integer","head":{{"position":0,"hash":"{zero}"}},"verified":true}}"#
    );
    answer("200 OK", "", body.as_bytes())
}

pub fn event(id: &str, data: &str) -> Event {
    let mut event = Event::new("placed", "order-1", &()).unwrap().with_id(id).unwrap();
    event.data = synckit_core::Payload::json_text(data).unwrap();
    event
}
