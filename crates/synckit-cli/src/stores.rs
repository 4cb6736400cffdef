//! Opening stores.

use std::{error::Error as _, sync::Arc};

use synckit::{
    Backends, CreateOptions, CursorMode, ErrorKind, EventStore, SyncNode, SyncNodeBuilder, masked,
};

use crate::{args::StoreUrl, failure::Failure};

/// A store that was opened to be written by a command that may make one.
pub(crate) struct Made {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) created: bool,
}

/// Opens a store that must exist.
pub(crate) async fn open(url: &StoreUrl) -> Result<Arc<dyn EventStore>, Failure> {
    let url = url.as_str();
    if in_memory(url) {
        return Err(Failure::told(format!(
            "{} is in memory and ends with each command; make a store that stays with: synckit init --store sqlite:PATH",
            masked(url)
        )));
    }
    Backends::new().open_store(url).await.map_err(|error| match error.kind() {
        // One with a cause is a file that is there, and cannot be opened.
        ErrorKind::NotFound if error.source().is_none() => {
            Failure::told(format!("{}; make one with: synckit init --store {}", error.message(), masked(url)))
        }
        _ => error.into(),
    })
}

/// Opens a store, and makes it if there is none. One that exists keeps its label and mode; if others are asked for, that
/// is an error.
pub(crate) async fn make(
    url: &StoreUrl,
    label: Option<&str>,
    mode: Option<CursorMode>,
) -> Result<Made, Failure> {
    let backends = Backends::new();
    let wanted =
        label.map_or_else(|| gethostname::gethostname().to_string_lossy().into_owned(), str::to_owned);
    let options = CreateOptions::labelled(wanted).mode(mode.unwrap_or_default());
    if in_memory(url.as_str()) {
        return Ok(Made { store: backends.create_store(url.as_str(), &options).await?, created: true });
    }
    let (store, created) = match backends.open_store(url.as_str()).await {
        Ok(store) => (store, false),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            (backends.create_store(url.as_str(), &options).await?, true)
        }
        Err(error) => return Err(error.into()),
    };
    let identity = store.identity();
    let differs = |what: &str, is: &str, asked: &str| {
        Failure::told(format!(
            "{} exists, and its {what} is {is:?}, not {asked:?}; nothing was changed",
            masked(url.as_str())
        ))
    };
    if let Some(label) = label.filter(|label| *label != identity.label) {
        return Err(differs("node", &identity.label, label));
    }
    if let Some(mode) = mode.filter(|mode| *mode != identity.mode) {
        return Err(differs("mode", &identity.mode.to_string(), &mode.to_string()));
    }
    Ok(Made { store, created })
}

/// Opens a node on a store that must exist, works with it, and closes it whatever comes.
pub(crate) async fn with_node<T>(
    url: &StoreUrl,
    settle: impl FnOnce(SyncNodeBuilder) -> SyncNodeBuilder,
    work: impl AsyncFnOnce(&SyncNode) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let node = settle(SyncNode::builder(open(url).await?)).build()?;
    let done = work(&node).await;
    let closed = node.close().await;
    let done = done?;
    closed?;
    Ok(done)
}

/// Works with a local node.
pub(crate) async fn with_local<T>(
    url: &StoreUrl,
    work: impl AsyncFnOnce(&SyncNode) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_node(url, |builder| builder, work).await
}

/// Whether a store is gone with the process.
pub(crate) fn in_memory(url: &str) -> bool {
    Backends::is_lasting(url).is_ok_and(|lasting| !lasting)
}
