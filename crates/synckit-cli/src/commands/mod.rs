//! The commands.

mod append;
mod audit;
mod completions;
mod conflicts;
mod copy;
mod digest;
mod doctor;
mod export;
mod import;
mod init;
mod log;
mod refused;
mod rules;
pub(crate) mod serve;
mod status;
mod sync;

use crate::{
    args::Command,
    failure::{Done, Failure},
    output::Output,
};

/// Runs a command to its end.
pub(crate) async fn run(command: Command, out: Output) -> Result<Done, Failure> {
    match command {
        Command::Init(args) => init::run(args, out).await,
        Command::Append(args) => append::run(args, out).await,
        Command::Import(args) => import::run(args, out).await,
        Command::Export(args) => export::run(args, out).await,
        Command::Sync(args) => sync::run(args, out).await,
        Command::Status(args) => status::run(args, out).await,
        Command::Log(args) => log::run(args, out).await,
        Command::Conflicts(args) => conflicts::run(args, out).await,
        Command::Rules(args) => rules::run(args, out).await,
        Command::Audit(args) => audit::run(args, out).await,
        Command::Refused(args) => refused::run(args, out).await,
        Command::Digest(args) => digest::run(args, out).await,
        Command::Copy(args) => copy::run(args, out).await,
        Command::Doctor(args) => doctor::run(args, out).await,
        Command::Completions(args) => completions::run(&args),
        Command::Serve(_) => Err(Failure::told("serve watches signals by itself")),
    }
}
