//! `rules`, `detect`, `diff`: what deciding conflicts costs.

use std::{hint::black_box, time::Instant};

use serde_json::{Value, json};
use synckit::{
    AggregateId, Event, EventStore as _, NodeId, Timestamp, VertexId,
    core::{
        Stamp,
        graph::{AggregateGraph, Vertex, VertexBody},
        store::{Apply, Offered, Write},
    },
    resolve::{Conflict, ConflictResolver as _, DynamicResolver, LastWriteWins, Rule, Side, Spec, diff},
};

use crate::{
    figure::{Figure, Target},
    world::{APPEND_BATCH, Outcome, World, alternate, new_store, remove, timed},
};

const FEW_RULES: usize = 10;
const MANY_RULES: usize = 1_000;
/// Decisions in one run.
const DECISIONS: u32 = 2_000;
/// Aggregates that come into conflict by one page.
const AGGREGATES: usize = 2_000;
/// Open conflicts that are read together, as a node does it.
const BATCH: usize = 250;
/// Comparisons of two objects in one run.
const DIFFS: u32 = 2_000;

/// Deciding among many rules against deciding among few: the last rule decides, and each is for a type of its own.
pub(crate) fn rules(world: &mut World) -> Outcome<Vec<Figure>> {
    let (many, few) = (resolver(MANY_RULES)?, resolver(FEW_RULES)?);
    let run = |world: &mut World, (resolver, conflict): &(DynamicResolver, Conflict)| {
        world.runtime.block_on(async {
            // What a conflict works out once is worked out for each decision.
            let conflicts: Vec<Conflict> = (0..DECISIONS).map(|_| conflict.clone()).collect();
            let begun = Instant::now();
            for conflict in &conflicts {
                black_box(resolver.resolve(conflict).await?);
            }
            Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(DECISIONS))
        })
    };
    let (ours, raw) = alternate(world, |world| run(world, &many), |world| run(world, &few))?;
    let (bench, target) = ("rules".into(), Target::RatioAtMost(2.0));
    Ok(vec![Figure { bench, ours, raw, target, unit: "us a decision" }])
}

fn resolver(rules: usize) -> Outcome<(DynamicResolver, Conflict)> {
    let mut builder = DynamicResolver::builder();
    for i in 0..rules {
        let spec = Spec::event_type(format!("type.{i}").parse()?);
        builder = builder.rule(Rule::new(format!("rule-{i}"), spec, LastWriteWins::default()));
    }
    let last = format!("type.{}", rules - 1);
    Ok((builder.build()?, conflict(&last)?))
}

/// Two sides, each with one event of this type.
fn conflict(event_type: &str) -> Outcome<Conflict> {
    let aggregate = AggregateId::new("flight-1")?;
    let (mut vertices, mut sides) = (Vec::new(), Vec::new());
    for side in 1..=2_u64 {
        let event = Event::new(event_type, aggregate.as_str(), &json!({"gate": side}))?
            .with_id(format!("e{side}"))?;
        let origin = NodeId::from_u128(side.into());
        let stamp =
            Stamp { origin, counter: 1, timestamp: Timestamp::from_micros(side), parents: Vec::new() };
        let key = stamp.key(&event.id);
        vertices.push(Vertex {
            id: VertexId::from(&event.id),
            parents: Vec::new(),
            key,
            body: VertexBody::Domain,
        });
        sides.push((event, Some(stamp)));
    }
    let outline =
        AggregateGraph::new(aggregate, vertices)?.conflict().ok_or("the sides are not in conflict")?;
    let of =
        |head: &VertexId| sides.iter().filter(|(e, _)| e.id.as_str() == head.as_str()).cloned().collect();
    let sides = outline.sides.iter().map(|s| Side::new(s.clone(), of(&s.head))).collect();
    Ok(Conflict::new(outline, sides, Vec::new()))
}

const DETECT_RUNS: usize = 15;

/// Finding the conflicts that a page brings, against storing the page: what it takes longer than a page without conflicts,
/// and listing them.
pub(crate) fn detect(world: &mut World) -> Outcome<Vec<Figure>> {
    // A small difference of two large times: of each, the median of many, taken by turns.
    let (mut with, mut without, mut listing) = (Vec::new(), Vec::new(), Vec::new());
    for run in 1..=DETECT_RUNS {
        for has_conflicts in [run % 2 == 0, run % 2 != 0] {
            let path = world.path();
            let (stored, listed) = world.runtime.block_on(taken(&path, has_conflicts))?;
            remove(&path);
            if has_conflicts {
                with.push(stored);
                listing.push(listed);
            } else {
                without.push(stored);
            }
        }
    }
    let median = |times| crate::figure::median(times).unwrap_or_default();
    let (with, raw, listed) = (median(with), median(without), median(listing));
    eprintln!("  {DETECT_RUNS} runs: with conflicts {with:.2}, listing them {listed:.2}, raw {raw:.2}");
    let ours = (with - raw).max(0.0) + listed;
    let (bench, target) = ("detect".into(), Target::RatioAtMost(0.25));
    Ok(vec![Figure { bench, ours: Some(ours), raw: Some(raw), target, unit: "ms a page" }])
}

/// How long a page took to be stored, and its conflicts to be listed, in milliseconds. Without a side of the store's own,
/// there are no conflicts.
async fn taken(path: &std::path::Path, with_side: bool) -> Outcome<(f64, f64)> {
    let store = new_store(path).await?;
    let aggregate = |i: usize| format!("flight-{}", i % AGGREGATES);
    let elsewhere = |i: usize| if with_side { aggregate(i) } else { format!("other-{i}") };
    let own: Outcome<Vec<Event>> = (0..AGGREGATES)
        .map(|i| Ok(Event::new("gate", elsewhere(i), &json!({"gate": 0}))?.with_id(format!("own-{i}"))?))
        .collect();
    store.write(Write::Append(own?)).await?;
    let page: Outcome<Vec<Offered>> = (0..APPEND_BATCH).map(|i| theirs(i, &aggregate(i))).collect();
    let apply = Apply { entries: page?, ..Apply::default() };
    let begun = Instant::now();
    store.write(Write::Apply(apply)).await?;
    let stored = begun.elapsed();
    let begun = Instant::now();
    let (mut after, mut found) = (None, 0);
    loop {
        let open = store.conflicts(after.as_ref(), BATCH).await?;
        let Some(last) = open.last() else { break };
        after = Some(last.aggregate.clone());
        found += open.len();
    }
    let listed = begun.elapsed();
    let expected = if with_side { AGGREGATES } else { 0 };
    if found != expected {
        return Err(format!("{found} conflicts were found, not {expected}").into());
    }
    store.close().await?;
    Ok((stored.as_secs_f64() * 1e3, listed.as_secs_f64() * 1e3))
}

fn theirs(i: usize, aggregate: &str) -> Outcome<Offered> {
    let before = i.checked_sub(AGGREGATES).map(|p| VertexId::new(format!("their-{p:06}"))).transpose()?;
    let event =
        Event::new("gate", aggregate, &json!({"gate": i, "crew": [1, 2, 3], "remark": "on time so far"}))?
            .with_id(format!("their-{i:06}"))?;
    let stamp = Stamp {
        origin: NodeId::from_u128(7),
        counter: i as u64 + 1,
        timestamp: Timestamp::from_micros(1_000 + i as u64),
        parents: before.into_iter().collect(),
    };
    Ok(Offered { event, stamp: Some(stamp), stub: None, position: 0 })
}

/// Comparing two objects of 1 KiB against parsing them.
pub(crate) fn difference(world: &mut World) -> Outcome<Vec<Figure>> {
    let texts = [object(0), object(1)];
    let parse = || -> Outcome<[Value; 2]> {
        Ok([serde_json::from_str(&texts[0])?, serde_json::from_str(&texts[1])?])
    };
    let [left, right] = parse()?;
    let each = |took: std::time::Duration| took.as_secs_f64() * 1e6 / f64::from(DIFFS);
    let (ours, raw) = alternate(
        world,
        |_| {
            let ((), took) = timed(|| {
                (0..DIFFS).for_each(|_| drop(black_box(diff(black_box(&left), black_box(&right)))));
                Ok(())
            })?;
            Ok(each(took))
        },
        |_| {
            let ((), took) = timed(|| (0..DIFFS).try_for_each(|_| parse().map(|v| drop(black_box(v)))))?;
            Ok(each(took))
        },
    )?;
    let (bench, target) = ("diff".into(), Target::RatioAtMost(3.0));
    Ok(vec![Figure { bench, ours, raw, target, unit: "us a pair" }])
}

/// About 1 KiB of JSON; objects of different numbers differ in a quarter of their fields.
fn object(number: u64) -> String {
    let field = |i: u64| {
        let value = if i.is_multiple_of(4) { number } else { 0 };
        (format!("field_{i:02}"), json!({"name": format!("value {i}"), "count": value, "ratio": 0.5}))
    };
    Value::Object((0..19).map(field).collect()).to_string()
}
