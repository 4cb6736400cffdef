//! `synckit serve`

use std::{sync::Arc, time::Instant};

use serde_json::json;
use synckit::{
    Hub,
    transport_http::{ServerOptions, router, serve},
};
use tokio::net::TcpListener;

use crate::{
    args::Serve,
    failure::{Done, Failure},
    output::Output,
    signals::{Signal, Signals},
    stores,
};

pub(crate) async fn run(args: Serve, out: Output, mut signals: Signals) -> Result<Done, Failure> {
    let Serve { at, listen, grace, node, mode } = args;
    let made = stores::make(&at.store, node.as_deref(), mode.map(Into::into)).await?;
    let store = made.store;
    let listener = TcpListener::bind(&listen)
        .await
        .map_err(|e| Failure::told(format!("cannot listen on {listen}: {e}")))?;
    let address =
        listener.local_addr().map_err(|e| Failure::told(format!("cannot listen on {listen}: {e}")))?;
    let url = format!("http://{address}/sync");
    let identity = store.identity();
    if out.json {
        Output::object(&json!({
            "listening": url,
            "node": identity.node,
            "log": identity.log,
            "label": identity.label,
            "mode": identity.mode,
            "created": made.created,
        }))?;
    } else {
        Output::text(format!("listening on {url}"))?;
    }
    if !address.ip().is_loopback() {
        out.warn(format!("whoever reaches {address} can read and write this store"));
    }
    tracing::info!(node = %identity.node, log = %identity.log, %address, "serving");
    let mut ended: Option<(Signal, Instant)> = None;
    let shutdown = async {
        ended = Some((signals.first().await, Instant::now()));
    };
    serve(listener, router(Hub::new(Arc::clone(&store)), ServerOptions::default()), shutdown, grace).await?;
    store.close().await?;
    Ok(match ended {
        // The server waits for the whole grace only if it has to cut something off.
        Some((signal, since)) if !grace.is_zero() && since.elapsed() >= grace => Done::Stopped(signal),
        _ => Done::Clean,
    })
}
