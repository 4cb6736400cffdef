use super::sample::*;
use super::*;
use crate::oracle::*;
use synckit_core::{AggregateId, EventId, decision::Decision, graph::AggregateGraph};

#[test]
fn scratch_1_withdrawn_id_taken_by_a_later_event() {
    let (one, other) = (one(), one());
    let x = first("x", 2, 10);
    one.take(
        &other,
        vec![withdrawal(&x, 11), stamped(event("y", "data"), 4, 20, &["x"]), first("z", 5, 100)],
    );
    println!("before: conflict {:?} view {:?}", one.open(), ids(one.graph().view()));
    println!("before: {:?}", one.check());
    let w = one.take(&other, vec![stamped(event("x", "something else"), 3, 500, &[])]);
    println!("outcomes {:?}", w.outcomes);
    println!("kit view {:?}, heads {:?}", ids(one.graph().view()), one.graph().heads());
    println!("oracle view {:?}; {:?}", ids(one.history().view()), one.check());
}

#[test]
fn scratch_2_two_people_decide_different_conflicts_anew() {
    let rs = Replica::several(3, 5);
    let [p, q, r] = &rs[..] else { unreachable!() };
    p.take(q, vec![first("x", 200, 10), first("y", 300, 20)]);
    let c1 = p.conflict();
    p.last_write_wins();
    q.pull(p);
    r.pull(p);
    p.append("z1", "d");
    q.append("z2", "d");
    p.pull(q);
    let c2 = p.conflict();
    p.last_write_wins();
    q.pull(p);
    r.pull(p);
    println!("settled view {:?} heads {:?}", ids(p.graph().view()), p.history().heads());
    let (mut d1, now1) = p.graph().keep_instead(&c1.heads, &[EventId::new("x").unwrap()]).unwrap();
    d1.conflict = Some(c1.id.clone());
    let (mut d2, now2) = q.graph().keep_instead(&c2.heads, &[EventId::new("z1").unwrap()]).unwrap();
    d2.conflict = Some(c2.id.clone());
    p.decide(now1, d1, false);
    println!("p after deciding c1 anew {:?}", ids(p.graph().view()));
    q.decide(now2, d2, false);
    r.append("h", "d");
    p.pull(q);
    println!("p with both: open {:?} view {:?} {:?}", p.open(), ids(p.graph().view()), p.check());
    p.append("e", "d");
    println!("p after e: view {:?} {:?}", ids(p.graph().view()), p.check());
    p.pull(r);
    println!("p in conflict with h: view {:?}", ids(p.graph().view()));
    p.last_write_wins();
    println!(
        "p after machine: kit {:?} oracle {:?}\n {:?}",
        ids(p.graph().view()),
        ids(p.history().view()),
        p.check()
    );
    // without e between
    q.pull(r);
    let rs = Replica::several(1, 9);
    let s = &rs[0];
    let log: Vec<_> = p
        .log()
        .into_iter()
        .filter(|e| !(e.event.id.as_str() == "e") && !e.stamp.parents.iter().any(|x| x.as_str() == "e"))
        .map(|e| e.into_offered())
        .collect();
    s.take(p, log);
    println!("s (no e) conflict: {:?} view {:?}", s.open(), ids(s.graph().view()));
    s.last_write_wins();
    println!(
        "s after machine: kit {:?} oracle {:?}\n {:?}",
        ids(s.graph().view()),
        ids(s.history().view()),
        s.check()
    );
}

#[test]
fn scratch_3_withdrawal_elsewhere() {
    let (one, other) = (one(), one());
    let mut elsewhere = first("x", 2, 10);
    elsewhere.event.aggregate_id = AggregateId::new("b").unwrap();
    println!("{:?}", one.take(&other, vec![elsewhere]).outcomes);
    let x = first("x", 2, 10);
    println!("{:?}", one.take(&other, vec![withdrawal(&x, 11)]).outcomes);
    let b = AggregateId::new("b").unwrap();
    let graph: AggregateGraph =
        run(synckit_core::EventStore::graphs(&one.0, &[b.clone()])).unwrap().remove(0);
    let history = History::of(&b, &one.log()).unwrap();
    println!("kit {:?} oracle {:?} {:?}", graph.vertices(), history.view(), views::check(&history, &graph));
    println!("a: {:?}", one.check());
}

#[test]
fn scratch_4_merged_elsewhere() {
    for first_merges in [true, false] {
        let rs = Replica::several(2, 3);
        let [p, q] = &rs[..] else { unreachable!() };
        p.take(q, vec![first("x", 200, 10), first("y", 300, 20)]);
        q.pull(p);
        let c = p.conflict();
        let merging = || {
            let mut d = Decision::adopting(vec![vertex("x")], "merge", "person");
            d.conflict = Some(c.id.clone());
            d.merged = vec![serde_json::from_str(r#"{"id":"m","type":"t","data":1}"#).unwrap()];
            d
        };
        let restoring = || {
            let mut d = Decision::adopting(vec![vertex("y")], "keep", "person");
            d.conflict = Some(c.id.clone());
            d.restored = vec![EventId::new("m").unwrap()];
            d
        };
        if first_merges {
            p.decide(c.heads.clone(), merging(), false);
            q.decide(c.heads.clone(), restoring(), false);
        } else {
            q.decide(c.heads.clone(), restoring(), false);
            p.decide(c.heads.clone(), merging(), false);
        }
        let before = ids(q.graph().view());
        q.pull(p);
        println!(
            "first merges {first_merges}: before {before:?} after {:?} oracle {:?} {:?}",
            ids(q.graph().view()),
            ids(q.history().view()),
            q.check()
        );
    }
}
