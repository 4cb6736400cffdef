//! What a merge answers: all sides, and one event with the merged document.

use std::collections::BTreeMap;

use serde_json::{Value, json, value::RawValue};
use synckit_core::{EventId, EventType, Hash, decision::MergedEvent};

use super::{Kind, PRODUCT, Policy, history::History, replay::Replay, text};
use crate::{
    conflict::Conflict,
    resolver::{Resolution, ResolveError},
};

/// Fields that one reason names.
const NAMED: usize = 16;
/// Characters of a field's name that are said of it.
const NAMED_CHARS: usize = 80;

/// Merges the documents of all sides, or has a person decide if there are none.
pub(super) fn merge(
    conflict: &Conflict,
    strategy: &str,
    policy: &Policy,
) -> Result<Resolution, ResolveError> {
    let history = match History::read(conflict) {
        Ok(history) => history,
        Err(none) => return Ok(Resolution::review(none.reason())),
    };
    let replay = Replay::of(&history, policy);
    finish(conflict, strategy, policy, &history, &replay)
}

pub(super) fn finish(
    conflict: &Conflict,
    strategy: &str,
    policy: &Policy,
    history: &History<'_>,
    replay: &Replay<'_>,
) -> Result<Resolution, ResolveError> {
    let Ok(document) = replay.document(&history.together()) else {
        let counters =
            policy.kinds.iter().filter(|(_, kind)| **kind == Kind::Counter).map(|(at, _)| at.as_str());
        let what = format!("the sum is beyond the numbers of JSON: {}", named(counters));
        return Ok(Resolution::review(what));
    };
    let heads = conflict.sides().iter().map(|s| s.outline.head.clone());
    let mut resolution = Resolution::adopt(heads).without(history.products());
    for reason in reasons(conflict, policy) {
        resolution = resolution.because(reason);
    }
    let merged = match history.newest() {
        Some(newest) if newest.value != document => {
            Some(merged(conflict, strategy, history, &newest.event.event_type, &document)?)
        }
        _ => None,
    };
    Ok(resolution.with_merged(merged))
}

fn merged(
    conflict: &Conflict,
    strategy: &str,
    history: &History<'_>,
    event_type: &EventType,
    document: &Value,
) -> Result<MergedEvent, ResolveError> {
    let (data, metadata) = (text::canonical(document), text::canonical(&json!({ PRODUCT: strategy })));
    let mut named = Vec::new();
    let ids = history.unshared_ids().into_iter().map(EventId::as_str);
    // Two strategies may come to the same data: an id never names two events.
    let content = [conflict.aggregate().as_str(), event_type.as_str(), &metadata, &data];
    for part in content.into_iter().chain(ids) {
        named.extend_from_slice(&(part.len() as u64).to_be_bytes());
        named.extend_from_slice(part.as_bytes());
    }
    let hash = Hash::of(&named).to_string();
    let unwritten = |e| ResolveError::new("the merged document cannot be written").with_source(e);
    Ok(MergedEvent {
        id: EventId::new(format!("merge-{}", &hash[..40]))
            .map_err(|e| ResolveError::new("the merged event cannot be named").with_source(e))?,
        event_type: event_type.clone(),
        data: RawValue::from_string(data).map_err(unwritten)?,
        metadata: Some(RawValue::from_string(metadata).map_err(unwritten)?),
    })
}

/// What was done to the fields in which the sides differ.
fn reasons(conflict: &Conflict, policy: &Policy) -> Vec<String> {
    let mut done: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for field in conflict.changed_fields() {
        let sides = conflict.changes().iter().filter(|side| side.binary_search(field).is_ok()).count();
        let what = match policy.kinds.get(field) {
            Some(Kind::Set) => "united".to_owned(),
            Some(Kind::Counter) => "changes summed".to_owned(),
            Some(Kind::List { key }) => format!("merged by {key}"),
            None if sides == 1 && !policy.restates => "changed on one side".to_owned(),
            None => "last write".to_owned(),
        };
        done.entry(what).or_default().push(field);
    }
    if done.is_empty() {
        return vec!["the sides say the same".to_owned()];
    }
    done.into_iter().map(|(what, fields)| format!("{what}: {}", named(fields.into_iter()))).collect()
}

pub(super) fn named<'f>(fields: impl Iterator<Item = &'f str>) -> String {
    let fields: Vec<&str> = fields.collect();
    let shortened = |field: &&str| match field.char_indices().nth(NAMED_CHARS) {
        Some((end, _)) => format!("{}…", &field[..end]),
        None => (*field).to_owned(),
    };
    let mut text = fields.iter().take(NAMED).map(shortened).collect::<Vec<_>>().join(", ");
    if fields.len() > NAMED {
        text.push_str(&format!(" and {} more", fields.len() - NAMED));
    }
    text
}
