//! Makes a failing history shorter.

use std::sync::Arc;

use crate::{
    backend::{Host, Kind},
    run::{Outcome, run},
    script::Script,
};

/// Histories that are tried at most.
const MOST_RUNS: usize = 400;

/// The numbers of the steps that are enough for the same invariant to be violated.
pub(crate) fn shrink(script: &Script, invariant: &str, kind: Kind, host: &Arc<Host>) -> Vec<usize> {
    let fails = |numbers: &[usize]| {
        let outcome: Outcome = run(&script.part(numbers), kind, host, false);
        outcome.violation.is_some_and(|v| v.invariant == invariant)
    };
    let mut kept = script.numbers();
    let mut runs = 0;
    let mut chunk = kept.len().div_ceil(2);
    while chunk > 0 && runs < MOST_RUNS {
        let mut from = 0;
        let mut removed = false;
        while from < kept.len() && runs < MOST_RUNS {
            let to = (from + chunk).min(kept.len());
            let fewer: Vec<usize> = [&kept[..from], &kept[to..]].concat();
            runs += 1;
            if !fewer.is_empty() && fails(&fewer) {
                kept = fewer;
                removed = true;
            } else {
                from = to;
            }
        }
        if !removed || chunk > kept.len() {
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2).min(kept.len().max(1)) };
        }
    }
    kept
}

/// Numbers as text: `1,4-6`.
pub(crate) fn as_ranges(numbers: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for n in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *n => *last = *n,
            _ => parts.push((*n, *n)),
        }
    }
    let text = parts.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") });
    text.collect::<Vec<_>>().join(",")
}

/// Reads what [`as_ranges`] wrote.
pub(crate) fn from_ranges(text: &str) -> Result<Vec<usize>, String> {
    let number =
        |t: &str| t.trim().parse::<usize>().map_err(|_| format!("{t:?} is not the number of a step"));
    let mut numbers = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        numbers.extend(number(from)?..=number(to)?);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

    use super::*;

    #[test]
    fn ranges_are_read_as_they_were_written() {
        for numbers in [vec![], vec![3], vec![1, 2, 3], vec![0, 2, 4, 5, 9]] {
            let text = as_ranges(&numbers);
            if !numbers.is_empty() {
                assert_eq!(from_ranges(&text).unwrap(), numbers, "{text}");
            }
        }
        assert_eq!(as_ranges(&[0, 2, 4, 5, 9]), "0,2,4-5,9");
        assert!(from_ranges("1,x").is_err());
    }
}
