//! What may be typed about rules and decisions.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use synckit::{AggregateId, ConflictId, Timestamp};

use super::{
    Conflict, OnlyStore,
    values::{instant, name},
};

#[derive(Args)]
pub(crate) struct Rules {
    #[command(subcommand)]
    pub(crate) command: RulesCommand,
}

#[derive(Subcommand)]
pub(crate) enum RulesCommand {
    /// Say whether a rule file can be used, or what is wrong with it and where
    #[command(after_help = "Example:\n  synckit rules check rules.yaml")]
    Check(RuleFile),
    /// Say which rule decides a conflict, why, and why not those before it
    #[command(after_help = "Nothing is decided. The conflict may have been decided already.\n\n\
        Example:\n  synckit rules explain rules.yaml --store sqlite:shop.db --conflict c-0123456789abcdef")]
    Explain(Explain),
    /// Have rules decide a table of conflicts, and compare that with what is expected
    #[command(after_help = "Exit status 1 if a case fails.\n\n\
        Example:\n  synckit rules test rules.yaml cases.yaml")]
    Test(TestRules),
    /// Check a rule file each time that it changes, until interrupted
    #[command(after_help = "Example:\n  synckit rules watch rules.yaml")]
    Watch(RuleFile),
    /// Print the JSON Schema of rule files, for editors
    #[command(after_help = "Example:\n  synckit rules schema > rules.schema.json")]
    Schema,
}

#[derive(Args)]
pub(crate) struct RuleFile {
    /// The rule file, YAML or JSON
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) rules: RuleFile,
    #[command(flatten)]
    pub(crate) at: OnlyStore,
    /// The conflict
    #[arg(long, value_name = "ID", value_parser = name::<ConflictId>)]
    pub(crate) conflict: ConflictId,
}

#[derive(Args)]
pub(crate) struct TestRules {
    #[command(flatten)]
    pub(crate) rules: RuleFile,
    /// The cases, YAML or JSON
    #[arg(value_name = "CASES")]
    pub(crate) cases: PathBuf,
}

#[derive(Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    pub(crate) at: OnlyStore,
    /// Answer from this index, after bringing it up to date: sqlite:PATH, postgres://…
    #[arg(long, value_name = "URL")]
    pub(crate) index: Option<String>,
    /// Make the index anew from the log first
    #[arg(long, requires = "index")]
    pub(crate) rebuild: bool,
    /// Compare the index with the log instead, as far as it has read it; nothing is changed
    #[arg(long, requires = "index", conflicts_with = "rebuild")]
    pub(crate) verify: bool,
    /// Only decisions about this aggregate
    #[arg(long, value_parser = name::<AggregateId>)]
    pub(crate) aggregate: Option<AggregateId>,
    /// Only decisions on this conflict
    #[arg(long, value_name = "ID", value_parser = name::<ConflictId>)]
    pub(crate) conflict: Option<ConflictId>,
    /// Only decisions of this person
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Only decisions of this resolver, such as `three_way_merge` or `person`
    #[arg(long, value_name = "NAME")]
    pub(crate) resolver: Option<String>,
    /// Only decisions of this rule, with its groups before it: flights.gates
    #[arg(long)]
    pub(crate) rule: Option<String>,
    /// Only decisions of this group, and of those within it
    #[arg(long)]
    pub(crate) group: Option<String>,
    /// Only decisions written then or later: RFC 3339
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(crate) from: Option<Timestamp>,
    /// Only decisions written then or earlier: RFC 3339
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(crate) to: Option<Timestamp>,
}

#[derive(Args)]
pub(crate) struct Undo {
    #[command(flatten)]
    pub(crate) conflict: Conflict,
    /// Only say what it would do
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) person: super::Person,
}
