//! Hubs that cannot be trusted.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use crate::support::Bench;

/// Answers every connection with these bytes, for as long as the test runs. None: never answers.
fn answering(answer: Option<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://u:secret@{}/sync", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut held: Vec<TcpStream> = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            match &answer {
                Some(answer) => drop(stream.write_all(answer)),
                None => held.push(stream),
            }
        }
    });
    url
}

fn response(status: &str, headers: &str, body: &[u8]) -> Option<Vec<u8>> {
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n");
    Some([head.as_bytes(), body].concat())
}

#[test]
fn they_fail_the_sync_and_leave_the_store_as_it_was() {
    let bench = Bench::with(&["a"]);
    bench.append("a", "e1", "x", "1");
    let before = bench.digest("a");
    let bomb = {
        use flate2::{Compression, write::GzEncoder};
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        (0..64).for_each(|_| encoder.write_all(&vec![b' '; 1 << 20]).unwrap());
        encoder.finish().unwrap()
    };
    let bomb_headers = format!("content-encoding: gzip\r\ncontent-length: {}\r\n", bomb.len());
    for (what, answer) in [
        ("500", response("500 Internal Server Error", "content-length: 4\r\n", b"oops")),
        ("401", response("401 Unauthorized", "content-length: 0\r\n", b"")),
        ("garbage", Some(b"\x00\x01garbage\r\n\r\n".to_vec())),
        ("not JSON", response("200 OK", "content-length: 7\r\n", b"<html/>")),
        ("half a body", response("200 OK", "content-length: 500\r\n", b"{\"log\":")),
        ("a gzip bomb", response("200 OK", &bomb_headers, &bomb)),
        ("no answer", None),
    ] {
        let url = answering(answer);
        let args = ["sync", "--store", "sqlite:a.db", "--remote", &url, "--timeout", "2s"];
        let ran = bench.run(&args).failed(1, &[]);
        assert!(!ran.stderr.contains("secret"), "{what}: {ran:?}");
        let loud = bench.run(&[&args[..], &["-vvv"]].concat());
        assert!(!loud.stderr.contains("secret"), "{what}: {loud:?}");
        assert_eq!(bench.digest("a"), before, "{what}");
    }
    // Nobody listens on port 1.
    bench.run(&["sync", "--store", "sqlite:a.db", "--remote", "http://127.0.0.1:1/sync"]).failed(1, &[]);
    let with_token = ["sync", "--store", "sqlite:a.db", "--remote", "http://h/sync?token=secret"];
    let ran = bench.run(&with_token).failed(1, &["query"]);
    assert!(!ran.stderr.contains("secret"), "{ran:?}");
}
