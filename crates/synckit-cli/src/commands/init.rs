//! `synckit init`

use serde_json::json;

use crate::{
    args::Init,
    failure::{Done, Failure},
    output::Output,
    stores,
};

pub(super) async fn run(args: Init, out: Output) -> Result<Done, Failure> {
    if stores::in_memory(args.at.store.as_str()) {
        return Err(Failure::told(
            "a store in memory would end with this command; name a file: --store sqlite:PATH",
        ));
    }
    let made = stores::make(&args.at.store, args.node.as_deref(), args.mode.map(Into::into)).await?;
    let identity = made.store.identity();
    made.store.close().await?;
    if out.json {
        Output::object(&json!({
            "node": identity.node,
            "log": identity.log,
            "label": identity.label,
            "mode": identity.mode,
            "created": made.created,
        }))?;
    } else {
        let what =
            if made.created { "made a store" } else { "the store exists already; nothing was changed" };
        Output::text(format!(
            "{what}\nnode  {}  {} ({} mode)\nlog   {}",
            identity.node,
            out.strong(&identity.label),
            identity.mode,
            identity.log
        ))?;
    }
    Ok(Done::Clean)
}
