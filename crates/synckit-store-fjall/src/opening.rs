//! Opening a store, or making one.

use synckit_core::{
    Error, NodeId, Result,
    plan::NodeState,
    store::{Identity, Standing},
};

use crate::{
    config::FjallConfig,
    engine::Engine,
    lookup::Claimed,
    schema::{self, About, Node},
};

/// How a store is to be opened.
#[derive(Debug)]
pub(crate) enum How {
    /// It must exist.
    Open,
    /// It is made if there is none.
    Create,
    /// It is to be filled from the store with this identity.
    Receive(Identity),
}

/// What the next write builds on.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) node: Node,
    pub(crate) about: About,
    pub(crate) claimed: Claimed,
}

impl Writer {
    pub(crate) fn identity(&self) -> Identity {
        let NodeState { log, node, former, .. } = &self.node.state;
        let mut identity = Identity::new(*log, *node, self.about.label.clone(), self.about.mode);
        identity.former.clone_from(former);
        identity
    }
}

/// What was opened.
pub(crate) struct Opened {
    pub(crate) engine: Engine,
    pub(crate) writer: Writer,
    pub(crate) copied: Option<(NodeId, NodeId)>,
}

pub(crate) fn open(config: &FjallConfig, how: &How) -> Result<Opened> {
    let engine = Engine::open(config, || new(config, how))?;
    check_standing(&engine, how)?;
    let copied = match how {
        How::Receive(_) => None,
        How::Open | How::Create => schema::settle(&engine, config)?,
    };
    let view = engine.view("open store");
    let writer =
        Writer { node: schema::node(&view)?, about: schema::about(&view)?, claimed: Claimed::of(&view)? };
    drop(view);
    Ok(Opened { engine, writer, copied })
}

/// What is made if there is nothing.
fn new(config: &FjallConfig, how: &How) -> Option<(NodeState, About)> {
    if matches!(how, How::Open) {
        return None;
    }
    let mut node = config.settings.new_node();
    let mut about = About {
        label: config.settings.label.clone(),
        mode: config.settings.mode,
        standing: Standing::Live,
        home: None,
    };
    if let How::Receive(from) = how {
        (node.log, node.node) = (from.log, from.node);
        about.label.clone_from(&from.label);
        (about.mode, about.standing) = (from.mode, Standing::Filling);
    }
    Some((node, about))
}

/// Whether the store may be opened so.
fn check_standing(engine: &Engine, how: &How) -> Result<()> {
    let view = engine.view("open store");
    let standing = schema::about(&view)?.standing;
    let How::Receive(from) = how else { return standing.may_open() };
    let refused = |what: &str| Err(Error::invalid("fill store", what));
    if standing.may_fill().is_err() {
        return refused("there is a store already; a copy needs a place where there is none");
    }
    let node = schema::node(&view)?.state;
    if (node.log, node.node) != (from.log, from.node) {
        return refused("a copy of another log was begun there; finish that one, or remove it");
    }
    Ok(())
}
