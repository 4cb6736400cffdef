//! What `docs/simulation.md` says of the simulation is what the code says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::Path;

use synckit_sim::{Fault, PLANTS};

/// The rows of the tables under a heading, cell by cell.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/simulation.md");
    let text = std::fs::read_to_string(path).unwrap();
    let under = text.lines().skip_while(|line| line.trim_start_matches('#').trim() != heading).skip(1);
    let table = under.take_while(|line| !line.starts_with('#')).filter(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    table.skip(2).map(cells).collect()
}

#[test]
fn planted_bugs_are_listed_as_they_are() {
    let listed: Vec<[String; 3]> = rows("Planted bugs")
        .into_iter()
        .map(|row| [row[0].trim_matches('`').to_owned(), row[2].clone(), row[4].clone()])
        .collect();
    let planted: Vec<[String; 3]> =
        PLANTS.iter().map(|p| [p.name.into(), p.seen_in.into(), p.seeds.to_string()]).collect();
    assert_eq!(listed, planted);
}

#[test]
fn every_fault_is_listed() {
    let listed: Vec<String> = rows("Faults")
        .iter()
        .flat_map(|row| row[0].split(", ").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let known: Vec<&str> = Fault::ALL.iter().map(|f| f.as_str()).collect();
    assert_eq!(listed, known);
}
