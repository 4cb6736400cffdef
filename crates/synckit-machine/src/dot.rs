//! Drawings for Graphviz.

use std::fmt::Write;

use crate::{rules::Rules, state::State};

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn append(out: &mut String, line: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(line);
    debug_assert!(written.is_ok(), "a string takes all text");
}

/// The rules as a graph from left to right: an arrow out of nowhere leads to the initial state, terminal states
/// have a double border, and the current one is filled.
pub(crate) fn draw<S: State>(rules: &Rules<S>, title: &str, current: S) -> String {
    let mut out = String::new();
    append(&mut out, format_args!("digraph {} {{\n  rankdir=LR;\n", quoted(title)));
    append(&mut out, format_args!("  node [shape=circle];\n  \"\" [shape=point];\n"));
    for state in rules.states() {
        let mut looks = Vec::new();
        if rules.is_terminal(*state) {
            looks.push("shape=doublecircle");
        }
        if *state == current {
            looks.push("style=filled, fillcolor=lightblue");
        }
        let name = quoted(state.name());
        if looks.is_empty() {
            append(&mut out, format_args!("  {name};\n"));
        } else {
            append(&mut out, format_args!("  {name} [{}];\n", looks.join(", ")));
        }
    }
    append(&mut out, format_args!("  \"\" -> {};\n", quoted(rules.initial().name())));
    for from in rules.states() {
        for to in rules.targets(*from) {
            append(&mut out, format_args!("  {} -> {};\n", quoted(from.name()), quoted(to.name())));
        }
    }
    out.push_str("}\n");
    out
}
