use synckit_core::{Transport, transport::Greeting};
use synckit_transport_http::HttpTransport;
#[tokio::main]
async fn main() {
    let der = std::fs::read("/tmp/tlstest/ca.der").unwrap();
    let url = "https://localhost:24443";
    let p = HttpTransport::builder(url).root_certificate(der).build().unwrap();
    println!("trusted: {:?}", p.greet(Greeting::default()).await.map_err(|e| format!("{} {e}", e.kind())));
    let p = HttpTransport::new(url).unwrap();
    println!("untrusted: {:?}", p.greet(Greeting::default()).await.map_err(|e| format!("{} {e}", e.kind())));
    println!("http: {:?}", HttpTransport::new("http://localhost:1").unwrap().greet(Greeting::default()).await.map_err(|e| format!("{} {e}", e.kind())));
}
