//! The `synckit` command line.

#![forbid(unsafe_code)]

mod args;
mod cloudevents;
mod commands;
mod entry;
mod failure;
mod lines;
mod output;
mod progress;
mod signals;
mod stores;

use std::process::ExitCode;

use crate::{
    args::{Cli, Command},
    failure::{Done, Failure},
    output::Output,
    signals::Signals,
};

fn main() -> ExitCode {
    let cli = args::parse();
    let out = Output::new(&cli.global);
    output::start_logging(&cli.global, matches!(cli.command, Command::Serve(_)));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return finish(out, Err(Failure::told(format!("the runtime does not start: {error}")))),
    };
    let done = runtime.block_on(run(cli, out));
    // A thread may be waiting for standard input still; nothing depends on it.
    runtime.shutdown_background();
    finish(out, done)
}

async fn run(cli: Cli, out: Output) -> Result<Done, Failure> {
    let serving = matches!(cli.command, Command::Serve(_));
    let mut signals =
        Signals::listen(!serving).map_err(|e| Failure::told(format!("signals cannot be watched: {e}")))?;
    match cli.command {
        Command::Serve(args) => commands::serve::run(args, out, signals).await,
        command => tokio::select! {
            signal = signals.first() => Ok(Done::Stopped(signal)),
            done = commands::run(command, out) => done,
        },
    }
}

fn finish(out: Output, done: Result<Done, Failure>) -> ExitCode {
    match done {
        Ok(Done::Clean) | Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Ok(Done::Refused) => ExitCode::FAILURE,
        Ok(Done::Stopped(signal)) => ExitCode::from(signal.exit_status()),
        Err(failure) => {
            out.error(&failure);
            ExitCode::FAILURE
        }
    }
}
