//! What a bench finds, and how it is shown.

use std::fmt;

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// The ratio is at least this.
    RatioAtLeast(f64),
    /// The ratio is at most this.
    RatioAtMost(f64),
    /// Our own figure is below this.
    Below(f64),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RatioAtLeast(limit) => write!(f, ">={limit}"),
            Self::RatioAtMost(limit) => write!(f, "<={limit}"),
            Self::Below(limit) => write!(f, "<{limit}"),
        }
    }
}

/// One line of the result.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) bench: String,
    /// None if it could not be measured.
    pub(crate) ours: Option<f64>,
    /// None if there is nothing to compare with.
    pub(crate) raw: Option<f64>,
    pub(crate) target: Target,
    pub(crate) unit: &'static str,
}

impl Figure {
    fn ratio(&self) -> Option<f64> {
        Some(self.ours? / self.raw?)
    }

    /// What was not measured did not meet its target.
    pub(crate) fn is_met(&self) -> bool {
        match self.target {
            Target::RatioAtLeast(limit) => self.ratio().is_some_and(|ratio| ratio >= limit),
            Target::RatioAtMost(limit) => self.ratio().is_some_and(|ratio| ratio <= limit),
            Target::Below(limit) => self.ours.is_some_and(|ours| ours < limit),
        }
    }

    pub(crate) fn as_json(&self) -> serde_json::Value {
        serde_json::json!({
            "bench": self.bench,
            "ours": self.ours,
            "raw": self.raw,
            "ratio": self.ratio(),
            "target": self.target.to_string(),
            "unit": self.unit,
        })
    }

    fn cells(&self) -> [String; 7] {
        let number = |n: Option<f64>, digits| n.map_or_else(|| "-".into(), |n| format!("{n:.digits$}"));
        let digits = if self.ours.is_some_and(|n| n < 1_000.0) { 2 } else { 0 };
        [
            self.bench.clone(),
            number(self.ours, digits),
            number(self.raw, digits),
            number(self.ratio(), 2),
            self.target.to_string(),
            self.unit.to_owned(),
            if self.is_met() { "met".into() } else { "MISSED".into() },
        ]
    }
}

/// All figures, in columns.
pub(crate) fn table(figures: &[Figure]) -> String {
    let head = ["bench", "ours", "raw", "ratio", "target", "unit", ""].map(str::to_owned);
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(figures.iter().map(Figure::cells)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Numbers stand to the right.
            let cell =
                if (1..=3).contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            line.push_str(&cell);
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(ours: f64, raw: Option<f64>, target: Target) -> Figure {
        Figure { bench: "b".into(), ours: Some(ours), raw, target, unit: "events/s" }
    }

    #[test]
    fn targets_are_met_or_missed() {
        assert!(figure(6.0, Some(10.0), Target::RatioAtLeast(0.6)).is_met());
        assert!(!figure(5.9, Some(10.0), Target::RatioAtLeast(0.6)).is_met());
        assert!(figure(15.0, Some(10.0), Target::RatioAtMost(1.5)).is_met());
        assert!(!figure(96.0, None, Target::Below(96.0)).is_met());
        assert!(!Figure { ours: None, ..figure(1.0, None, Target::Below(96.0)) }.is_met());
    }

    #[test]
    fn a_line_says_it_all() {
        let line = figure(6.0, Some(10.0), Target::RatioAtLeast(0.6)).as_json().to_string();
        let expected =
            r#"{"bench":"b","ours":6.0,"ratio":0.6,"raw":10.0,"target":">=0.6","unit":"events/s"}"#;
        assert_eq!(line, expected);
        assert!(table(&[figure(6.0, None, Target::Below(7.0))]).contains("met"));
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(Vec::new()), None);
    }
}
