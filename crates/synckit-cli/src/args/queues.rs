//! What may be typed about conflicts and refused events.

use clap::{Args, Subcommand};
use synckit::{ConflictId, EventId};

use super::{
    OnlyStore, Undo,
    values::{RemoteUrl, RemoteUrls, name},
};

#[derive(Args)]
pub(crate) struct Conflicts {
    #[command(subcommand)]
    pub(crate) command: ConflictsCommand,
}

#[derive(Subcommand)]
pub(crate) enum ConflictsCommand {
    /// The open conflicts
    #[command(after_help = "Example:\n  synckit conflicts list --store sqlite:shop.db")]
    List(OnlyStore),
    /// What each side of a conflict says
    #[command(after_help = "Example:\n  synckit conflicts show c-0123456789abcdef --store sqlite:shop.db")]
    Show(Conflict),
    /// Decide a conflict: of what its sides do not share, the named events count
    #[command(
        after_help = "A side's head stands for the whole side. A conflict that was decided already is decided anew. The \
        decision is an event, and reaches every replica with the next syncs.\n\n\
        Example:\n  synckit conflicts resolve c-0123456789abcdef --store sqlite:shop.db --keep order-1-paid"
    )]
    Resolve(Resolve),
    /// Take back what was decided on a conflict; once more restores it
    #[command(
        after_help = "What was built on the decision stays. --dry-run says what would count again, what no longer, and what was \
        built on it.\n\n\
        Example:\n  synckit conflicts undo c-0123456789abcdef --store sqlite:shop.db --dry-run"
    )]
    Undo(Undo),
}

#[derive(Args)]
pub(crate) struct Conflict {
    /// The conflict
    #[arg(value_name = "ID", value_parser = name::<ConflictId>)]
    pub(crate) id: ConflictId,
    #[command(flatten)]
    pub(crate) at: OnlyStore,
}

#[derive(Args)]
pub(crate) struct Person {
    /// Who decides; the user who is logged in unless given
    #[arg(long, value_name = "USER")]
    pub(crate) by: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Args)]
pub(crate) struct Resolve {
    #[command(flatten)]
    pub(crate) conflict: Conflict,
    /// Events that count
    #[arg(long, value_name = "EVENT_ID", required = true, num_args = 1.., value_parser = name::<EventId>)]
    pub(crate) keep: Vec<EventId>,
    #[command(flatten)]
    pub(crate) person: Person,
}

#[derive(Args)]
pub(crate) struct Refused {
    #[command(subcommand)]
    pub(crate) command: RefusedCommand,
}

#[derive(Subcommand)]
pub(crate) enum RefusedCommand {
    /// What was refused, by whom, and why
    #[command(after_help = "Example:\n  synckit refused list --store sqlite:shop.db")]
    List(OnlyStore),
    /// Try an event again: one that is held here at once, one that a peer refused at the next sync
    #[command(after_help = "Example:\n  synckit refused retry order-1-paid --store sqlite:shop.db")]
    Retry(Retry),
    /// Give up an event of one's own that a peer refused, for good and everywhere
    #[command(after_help = "Example:\n  synckit refused withdraw order-1-paid --store sqlite:shop.db")]
    Withdraw(RefusedEvent),
    /// Issue an event of one's own again under a new id, because its id names another event
    #[command(
        after_help = "Example:\n  synckit refused reissue order-1-paid order-1-paid-2 --store sqlite:shop.db"
    )]
    Reissue(Reissue),
}

#[derive(Args)]
pub(crate) struct Reissue {
    #[command(flatten)]
    pub(crate) event: RefusedEvent,
    /// The new id
    #[arg(value_name = "NEW_ID", value_parser = name::<EventId>)]
    pub(crate) new_id: EventId,
}

#[derive(Args)]
pub(crate) struct RefusedEvent {
    /// The event
    #[arg(value_name = "ID", value_parser = name::<EventId>)]
    pub(crate) id: EventId,
    #[command(flatten)]
    pub(crate) at: OnlyStore,
}

#[derive(Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    pub(crate) event: RefusedEvent,
    /// Sync with this hub now, to offer the event again
    #[arg(long, value_name = "URL", env = "SYNCKIT_REMOTE", hide_env_values = true, value_parser = RemoteUrls)]
    pub(crate) remote: Option<RemoteUrl>,
}
