//! Why a conflict matches or does not.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use super::{Field, Node, Spec, matching, show};
use crate::conflict::Conflict;

/// Why a spec matches a conflict or does not. It is shown as a tree, each line with `yes` or `no`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// Whether the conflict matches.
    pub matched: bool,
    /// What was asked, and what was found; long texts and lists are cut short.
    pub text: String,
    /// The same for what the spec is made of.
    pub parts: Vec<Self>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tree(self, 0, f)
    }
}

fn tree(explanation: &Explanation, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if depth > 0 {
        writeln!(f)?;
    }
    let mark = if explanation.matched { "yes" } else { "no " };
    write!(f, "{:indent$}{mark} {}", "", explanation.text, indent = 2 * depth)?;
    explanation.parts.iter().try_for_each(|part| tree(part, depth + 1, f))
}

impl Spec {
    /// Whether the conflict matches, and why. Unlike [`matches`](Self::matches), it tries every part.
    #[must_use]
    pub fn explain(&self, conflict: &Conflict) -> Explanation {
        let of = |parts: &[Self]| parts.iter().map(|part| part.explain(conflict)).collect();
        match &self.node {
            Node::All(parts) => {
                let parts: Vec<Explanation> = of(parts);
                compound(parts.iter().all(|p| p.matched), "all of", parts)
            }
            Node::Any(parts) => {
                let parts: Vec<Explanation> = of(parts);
                compound(parts.iter().any(|p| p.matched), "any of", parts)
            }
            Node::Not(inner) => {
                let part = inner.explain(conflict);
                Explanation { matched: !part.matched, text: "not".into(), parts: vec![part] }
            }
            _ => {
                let text = match self.found(conflict) {
                    Some(found) => format!("{self}; {found}"),
                    None => self.to_string(),
                };
                Explanation { matched: self.matches(conflict), text, parts: Vec::new() }
            }
        }
    }

    /// What the conflict has of that which a spec without parts asks about.
    fn found(&self, conflict: &Conflict) -> Option<String> {
        Some(match &self.node {
            Node::Always | Node::Custom(_) | Node::All(_) | Node::Any(_) | Node::Not(_) => return None,
            Node::EventTypes(_) => have(conflict.event_types().iter().map(|t| show::name(t.as_str()))),
            Node::AggregateGlob(_) | Node::AggregateRegex(_) | Node::Aggregates(_) => {
                format!("it is {}", show::name(conflict.aggregate().as_str()))
            }
            Node::AnyFieldIn(_) | Node::AllFieldsIn(_) => {
                let changed = conflict.changed_fields();
                if changed.is_empty() {
                    "nothing changed".into()
                } else {
                    format!("changed: {}", show::list(changed.iter().map(|c| show::name(c))))
                }
            }
            Node::MetadataEq(wanted) => {
                let values = matching::metadata(conflict, &wanted.key);
                have(values.map(|v| show::json(&v)).collect::<BTreeSet<_>>())
            }
            Node::HasMetadata(_) => {
                let keys = conflict.unshared().flat_map(|(e, _)| e.metadata.to_map().into_keys());
                have(keys.map(|k| show::name(&k)).collect::<BTreeSet<_>>())
            }
            Node::Origins(_) => {
                let origins = conflict.unshared().filter_map(|(_, stamp)| stamp).map(|s| s.origin);
                have(origins.collect::<BTreeSet<_>>().iter().map(ToString::to_string))
            }
            Node::Relation(_) => format!("they are {}", matching::relation(conflict)),
            Node::DataExists(place) => data(conflict, place),
            Node::DataEquals(wanted) => data(conflict, &wanted.pointer),
            Node::DataCompares(wanted) => data(conflict, &wanted.pointer),
        })
    }
}

fn compound(matched: bool, what: &str, parts: Vec<Explanation>) -> Explanation {
    let held = parts.iter().filter(|p| p.matched).count();
    Explanation { matched, text: format!("{what}: {held} of {} hold", parts.len()), parts }
}

fn have(items: impl IntoIterator<Item = String>) -> String {
    let items = show::list(items);
    format!("the sides have {}", if items.is_empty() { "none" } else { &items })
}

fn data(conflict: &Conflict, place: &Field) -> String {
    let found = matching::newest(conflict, place);
    have(found.map(|value| value.map_or_else(|| "nothing".into(), |v| show::json(&v))))
}
