//! Conflicts and the decisions that are expected of them: the tests of a rule file.

use std::{fmt, path::Path};

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use synckit_core::{
    AggregateId, CanonicalKey, Event, EventId, EventType, Metadata, NodeId, Payload, Stamp, Timestamp,
    VertexId,
    graph::{AggregateGraph, Vertex, VertexBody},
};
use synckit_resolve::{Conflict, ConflictResolver as _, Resolution, Side};

use crate::{
    error::{Problem, RuleFileError},
    loader::{Rules, read_file, read_text},
    located::{Located, Place},
    model::given,
};

/// A table of conflicts and expected decisions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Cases {
    /// The cases.
    pub cases: Vec<Located<Case>>,
}

/// A conflict, and what is expected of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Case {
    /// What it is about.
    pub name: Located<String>,
    /// The aggregate.
    pub aggregate: Located<String>,
    /// The events that all sides share, oldest first.
    #[serde(default)]
    pub common: Vec<Located<CaseEvent>>,
    /// The sides, each with its own events, oldest first.
    pub sides: Vec<Located<Vec<Located<CaseEvent>>>>,
    /// What is expected; what is left out may be anything.
    pub expect: Located<Expected>,
}

/// An event of a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CaseEvent {
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its data.
    #[serde(default)]
    pub data: Value,
    /// Its metadata, a map.
    #[serde(default, deserialize_with = "given")]
    pub metadata: Option<Value>,
    /// The node that wrote it; the side's number unless given.
    #[serde(default, deserialize_with = "given")]
    pub origin: Option<String>,
    /// When it was written, any number of microseconds; unless given, after what stands before it in the file.
    #[serde(default, deserialize_with = "given")]
    pub at: Option<u64>,
}

/// What is expected of a conflict.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Expected {
    /// The rule, with its groups before it; an empty text for none.
    #[serde(default, deserialize_with = "given")]
    pub rule: Option<String>,
    /// The group; an empty text for none.
    #[serde(default, deserialize_with = "given")]
    pub group: Option<String>,
    /// The strategy that decides; `manual_review` for a review.
    #[serde(default, deserialize_with = "given")]
    pub strategy: Option<String>,
    /// `keep`, `merge`, `review`, or what a strategy calls it.
    #[serde(default, deserialize_with = "given")]
    pub outcome: Option<String>,
    /// The sides that are kept, by their numbers, from 1.
    #[serde(default, deserialize_with = "given")]
    pub sides: Option<Vec<usize>>,
    /// The data of the event that a merge brings along, or of the newest event if it brings none.
    #[serde(default, deserialize_with = "given")]
    pub data: Option<Value>,
}

/// How a case came out.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CaseResult {
    /// The case.
    pub name: String,
    /// Where it is in its file.
    pub place: Place,
    /// What was expected and what came instead, each for itself; empty if the case passed.
    pub failures: Vec<String>,
}

impl Cases {
    /// Reads a table of cases, in YAML or JSON.
    ///
    /// # Errors
    /// A [`RuleFileError`] with all that is wrong, and where.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, RuleFileError> {
        let (file, bytes) = read_file(path.as_ref())?;
        Self::parse(&file, &bytes)
    }

    /// Reads the text of a table of cases; errors name the file so.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, RuleFileError> {
        let cases: Self = read_text(file, bytes)?;
        let problems: Vec<Problem> =
            cases.cases.iter().filter_map(|c| c.value.conflict(c.place).err()).collect();
        if problems.is_empty() { Ok(cases) } else { Err(RuleFileError::wrong(file, problems)) }
    }

    /// Has the rules decide each conflict.
    pub async fn run(&self, rules: &Rules) -> Vec<CaseResult> {
        let mut results = Vec::with_capacity(self.cases.len());
        for case in &self.cases {
            let failures = match case.value.conflict(case.place) {
                Ok(built) => case.value.failures(rules, &built).await,
                Err(problem) => vec![problem.message],
            };
            results.push(CaseResult { name: case.name.value.clone(), place: case.place, failures });
        }
        results
    }
}

/// A case's conflict, and the heads of its sides in the order of the file.
struct Built {
    conflict: Conflict,
    heads: Vec<VertexId>,
}

/// Puts the history of a case together.
struct History {
    vertices: Vec<Vertex>,
    events: Vec<(Event, Stamp)>,
    clock: u64,
}

impl History {
    fn add(
        &mut self,
        aggregate: &AggregateId,
        entry: &Located<CaseEvent>,
        name: String,
        parents: Vec<VertexId>,
        origin: NodeId,
    ) -> Result<VertexId, Problem> {
        let wrong = |e: synckit_core::Error| Problem::at(entry.place, e.message().to_owned());
        let given = &entry.value;
        let origin = given.origin.as_ref().map_or(Ok(origin), |o| o.parse()).map_err(wrong)?;
        self.clock = given.at.unwrap_or_else(|| self.clock.saturating_add(1));
        let json = serde_json::to_string(&given.data).unwrap_or_default();
        let raw = RawValue::from_string(json).map_err(|e| Problem::at(entry.place, e.to_string()))?;
        let metadata = given.metadata.as_ref().map(|m| Metadata::from_json(&m.to_string())).transpose();
        let event = Event {
            id: EventId::new(name.clone()).map_err(wrong)?,
            event_type: EventType::new(given.event_type.clone()).map_err(wrong)?,
            aggregate_id: aggregate.clone(),
            data: Payload::from_raw(&raw),
            metadata: metadata.map_err(wrong)?.unwrap_or_default(),
        };
        let stamp = Stamp {
            origin,
            counter: self.events.len() as u64 + 1,
            timestamp: Timestamp::from_micros(self.clock),
            parents: parents.clone(),
        };
        let id = VertexId::new(name).map_err(wrong)?;
        let key: CanonicalKey = stamp.key(&event.id);
        self.vertices.push(Vertex { id: id.clone(), parents, key, body: VertexBody::Domain });
        self.events.push((event, stamp));
        Ok(id)
    }
}

impl Case {
    fn conflict(&self, place: Place) -> Result<Built, Problem> {
        let aggregate = AggregateId::new(self.aggregate.value.clone())
            .map_err(|e| Problem::at(self.aggregate.place, e.message().to_owned()))?;
        if self.sides.len() < 2 {
            return Err(Problem::at(place, "expected at least two sides"));
        }
        let mut history = History { vertices: Vec::new(), events: Vec::new(), clock: 0 };
        let mut last: Option<VertexId> = None;
        for (i, entry) in self.common.iter().enumerate() {
            let parents = last.into_iter().collect();
            let name = format!("common-{}", i + 1);
            last = Some(history.add(&aggregate, entry, name, parents, NodeId::from_u128(0))?);
        }
        let mut heads = Vec::new();
        for (s, side) in self.sides.iter().enumerate() {
            let mut head = last.clone();
            for (i, entry) in side.iter().enumerate() {
                let name = format!("side-{}-{}", s + 1, i + 1);
                let origin = NodeId::from_u128(s as u128 + 1);
                head = Some(history.add(&aggregate, entry, name, head.into_iter().collect(), origin)?);
            }
            let head = head.filter(|_| !side.is_empty());
            heads.push(
                head.ok_or_else(|| Problem::at(side.place, "expected at least one event in the side"))?,
            );
        }
        let History { vertices, events, .. } = history;
        let graph = AggregateGraph::new(aggregate, vertices).map_err(|e| {
            Problem::at(
                place,
                format!("the events cannot be one history: {}; is `at` in order?", e.message()),
            )
        })?;
        let outline = graph.conflict().ok_or_else(|| Problem::at(place, "the sides are not in conflict"))?;
        let find = |id: &EventId| events.iter().find(|(e, _)| e.id == *id).cloned();
        let sides = outline.sides.iter().map(|side| {
            let events = side.beyond.iter().filter_map(|e| find(e.id())).map(|(e, s)| (e, Some(s))).collect();
            Side::new(side.clone(), events)
        });
        let sides = sides.collect();
        let common = outline.common.iter().filter_map(|e| find(e.id())).map(|(e, s)| (e, Some(s))).collect();
        Ok(Built { conflict: Conflict::new(outline, sides, common), heads })
    }

    async fn failures(&self, rules: &Rules, built: &Built) -> Vec<String> {
        let resolution = match rules.resolver().resolve(&built.conflict).await {
            Ok(resolution) => resolution,
            Err(error) => return vec![format!("it could not be decided: {error}")],
        };
        let mut failures = Vec::new();
        let mut differs = |what: &str, expected: String, found: String| {
            if expected != found {
                failures.push(format!("expected {what} {expected}, found {found}"));
            }
        };
        let (rule, group) = resolution.rule();
        if let Some(expected) = &self.expect.rule {
            differs("the rule", format!("{expected:?}"), format!("{:?}", rule.unwrap_or_default()));
        }
        if let Some(expected) = &self.expect.group {
            differs("the group", format!("{expected:?}"), format!("{:?}", group.unwrap_or_default()));
        }
        let said = Said::of(&resolution, built);
        if let Some(expected) = &self.expect.strategy {
            differs("the strategy", expected.clone(), said.strategy.clone());
        }
        if let Some(expected) = &self.expect.outcome {
            differs("the outcome", expected.clone(), said.outcome.clone());
        }
        if let Some(expected) = &self.expect.sides {
            let mut expected = expected.clone();
            expected.sort_unstable();
            differs("the sides", format!("{expected:?}"), format!("{:?}", said.sides));
        }
        if let Some(expected) = &self.expect.data
            && Some(expected) != said.data.as_ref()
        {
            differs("the data", expected.to_string(), said.data.map_or("none".into(), |d| d.to_string()));
        }
        failures
    }
}

/// A resolution in the words of a case.
struct Said {
    strategy: String,
    outcome: String,
    sides: Vec<usize>,
    data: Option<Value>,
}

impl Said {
    fn of(resolution: &Resolution, built: &Built) -> Self {
        let (strategy, outcome, heads, merged) = match resolution {
            Resolution::Adopt { heads, merged, outcome, resolver, .. } => {
                (resolver.clone().unwrap_or_default(), outcome.clone(), heads.as_slice(), merged.last())
            }
            _ => ("manual_review".to_owned(), "review".to_owned(), &[][..], None),
        };
        let number = |head: &VertexId| built.heads.iter().position(|h| h == head).map(|i| i + 1);
        let mut sides: Vec<usize> = heads.iter().filter_map(number).collect();
        sides.sort_unstable();
        let newest = || {
            let kept = built.conflict.sides().iter().filter(|s| heads.contains(&s.outline.head));
            let newest =
                kept.flat_map(|s| &s.events).max_by_key(|(e, stamp)| stamp.as_ref().map(|s| s.key(&e.id)));
            newest.and_then(|(e, _)| serde_json::from_str(e.data.as_json()?).ok())
        };
        let data = merged.map_or_else(newest, |m| serde_json::from_str(m.data.get()).ok());
        Self { strategy, outcome, sides, data }
    }
}

impl fmt::Display for CaseResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.failures.is_empty() {
            return write!(f, "ok   {}", self.name);
        }
        write!(f, "FAIL {}", self.name)?;
        self.failures.iter().try_for_each(|failure| write!(f, "\n       {failure}"))
    }
}
