//! Serving a router on a socket.

use std::{io::ErrorKind as IoErrorKind, pin::pin, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use synckit_core::Result;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::io::Escaping;

/// How long a connection may take over the head of a request, and may rest between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long to wait before trying again when the process has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves `router` over HTTP/1.1 until `shutdown` is ready; then accepts no more, lets the requests that are running end
/// for up to `grace`, and cuts off what still runs.
///
/// Quotes, braces and other characters that HTTP does not allow in a request line are escaped before they are parsed:
/// stock go-sync-kit clients send them. Connections that are silent for a minute are closed.
///
/// Dropping the future closes the listener and all connections at once.
///
/// # Errors
/// None today: a connection that fails ends by itself.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
    grace: Duration,
) -> Result<()> {
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            stream = accept(&listener) => {
                connections.spawn(connection(stream, router.clone(), stopped.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    stop.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, ended).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "requests were cut off: they took longer than the grace"
        );
        connections.shutdown().await;
    }
    Ok(())
}

/// The next connection. Losing one is nothing; having no room is a reason to wait.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error)
                if matches!(
                    error.kind(),
                    IoErrorKind::ConnectionAborted
                        | IoErrorKind::ConnectionRefused
                        | IoErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted now");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "answers may be delayed");
    }
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(Escaping::new(stream)), TowerToHyperService::new(router))
        .with_upgrades();
    let mut served = pin!(served);
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        () = async { drop(stopped.wait_for(|stopped| *stopped).await) } => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended early");
    }
}
