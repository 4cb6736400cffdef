//! `synckit completions`

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::{
    args::{Cli, Completions},
    failure::{Done, Failure},
    output::Output,
};

pub(super) fn run(args: &Completions) -> Result<Done, Failure> {
    // The generator panics when it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "synckit", &mut script);
    let mut out = Output::stdout();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Done::Clean)
}
