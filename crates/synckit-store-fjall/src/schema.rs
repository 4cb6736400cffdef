//! The store's own two rows: the node, and what is said of it once.

use synckit_core::{CursorMode, Mark, NodeId, Result, Timestamp, plan::NodeState, store::Standing};

use crate::{
    batch::Batch,
    config::FjallConfig,
    engine::Engine,
    error::damaged,
    keys::Kind,
    row::{RowReader, RowWriter},
    view::View,
};

/// The node, and how many conflicts are open.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) state: NodeState,
    pub(crate) conflicts: u64,
}

/// What is said of the node beside its state.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) label: String,
    pub(crate) mode: CursorMode,
    pub(crate) standing: Standing,
    /// Where the store was when it was opened last.
    pub(crate) home: Option<String>,
}

pub(crate) fn node(view: &View<'_>) -> Result<Node> {
    let row = view.get(&view.tables.small, Kind::Node.alone())?;
    let row = row.ok_or_else(|| damaged("the row of the node is missing"))?;
    let mut row = RowReader::open(&row, 0)?;
    let (log, node, counter, clock) =
        (row.log()?, row.node()?, row.u64()?, Timestamp::from_micros(row.u64()?));
    let head = Mark { position: row.u64()?, hash: row.hash()? };
    let conflicts = row.u64()?;
    let former = row.bytes()?.chunks(16).map(NodeId::from_slice).collect::<Result<Vec<_>>>();
    let former = former.map_err(|e| damaged("a former node is damaged").with_source(e))?;
    Ok(Node { state: NodeState { log, node, former, counter, clock, head }, conflicts })
}

pub(crate) fn put_node(batch: &mut Batch, node: &Node) {
    let Node { state, conflicts } = node;
    let mut row = RowWriter::new();
    row.fixed(&state.log.to_bytes())
        .fixed(&state.node.to_bytes())
        .u64(state.counter)
        .u64(state.clock.as_micros())
        .u64(state.head.position)
        .fixed(state.head.hash.as_bytes())
        .u64(*conflicts)
        .bytes(&state.former.iter().flat_map(|n| n.to_bytes()).collect::<Vec<u8>>());
    batch.put_small(Kind::Node.alone(), row.seal(0));
}

pub(crate) fn about(view: &View<'_>) -> Result<About> {
    let row = view.get(&view.tables.small, Kind::About.alone())?;
    let row = row.ok_or_else(|| damaged("the row about the node is missing"))?;
    let mut row = RowReader::open(&row, 0)?;
    Ok(About {
        label: row.text()?.to_owned(),
        mode: row.text()?.parse()?,
        standing: Standing::parse(row.text()?)?,
        home: row.optional()?.map(str::to_owned),
    })
}

pub(crate) fn put_about(batch: &mut Batch, about: &About) {
    let mut row = RowWriter::new();
    row.text(&about.label)
        .text(&about.mode.to_string())
        .text(&about.standing.to_text())
        .optional(about.home.as_deref());
    batch.put_small(Kind::About.alone(), row.seal(0));
}

/// Gives a store that lives somewhere else than when it was last opened a new node and a new log: it was copied.
pub(crate) fn settle(engine: &Engine, config: &FjallConfig) -> Result<Option<(NodeId, NodeId)>> {
    let Some(home) = engine.home() else { return Ok(None) };
    let view = engine.view("open store");
    let mut about = about(&view)?;
    if about.home.as_ref() == Some(&home) {
        return Ok(None);
    }
    let copied = about.home.replace(home).is_some() && !config.taken_for_the_original;
    let mut node = node(&view)?;
    let former = node.state.node;
    let mut batch = engine.batch();
    if copied {
        let NodeState { log, node: id, .. } = config.settings.new_node();
        node.state.former.push(former);
        (node.state.log, node.state.node, node.state.counter) = (log, id, 0);
        put_node(&mut batch, &node);
    }
    put_about(&mut batch, &about);
    engine.commit(batch, node.state.head)?;
    Ok(copied.then_some((former, node.state.node)))
}
