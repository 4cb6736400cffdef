//! Rule files that nobody would write.

use std::{fmt::Write as _, sync::Arc};

use synckit_core::{Error, Result};
use synckit_resolve::DynamicResolver;
use synckit_rules::RuleLoader;

use crate::rng::Rng;

/// A rule file with a few rules, groups and fallbacks, which fit the events of a history.
pub(crate) fn random(rng: &mut Rng) -> String {
    let mut text = format!("version: 1\nname: random\nsettings: {{ default_fallback: {} }}\n", strategy(rng));
    text += "rules:\n";
    rules(rng, "  ", 1, &mut text);
    text += "groups:\n";
    for group in 0..rng.between(1, 2) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  - name: g{group}\n    enabled: {}\n    rules:", rng.percent(80));
        rules(rng, "      ", 1, &mut text);
        if rng.percent(50) {
            let _ =
                writeln!(text, "    fallback: {}\n    final_fallback: {}", strategy(rng), rng.percent(50));
        }
        if rng.percent(40) {
            text += "    subgroups:\n      - name: s\n        rules:\n";
            rules(rng, "          ", 1, &mut text);
        }
    }
    text
}

fn rules(rng: &mut Rng, indent: &str, least: usize, text: &mut String) {
    for rule in 0..rng.between(least, 3) {
        let (conditions, strategy, priority) = (conditions(rng), strategy(rng), rng.below(3));
        let _ = writeln!(
            text,
            "{indent}- {{ name: r{rule}, priority: {priority}, conditions: {{ {conditions} }}, resolution: {strategy} }}"
        );
    }
}

fn conditions(rng: &mut Rng) -> String {
    let each = [
        "event_types: [t0, t1]",
        "event_types: [t2]",
        "aggregate_ids: ['a[0-2]']",
        "aggregate_regex: ['[13]$']",
        "fields: [n, /f/b]",
        "only_fields: [v, n, f]",
        "relation: forked",
        "relation: independent",
        "data: [{ field: n, at_least: 5 }]",
        "not: { data: [{ field: /f/a, exists: true }] }",
        "any_of: [{ fields: [tags] }, { event_types: [t1] }]",
        "always: true",
    ];
    (*rng.pick(&each)).to_owned()
}

fn strategy(rng: &mut Rng) -> &'static str {
    let each = [
        "last_write_wins",
        "first_write_wins",
        "fieldwise_last_write_wins",
        "three_way_merge",
        "{ strategy: three_way_merge, options: { review_overlaps: true } }",
        "additive_merge",
        "{ strategy: additive_merge, options: { sets: [tags], counters: [n] } }",
        "keep_both",
        "{ strategy: maximum, options: { field: n } }",
        "{ strategy: minimum, options: { field: v } }",
        "manual_review",
    ];
    let picked: &&str = rng.pick(&each);
    picked
}

/// What the file describes.
pub(crate) fn resolver(text: &str) -> Result<Arc<DynamicResolver>> {
    let rules = RuleLoader::new().parse("random.yaml", text.as_bytes());
    rules.map(|rules| Arc::clone(rules.resolver())).map_err(|e| Error::invalid("read rules", e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_can_be_used() {
        for seed in 0..300 {
            let text = random(&mut Rng::new(seed));
            resolver(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        }
    }
}
