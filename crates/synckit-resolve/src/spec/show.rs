//! How specs and what they look at are shown to people.

use std::fmt;

use serde_json::Value;

use super::{Comparison, Node, Relation, Spec};

const SHOWN_CHARS: usize = 80;
const SHOWN_ITEMS: usize = 8;

/// The beginning of a text, with what cannot be printed escaped.
pub(super) fn shortened(text: &str) -> String {
    let mut short = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == SHOWN_CHARS {
            short.push_str("...");
            break;
        }
        match c {
            '"' | '\'' | '\\' => short.push(c),
            _ => short.extend(c.escape_debug()),
        }
    }
    short
}

/// A name, in quotes if it would not stand out in a sentence.
pub(super) fn name(text: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"\"(),;".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        shortened(text)
    } else {
        shortened(&format!("{text:?}"))
    }
}

pub(super) fn json(value: &Value) -> String {
    shortened(&value.to_string())
}

/// The first few, and how many more there are.
pub(super) fn list(items: impl IntoIterator<Item = String>) -> String {
    let mut items = items.into_iter();
    let mut shown: Vec<String> = items.by_ref().take(SHOWN_ITEMS).collect();
    let more = items.count();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    shown.join(", ")
}

/// The only one, or a list to choose from.
fn one_of<T: AsRef<str>>(names: impl ExactSizeIterator<Item = T>) -> String {
    let alone = names.len() == 1;
    let names = list(names.map(|n| name(n.as_ref())));
    if alone { names } else { format!("one of ({names})") }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        })
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Forked => "forked",
            Self::Independent => "independent",
        })
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Node::Always => f.write_str("always"),
            Node::EventTypes(types) => write!(f, "event type is {}", one_of(types.iter())),
            Node::AggregateGlob(glob) => write!(f, "aggregate is like {}", name(glob.as_str())),
            Node::AggregateRegex(regex) => write!(f, "aggregate matches {}", name(regex.as_str())),
            Node::Aggregates(ids) => write!(f, "aggregate is {}", one_of(ids.iter())),
            Node::AnyFieldIn(fields) if fields.len() == 1 => {
                write!(f, "field {} changed", list(fields.iter().map(|p| name(p.as_str()))))
            }
            Node::AnyFieldIn(fields) => {
                write!(f, "any field in ({}) changed", list(fields.iter().map(|p| name(p.as_str()))))
            }
            Node::AllFieldsIn(fields) => {
                write!(f, "all changed fields are in ({})", list(fields.iter().map(|p| name(p.as_str()))))
            }
            Node::MetadataEq(wanted) => {
                write!(f, "metadata {} = {}", name(&wanted.key), json(&wanted.value))
            }
            Node::HasMetadata(key) => write!(f, "metadata {} exists", name(key)),
            Node::Origins(nodes) => {
                write!(f, "origin is {}", one_of(nodes.iter().map(ToString::to_string)))
            }
            Node::Relation(relation) => write!(f, "the sides are {relation}"),
            Node::DataExists(place) => write!(f, "data {} exists", name(place.as_str())),
            Node::DataEquals(wanted) => {
                write!(f, "data {} = {}", name(wanted.pointer.as_str()), json(&wanted.value))
            }
            Node::DataCompares(wanted) => {
                let (place, value) = (name(wanted.pointer.as_str()), json(&wanted.value));
                write!(f, "data {place} {} {value}", wanted.comparison)
            }
            Node::Custom(custom) => write!(f, "custom {}", name(&custom.name)),
            Node::All(parts) => conjunction(parts, f),
            Node::Any(parts) => alternatives(parts, f),
            Node::Not(inner) => {
                f.write_str("not ")?;
                operand(inner, f)
            }
        }
    }
}

fn conjunction(parts: &[Spec], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match parts {
        [] => f.write_str("always"),
        [only] => write!(f, "{only}"),
        [first, rest @ ..] => {
            operand(first, f)?;
            for part in rest {
                f.write_str(" and ")?;
                operand(part, f)?;
            }
            Ok(())
        }
    }
}

fn alternatives(parts: &[Spec], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let [first, rest @ ..] = parts else { return f.write_str("never") };
    write!(f, "any of ({first}")?;
    for part in rest {
        write!(f, ", {part}")?;
    }
    f.write_str(")")
}

fn operand(spec: &Spec, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if is_compound(spec) { write!(f, "({spec})") } else { write!(f, "{spec}") }
}

fn is_compound(spec: &Spec) -> bool {
    match &spec.node {
        Node::All(parts) => match &parts[..] {
            [only] => is_compound(only),
            parts => parts.len() > 1,
        },
        _ => false,
    }
}
