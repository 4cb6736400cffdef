#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use synckit_core::{
    Error, ErrorKind, EventStore, Hub, Result, Transport,
    transport::{Greeting, PeerState, PullPage, PullRequest, PushReply, PushRequest},
};

/// Hubs by name, within one process. Clones are the same network.
#[derive(Debug, Clone, Default)]
pub struct MemNetwork(Arc<Mutex<BTreeMap<String, Place>>>);

#[derive(Debug)]
struct Place {
    hub: Hub,
    reachable: bool,
}

impl MemNetwork {
    /// A network without hubs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a store on the network under a name, in place of what had the name before.
    pub fn expose(&self, name: impl Into<String>, store: Arc<dyn EventStore>) {
        self.lock().insert(name.into(), Place { hub: Hub::new(store), reachable: true });
    }

    /// Makes a hub reachable or unreachable; requests to an unreachable one fail with
    /// [`ErrorKind::Unavailable`]. A name that nobody has is left alone.
    pub fn set_reachable(&self, name: &str, reachable: bool) {
        if let Some(place) = self.lock().get_mut(name) {
            place.reachable = reachable;
        }
    }

    /// The way to the hub with this name, whichever store has the name when a request is made.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if nobody has the name.
    pub fn connect(&self, name: &str) -> Result<MemTransport> {
        if !self.lock().contains_key(name) {
            return Err(Error::new(
                ErrorKind::NotFound,
                "connect",
                format!("there is no hub named {name:?}"),
            ));
        }
        Ok(MemTransport { network: self.clone(), name: name.to_owned(), closed: Arc::default() })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to a hub in the same process; see [`MemNetwork::connect`].
#[derive(Debug, Clone)]
pub struct MemTransport {
    network: MemNetwork,
    name: String,
    closed: Arc<std::sync::atomic::AtomicBool>,
}

impl MemTransport {
    fn hub(&self, operation: &'static str) -> Result<Hub> {
        if self.closed.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Closed, operation, "the transport is closed"));
        }
        match self.network.lock().get(&self.name) {
            Some(place) if place.reachable => Ok(place.hub.clone()),
            _ => Err(Error::new(
                ErrorKind::Unavailable,
                operation,
                format!("the hub {:?} cannot be reached", self.name),
            )),
        }
    }
}

#[async_trait]
impl Transport for MemTransport {
    fn address(&self) -> String {
        format!("mem:{}", self.name)
    }

    async fn greet(&self, greeting: Greeting) -> Result<PeerState> {
        self.hub("greet")?.greet(greeting).await
    }

    async fn pull(&self, request: PullRequest) -> Result<PullPage> {
        self.hub("pull")?.pull(request).await
    }

    async fn push(&self, request: PushRequest) -> Result<PushReply> {
        self.hub("push")?.push(request).await
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    }
}
