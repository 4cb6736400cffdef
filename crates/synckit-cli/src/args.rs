//! What may be typed.

mod queues;
mod rules;
mod values;

use std::{path::PathBuf, time::Duration};

use clap::{Args, ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use synckit::{AggregateId, CursorMode, node::ResolverKind};

use self::values::{RemoteUrls, StoreUrls, condition, duration, label, name};
pub(crate) use self::{
    queues::{
        Conflict, Conflicts, ConflictsCommand, Person, Refused, RefusedCommand, RefusedEvent, Reissue,
        Resolve, Retry,
    },
    rules::{Audit, Explain, RuleFile, Rules, RulesCommand, TestRules, Undo},
    values::{RemoteUrl, Since, StoreUrl},
};

/// Offline-first event synchronisation: append locally, sync when you can, and every replica ends with the same answer
#[derive(Parser)]
#[command(
    name = "synckit",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Exit status: 0 done, open conflicts included; 1 failed, or something was refused; 2 wrong usage;\n\
        130 and 143 ended by SIGINT and SIGTERM.\n\n\
        Example:\n  \
        synckit init --store sqlite:shop.db --node shop\n  \
        synckit append --store sqlite:shop.db --type placed --aggregate order-1 --data '{\"tea\":2}'\n  \
        synckit sync --store sqlite:shop.db --remote https://hub.example/sync"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Args)]
pub(crate) struct Global {
    /// Print JSON: one object; one a line from commands that list
    #[arg(long, global = true, display_order = 100)]
    pub(crate) json: bool,
    /// Only errors on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 101)]
    pub(crate) quiet: bool,
    /// More on standard error; repeat it for more still. RUST_LOG chooses more finely
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = 102)]
    pub(crate) verbose: u8,
    /// When to use colours; NO_COLOR turns them off too
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN", display_order = 103)]
    pub(crate) color: ColorChoice,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a store
    #[command(after_help = "Does nothing if the store exists with this node and mode.\n\n\
        Example:\n  synckit init --store sqlite:shop.db --node shop")]
    Init(Init),
    /// Append one event
    #[command(after_help = "Appending the same event twice changes nothing.\n\n\
        Example:\n  synckit append --store sqlite:shop.db --type placed --aggregate order-1 --data '{\"tea\":2}'")]
    Append(Append),
    /// Import CloudEvents
    #[command(
        after_help = "Takes CloudEvents 1.0, one JSON object a line, plain or gzip. The attributes id, type, subject and \
        data become the event's id, type, aggregate and data; all others are kept in its metadata. Lines that cannot be taken \
        are named with the reason, and the others are kept. Importing twice changes nothing.\n\n\
        Example:\n  synckit import --store sqlite:ewr.db --where source=/airports/EWR flights.ndjson.gz"
    )]
    Import(Import),
    /// Export CloudEvents
    #[command(
        after_help = "What was imported comes out with the same attributes and the same data. Events appended here have the \
        source synckit:NODE, and the time of their stamp.\n\n\
        Example:\n  synckit export --store sqlite:ewr.db --effective > events.ndjson"
    )]
    Export(Export),
    /// Serve a store as a hub, over HTTP
    #[command(
        after_help = "Makes the store if there is none. The first line on standard output is `listening on URL`, once \
        connections are accepted. SIGTERM and Ctrl-C let the requests that are running end within the grace; the exit status is 0 \
        then, and 143 or 130 if some were cut off. A second signal ends at once.\n\n\
        Whoever reaches the address can read and write the store: put a proxy with TLS and authentication before it.\n\n\
        Example:\n  synckit serve --store sqlite:hub.db --listen 127.0.0.1:8470"
    )]
    Serve(Serve),
    /// Pull, decide conflicts, and push, once
    #[command(
        after_help = "Conflicts that this node is part of are decided; manual opens them for review instead.\n\n\
        Example:\n  synckit sync --store sqlite:shop.db --remote https://hub.example/sync --resolver manual"
    )]
    Sync(Sync),
    /// How a store stands: its log's head, its peers, conflicts, refused events
    #[command(after_help = "Example:\n  synckit status --store sqlite:shop.db --json")]
    Status(OnlyStore),
    /// The history: when, who, what, and what was superseded by what
    #[command(after_help = "Example:\n  synckit log --store sqlite:shop.db --aggregate order-1")]
    Log(Log),
    /// Conflicts: see them, decide them, take decisions back
    #[command(after_help = "Example:\n  synckit conflicts list --store sqlite:shop.db")]
    Conflicts(Conflicts),
    /// Rule files: check them, try them, and see why they decide as they do
    #[command(after_help = "Example:\n  synckit rules check rules.yaml")]
    Rules(Rules),
    /// Who decided what, by which rule, and why: the decisions in the log
    #[command(
        after_help = "Example:\n  synckit audit --store sqlite:shop.db --group flights --from 2026-01-01T00:00:00Z"
    )]
    Audit(Audit),
    /// Events that this node or a peer did not take
    #[command(after_help = "Example:\n  synckit refused list --store sqlite:shop.db")]
    Refused(Refused),
    /// SHA-256 over ids, log and effective view: equal on equal replicas
    #[command(after_help = "Example:\n  synckit digest --store sqlite:shop.db")]
    Digest(OnlyStore),
    /// Move a store's log to another store, of whatever kind
    #[command(
        after_help = "Everything goes along: identity, stamps, decisions, checkpoints. If it is interrupted, the same \
        command goes on. At the end the old store is sealed: it can be read, and it names the new one to whoever would write. \
        With --as-new-node the copy becomes a node of its own, and the old store stays as it is.\n\n\
        Example:\n  synckit copy --from sqlite:shop.db --to postgres://localhost/shop"
    )]
    Copy(Copy),
    /// Examine a store: its engine, hash chain, positions, stamps, heads and clocks
    #[command(
        after_help = "Says what is wrong, and how to mend it. Changes nothing. Exit status 1 if something is wrong.\n\n\
        Example:\n  synckit doctor --store sqlite:shop.db"
    )]
    Doctor(OnlyStore),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  synckit completions bash > /etc/bash_completion.d/synckit")]
    Completions(Completions),
}

#[derive(Args)]
pub(crate) struct OnlyStore {
    /// The store, such as sqlite:events.db or fjall:events
    #[arg(long, value_name = "URL", env = "SYNCKIT_STORE", hide_env_values = true, value_parser = StoreUrls)]
    pub(crate) store: StoreUrl,
}

#[derive(Args)]
pub(crate) struct Init {
    #[command(flatten)]
    pub(crate) at: OnlyStore,
    /// The node's name for people; the host's name unless given
    #[arg(long, value_name = "LABEL", value_parser = label)]
    pub(crate) node: Option<String>,
    /// How the node expresses progress; integer unless given
    #[arg(long, value_enum)]
    pub(crate) mode: Option<Mode>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Mode {
    /// Positions in one peer's log, kept per peer
    Integer,
    /// All that the node holds: good with any peer
    Vector,
}

impl From<Mode> for CursorMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Integer => Self::Integer,
            Mode::Vector => Self::Vector,
        }
    }
}

#[derive(Args)]
pub(crate) struct Append {
    #[command(flatten)]
    pub(crate) at: OnlyStore,
    /// What kind of fact it is
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_type: String,
    /// What it is about
    #[arg(long)]
    pub(crate) aggregate: String,
    /// The fact: JSON, @FILE with JSON in it, or - for standard input
    #[arg(long, value_name = "JSON|@FILE|-", allow_negative_numbers = true)]
    pub(crate) data: String,
    /// What identifies it; a new id unless given
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// What else is known of it: a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) metadata: Option<String>,
}

#[derive(Args)]
pub(crate) struct Import {
    #[command(flatten)]
    pub(crate) at: OnlyStore,
    /// Take only events whose attribute has this value; repeat it for more conditions, which must all hold
    #[arg(long = "where", value_name = "ATTR=VALUE", value_parser = condition)]
    pub(crate) conditions: Vec<(String, String)>,
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) at: OnlyStore,
    /// Only the events that count, after decisions
    #[arg(long)]
    pub(crate) effective: bool,
    /// Only this aggregate's events
    #[arg(long, value_parser = name::<AggregateId>)]
    pub(crate) aggregate: Option<AggregateId>,
    /// Only what came after: a head that `status` printed, or a position
    #[arg(long, value_name = "CURSOR", default_value = "0", hide_default_value = true)]
    pub(crate) since: Since,
}

#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) at: OnlyStore,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8470")]
    pub(crate) listen: String,
    /// How long running requests may take to end after a signal
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(crate) grace: Duration,
    /// The name of the node, if the store is made; the host's name unless given
    #[arg(long, value_name = "LABEL", value_parser = label)]
    pub(crate) node: Option<String>,
    /// The mode of the node, if the store is made; integer unless given
    #[arg(long, value_enum)]
    pub(crate) mode: Option<Mode>,
}

#[derive(Args)]
pub(crate) struct Sync {
    #[command(flatten)]
    pub(crate) at: OnlyStore,
    /// The hub, such as https://hub.example/sync
    #[arg(long, value_name = "URL", env = "SYNCKIT_REMOTE", hide_env_values = true, value_parser = RemoteUrls)]
    pub(crate) remote: RemoteUrl,
    /// How conflicts are decided
    #[arg(long, value_enum, default_value_t = Resolver::Lww)]
    pub(crate) resolver: Resolver,
    /// Decide conflicts by the rules in this file, YAML or JSON
    #[arg(long, value_name = "FILE", conflicts_with = "resolver")]
    pub(crate) rules: Option<PathBuf>,
    /// Only push
    #[arg(long, conflicts_with = "pull_only")]
    pub(crate) push_only: bool,
    /// Only pull
    #[arg(long)]
    pub(crate) pull_only: bool,
    /// Give up after this long; what was done until then stays
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Resolver {
    /// The side with the newest event wins
    Lww,
    /// The side with the oldest event wins
    Fww,
    /// All sides count, and their fields are merged by last write
    Merge,
    /// A person decides
    Manual,
}

impl From<Resolver> for ResolverKind {
    fn from(resolver: Resolver) -> Self {
        match resolver {
            Resolver::Lww => Self::LastWriteWins,
            Resolver::Fww => Self::FirstWriteWins,
            Resolver::Merge => Self::AdditiveMerge,
            Resolver::Manual => Self::ManualReview,
        }
    }
}

#[derive(Args)]
pub(crate) struct Log {
    #[command(flatten)]
    pub(crate) at: OnlyStore,
    /// Only this aggregate's events
    #[arg(long, value_parser = name::<AggregateId>)]
    pub(crate) aggregate: Option<AggregateId>,
    /// Only the events that count, after decisions
    #[arg(long)]
    pub(crate) effective: bool,
}

#[derive(Args)]
pub(crate) struct Copy {
    /// The store to move
    #[arg(long, value_name = "URL", value_parser = StoreUrls)]
    pub(crate) from: StoreUrl,
    /// Where to; there must be no store yet, or one that this command has begun to fill
    #[arg(long, value_name = "URL", value_parser = StoreUrls)]
    pub(crate) to: StoreUrl,
    /// Make a node of its own out of the copy, and leave the old store as it is
    #[arg(long)]
    pub(crate) as_new_node: bool,
}

#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Reads the command line; ends the process for help, versions and mistakes.
pub(crate) fn parse() -> Cli {
    let matches = Cli::command().color(wanted_color()).get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// The value of `--color`, which is needed for help and mistakes before the arguments are read.
fn wanted_color() -> ColorChoice {
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        let value = match word.to_str() {
            Some("--color") => words.next().and_then(|v| v.into_string().ok()),
            Some("--") => break,
            Some(other) => other.strip_prefix("--color=").map(str::to_owned),
            None => None,
        };
        if let Some(choice) = value.and_then(|v| ColorChoice::from_str(&v, false).ok()) {
            return choice;
        }
    }
    ColorChoice::Auto
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_makes_sense() {
        Cli::command().debug_assert();
    }
}
