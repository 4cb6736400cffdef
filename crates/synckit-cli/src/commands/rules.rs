//! `synckit rules`

use std::{
    io::{self, Write as _},
    sync::Arc,
};

use serde_json::json;
use synckit::rules::{Cases, ReloadableRules, RuleFileError, RuleLoader, Rules, RulesListener, SCHEMA};

use crate::{
    args::{Explain, RuleFile, RulesCommand, TestRules},
    failure::{Done, Failure},
    output::{Output, counted, plain},
    stores,
};

pub(super) async fn run(args: crate::args::Rules, out: Output) -> Result<Done, Failure> {
    match args.command {
        RulesCommand::Check(args) => check(&args, out),
        RulesCommand::Explain(args) => explain(args, out).await,
        RulesCommand::Test(args) => test(args, out).await,
        RulesCommand::Watch(args) => watch(args, out).await,
        RulesCommand::Schema => Output::text(SCHEMA.trim_end()).map(|()| Done::Clean),
    }
}

/// Reads a rule file; what is wrong with it is said in a line for each problem.
fn read(args: &RuleFile) -> Result<Option<Rules>, Failure> {
    match RuleLoader::new().load(&args.file) {
        Ok(rules) => Ok(Some(rules)),
        Err(error) => say(&error).map(|()| None),
    }
}

/// A line for each problem.
fn say(error: &RuleFileError) -> Result<(), Failure> {
    match error {
        RuleFileError::Wrong { .. } => {
            let lines: Vec<String> = error.to_string().lines().map(plain).collect();
            // If standard error is closed, there is nobody to tell.
            let _ = writeln!(io::stderr(), "{}", lines.join("\n"));
            Ok(())
        }
        _ => Err(Failure::told(error.to_string())),
    }
}

fn check(args: &RuleFile, out: Output) -> Result<Done, Failure> {
    let Some(rules) = read(args)? else { return Ok(Done::Refused) };
    if out.json {
        let rows: Vec<_> = rules
            .resolver()
            .rules()
            .map(|r| {
                json!({"rule": r.path, "group": r.group, "priority": r.rule.rank(), "enabled": r.rule.is_enabled(),
                    "condition": r.rule.spec().to_string(), "strategy": r.rule.resolver().name()})
            })
            .collect();
        Output::object(&json!({"name": *rules.file().name, "rules": rows}))?;
        return Ok(Done::Clean);
    }
    Output::text(described(out, &rules))?;
    Ok(Done::Clean)
}

fn described(out: Output, rules: &Rules) -> String {
    let resolver = rules.resolver();
    let total = resolver.rules().count();
    let mut text = format!("{}: {}", out.strong(plain(&rules.file().name)), counted(total, "rule"));
    for info in resolver.rules() {
        let off = if info.rule.is_enabled() { "" } else { " (off)" };
        text += &format!(
            "\n  {}{off}: if {}, {}",
            out.strong(plain(info.path)),
            plain(&info.rule.spec().to_string()),
            info.rule.resolver().name()
        );
    }
    text
}

async fn explain(args: Explain, out: Output) -> Result<Done, Failure> {
    let Some(rules) = read(&args.rules)? else { return Ok(Done::Refused) };
    let conflict =
        stores::with_local(&args.at.store, async |node| Ok(node.read_conflict(&args.conflict).await?))
            .await?;
    super::conflicts::warn_of_stubs(out, &conflict);
    let explained = rules.resolver().explain(&conflict).map_err(|e| Failure::told(e.to_string()))?;
    if out.json {
        let asked: Vec<_> = explained
            .asked
            .iter()
            .map(
                |a| json!({"rule": a.rule, "decides": a.decides, "off": a.off, "explanation": a.explanation}),
            )
            .collect();
        Output::object(&json!({"choice": explained.choice.to_string(), "asked": asked}))?;
    } else {
        let text = explained.to_string();
        Output::text(text.lines().map(plain).collect::<Vec<_>>().join("\n"))?;
    }
    Ok(Done::Clean)
}

async fn test(args: TestRules, out: Output) -> Result<Done, Failure> {
    let Some(rules) = read(&args.rules)? else { return Ok(Done::Refused) };
    let cases = match Cases::load(&args.cases) {
        Ok(cases) => cases,
        Err(error) => return say(&error).map(|()| Done::Refused),
    };
    let results = cases.run(&rules).await;
    let failed = results.iter().filter(|r| !r.failures.is_empty()).count();
    let mut stdout = Output::stdout();
    for result in &results {
        if out.json {
            let place = json!({"line": result.place.line, "column": result.place.column});
            let row = json!({"case": result.name, "place": place, "failures": result.failures});
            crate::output::write_object(&mut stdout, &row)?;
        } else {
            writeln!(stdout, "{}", result.to_string().lines().map(plain).collect::<Vec<_>>().join("\n"))?;
        }
    }
    if !out.json {
        writeln!(stdout, "{}, {failed} failed", counted(results.len(), "case"))?;
    }
    stdout.flush()?;
    Ok(Done::refused_if(failed > 0))
}

/// Says what became of a file each time that it was read again.
struct Told(Output);

impl RulesListener for Told {
    fn on_changed(&self, rules: &Rules) {
        // If standard output is closed, the next reading ends the command.
        let _ = Output::text(described(self.0, rules));
    }

    fn on_error(&self, error: &RuleFileError) {
        let text: Vec<String> = error.to_string().lines().map(plain).collect();
        let _ = writeln!(io::stderr(), "{}", text.join("\n"));
    }
}

async fn watch(args: RuleFile, out: Output) -> Result<Done, Failure> {
    let failed = |e: RuleFileError| Failure::told(first_problem(&e));
    let rules = ReloadableRules::load_told(RuleLoader::new(), &args.file, vec![Arc::new(Told(out))])
        .map_err(failed)?;
    Output::text(described(out, &rules.rules()))?;
    let watching = rules
        .watch()
        .map_err(|e| Failure::told(format!("{} cannot be watched: {e}", args.file.display())))?;
    // A signal ends the command.
    std::future::pending::<()>().await;
    drop(watching);
    Ok(Done::Clean)
}

/// The first thing that is wrong, on one line.
pub(super) fn first_problem(error: &RuleFileError) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    match error.problems().len() {
        0 | 1 => first.to_owned(),
        more => format!("{first} (and {} more: synckit rules check)", more - 1),
    }
}
