//! Three airports record the same aircraft without a network, meet at a hub, disagree, and end with the same answer.
//!
//! ```text
//! cargo run --release --example quickstart
//! ```
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)]

use std::{
    error::Error,
    io::{BufReader, Read as _},
    sync::Arc,
    time::Duration,
};

use synckit::{Hub, node::Superseded, prelude::*, transport_http};
use synckit_examples::read_cloudevents;

const AIRPORTS: [&str; 3] = ["EWR", "JFK", "LGA"];
const FLIGHTS: &[u8] = include_bytes!("data/flights-2013-01-01.ndjson.gz");
const MOST_ROUNDS: usize = 5;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let backends = Backends::new();
    let url = |name: &str| format!("sqlite:{}", folder.path().join(format!("{name}.db")).display());

    println!(
        "A hub and three replicas, each on a SQLite file of its own. The airports record without a network."
    );
    let hub = backends.create_store(&url("hub"), &CreateOptions::labelled("hub")).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}/sync", listener.local_addr()?);
    let router = transport_http::router(Hub::new(Arc::clone(&hub)), transport_http::ServerOptions::default());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let server = tokio::spawn(transport_http::serve(listener, router, shutdown, Duration::from_secs(5)));

    let flights = flights()?;
    let mut airports = Vec::new();
    for name in AIRPORTS {
        let store = backends.create_store(&url(name), &CreateOptions::labelled(name)).await?;
        let node = SyncNode::builder(store).transport(backends.connect(&address)?).build()?;
        let source = format!("/airports/{name}");
        let own = flights.iter().filter(|e| e.metadata.get_str("source").as_deref() == Some(&*source));
        let written = node.append(own.cloned().collect()).await?;
        airports.push(Airport { name, node, before: written.accepted(), found: 0, resolved: 0 });
    }

    let rounds = sync_until_quiet(&mut airports).await?;
    println!("They synced over HTTP until nothing moved any more: {rounds} rounds.\n");
    table(&airports, &hub).await?;
    if let Some(aircraft) = disputed(&airports[0].node).await? {
        history(&airports[0].node, &aircraft).await?;
    }

    for airport in &airports {
        airport.node.close().await?;
    }
    // The server ends by itself if nobody is there to be told.
    let _ = stop.send(());
    server.await??;
    hub.close().await?;
    folder.close()?;
    Ok(())
}

struct Airport {
    name: &'static str,
    node: SyncNode,
    before: usize,
    found: usize,
    resolved: usize,
}

fn flights() -> Outcome<Vec<Event>> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(FLIGHTS).read_to_string(&mut text)?;
    read_cloudevents(BufReader::new(text.as_bytes()))
}

async fn sync_until_quiet(airports: &mut [Airport]) -> Outcome<usize> {
    for round in 1..=MOST_ROUNDS {
        let mut moved = 0;
        for airport in airports.iter_mut() {
            let report = airport.node.sync().await?;
            moved += report.pushed + report.pulled;
            airport.found += report.conflicts.found;
            airport.resolved += report.conflicts.resolved;
        }
        if moved == 0 {
            return Ok(round);
        }
    }
    Err("the replicas did not come to rest".into())
}

async fn table(airports: &[Airport], hub: &Arc<dyn EventStore>) -> Outcome<()> {
    println!("replica  recorded   after  conflicts found  decided  open  view");
    for airport in airports {
        let (digest, status) = (airport.node.digest().await?, airport.node.status().await?);
        println!(
            "{:<7} {:>9} {:>7} {:>16} {:>8} {:>5}  {:.16}",
            airport.name,
            airport.before,
            digest.events,
            airport.found,
            airport.resolved,
            status.conflicts,
            digest.view.to_string()
        );
    }
    let hub = SyncNode::builder(Arc::clone(hub)).build()?;
    let (digest, status) = (hub.digest().await?, hub.status().await?);
    let view = digest.view.to_string();
    println!(
        "{:<7} {:>9} {:>7} {:>16} {:>8} {:>5}  {view:.16}",
        "hub", "", digest.events, "", "", status.conflicts
    );
    for airport in airports {
        if airport.node.digest().await? != digest {
            return Err(format!("{} differs from the hub", airport.name).into());
        }
    }
    println!("\nAll four hold the same events with the same stamps, and count the same ones.");
    Ok(())
}

/// An aircraft on which the airports disagreed.
async fn disputed(node: &SyncNode) -> Outcome<Option<AggregateId>> {
    let superseded = node.superseded(None).await?;
    let events = node.store().load(&superseded.into_keys().collect::<Vec<_>>()).await?;
    Ok(events.into_iter().map(|e| e.event.aggregate_id).min())
}

async fn history(node: &SyncNode, aircraft: &AggregateId) -> Outcome<()> {
    println!(
        "\nThe aircraft {aircraft}, as every replica tells it now. The last write wins, by when it was recorded:\n"
    );
    node.history(Some(aircraft), 0, |item| {
        let event = &item.entry.event;
        let fate = match &item.superseded {
            None => String::from("counts"),
            Some(Superseded::By(decision)) => format!("superseded by {decision:.22}"),
            Some(_) => String::from("does not count"),
        };
        let time = event.metadata.get_str("time").unwrap_or_default();
        println!(
            "{:>5}  {:<20}  {:<18}  {:<32}  {fate}",
            item.entry.position, time, event.event_type, event.id
        );
        if event.event_type.is_reserved() {
            println!("       {}", event.data.as_json().unwrap_or_default());
        }
        Ok::<(), synckit::Error>(())
    })
    .await?;
    Ok(())
}
