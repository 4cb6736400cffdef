//! The hub as a process, and signals.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::support::Bench;

#[test]
fn the_first_line_says_where() {
    let bench = Bench::new();
    let hub = bench.serve("hub");
    let port: u16 = hub.address().strip_prefix("127.0.0.1:").unwrap().parse().unwrap();
    assert_ne!(port, 0);
    assert_eq!(hub.first_line, format!("listening on http://127.0.0.1:{port}/sync\n"));
    assert!(bench.dir.path().join("hub.db").is_file());
    let taken = ["serve", "--store", "sqlite:other.db", "--listen", &hub.address()];
    bench.run(&taken).failed(1, &["cannot listen", &hub.address()]);
}

#[test]
fn the_store_is_made_as_in_init() {
    let bench = Bench::new();
    let args = ["serve", "--store", "sqlite:hub.db", "--listen", "127.0.0.1:0"];
    let made = [&args[..], &["--json", "--node", "H", "--mode", "vector"]].concat();
    let line: Value = serde_json::from_str(&bench.serve_with(&made).first_line).unwrap();
    assert!(line["listening"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let status = bench.run(&["status", "--json", "--store", "sqlite:hub.db"]).ok().json();
    assert_eq!((status["label"].as_str(), status["mode"].as_str()), (Some("H"), Some("vector")));
    assert_eq!(status["node"], line["node"]);
    bench.run(&[&args[..], &["--mode", "integer"]].concat()).failed(1, &["vector"]);
    bench.serve_with(&args);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_gracefully() {
    for signal in ["TERM", "INT"] {
        let bench = Bench::with(&["a"]);
        let mut hub = bench.serve("hub");
        bench.append("a", "e1", "x", "1");
        bench.sync("a", &hub.url, &[]);
        hub.signal(signal);
        assert_eq!(hub.child.wait().unwrap().code(), Some(0), "{signal}");
        assert_eq!(bench.digest("hub"), bench.digest("a"));
    }
}

/// A request whose body never comes to its end.
#[cfg(unix)]
fn unfinished_request(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = "POST /sync/push HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 1000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    // The hub says that it is reading the body.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    stream
}

#[cfg(unix)]
#[test]
fn what_does_not_end_within_the_grace_is_cut_off() {
    let bench = Bench::new();
    let args = ["serve", "--store", "sqlite:hub.db", "--listen", "127.0.0.1:0", "--grace", "50ms"];
    let mut hub = bench.serve_with(&args);
    let _stream = unfinished_request(&hub.address());
    hub.signal("TERM");
    assert_eq!(hub.child.wait().unwrap().code(), Some(143));
}

#[cfg(unix)]
#[test]
fn a_second_signal_ends_it_at_once() {
    let bench = Bench::new();
    let args = ["serve", "--store", "sqlite:hub.db", "--listen", "127.0.0.1:0", "--grace", "1h"];
    let mut hub = bench.serve_with(&args);
    let mut stream = unfinished_request(&hub.address());
    hub.signal("TERM");
    // The listener is gone once the first signal was taken.
    while TcpStream::connect(hub.address()).is_ok() {
        std::thread::yield_now();
    }
    hub.signal("INT");
    assert_eq!(hub.child.wait().unwrap().code(), Some(130));
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    bench.run(&["digest", "--store", "sqlite:hub.db"]).ok();
}

#[cfg(unix)]
#[test]
fn signals_end_commands_with_a_consistent_store() {
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let bench = Bench::with(&["a"]);
        let mut child = bench
            .command(&["import", "-vv", "--store", "sqlite:a.db", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let line = |n: u32| {
            format!(
                "{{\"specversion\":\"1.0\",\"source\":\"s\",\"id\":\"e{n}\",\"type\":\"t\",\"subject\":\"x\"}}\n"
            )
        };
        // Writing more than the pipe holds waits until the command reads, and it watches for signals by then.
        (0..30_000).for_each(|n| stdin.write_all(line(n).as_bytes()).unwrap());
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(status));
        drop(stdin);
        let events = bench.digest("a")["events"].as_u64().unwrap();
        assert_eq!(bench.export("a").lines().count() as u64, events);
        let again: String = (0..30_000).map(line).collect();
        assert_eq!(bench.import("a", again.as_bytes()).1["duplicates"], events);
        assert_eq!(bench.digest("a")["events"], 30_000);
    }
}
