//! A hub on the loopback, and a node that reaches it.

use std::{path::Path, sync::Arc, time::Duration};

use synckit::{
    EventStore, Hub, SyncNode,
    store_sqlite::SqliteStore,
    transport_http::{HttpTransport, ServerOptions, router, serve},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::world::Outcome;

/// A hub that is being served.
pub(crate) struct Served {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) url: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<synckit::Result<()>>,
}

impl Served {
    pub(crate) async fn start(store: SqliteStore) -> Outcome<Self> {
        let store: Arc<dyn EventStore> = Arc::new(store);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/sync", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // Whoever stops it may be gone.
            let _ = stopped.await;
        };
        let router = router(Hub::new(Arc::clone(&store)), ServerOptions::default());
        let serving = tokio::spawn(serve(listener, router, shutdown, Duration::from_secs(1)));
        Ok(Self { store, url, stop, serving })
    }

    /// Ends it, and closes the store.
    pub(crate) async fn stop(self) -> Outcome<()> {
        // It may have ended by itself.
        let _ = self.stop.send(());
        self.serving.await??;
        Ok(self.store.close().await?)
    }
}

/// A node on a store, with the defaults.
pub(crate) fn node(store: SqliteStore, url: &str) -> Outcome<SyncNode> {
    Ok(SyncNode::builder(Arc::new(store)).transport(Arc::new(HttpTransport::new(url)?)).build()?)
}

/// The size of a file, for progress.
pub(crate) fn mib(path: &Path) -> u64 {
    path.metadata().map_or(0, |m| m.len() >> 20)
}
