//! Exact arithmetic and order of JSON numbers.

use std::cmp::Ordering;

use serde_json::Number;

/// An amount that a counter holds or changes by. Whole numbers stay whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Amount {
    Whole(i128),
    Real(f64),
}

/// A sum that no JSON number can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overflow;

impl Amount {
    pub(super) const ZERO: Self = Self::Whole(0);

    pub(super) fn of(number: &Number) -> Self {
        if let Some(n) = number.as_i64() {
            Self::Whole(n.into())
        } else if let Some(n) = number.as_u64() {
            Self::Whole(n.into())
        } else {
            Self::Real(number.as_f64().unwrap_or(f64::NAN))
        }
    }

    fn real(self) -> f64 {
        match self {
            Self::Whole(n) => n as f64,
            Self::Real(n) => n,
        }
    }

    /// The change that leads from `before` to this.
    pub(super) fn since(self, before: Self) -> Self {
        match (self, before) {
            (Self::Whole(now), Self::Whole(then)) => Self::Whole(now.saturating_sub(then)),
            (now, then) => Self::Real(now.real() - then.real()),
        }
    }

    /// The sum of amounts in the order given; a real one makes the sum real.
    pub(super) fn sum(amounts: impl Iterator<Item = Self>) -> Self {
        amounts.fold(Self::ZERO, |sum, next| match (sum, next) {
            (Self::Whole(a), Self::Whole(b)) => Self::Whole(a.saturating_add(b)),
            (a, b) => Self::Real(a.real() + b.real()),
        })
    }

    /// The amount as a JSON number.
    pub(super) fn number(self) -> Result<Number, Overflow> {
        match self {
            Self::Whole(n) => i64::try_from(n)
                .map(Number::from)
                .or_else(|_| u64::try_from(n).map(Number::from))
                .map_err(|_| Overflow),
            Self::Real(n) => Number::from_f64(n).ok_or(Overflow),
        }
    }
}

/// The order of two numbers, exactly: no whole number is rounded to compare it with a real one.
pub(super) fn compare(left: &Number, right: &Number) -> Ordering {
    match (Amount::of(left), Amount::of(right)) {
        (Amount::Whole(a), Amount::Whole(b)) => a.cmp(&b),
        (Amount::Whole(a), Amount::Real(b)) => whole_with_real(a, b),
        (Amount::Real(a), Amount::Whole(b)) => whole_with_real(b, a).reverse(),
        (Amount::Real(a), Amount::Real(b)) => a.partial_cmp(&b).unwrap_or_else(|| a.total_cmp(&b)),
    }
}

/// Whole numbers in JSON data are below 2^64, where every real number has its whole part in 128 bits or lies beyond.
fn whole_with_real(whole: i128, real: f64) -> Ordering {
    const BEYOND: f64 = 1e30;
    if real.is_nan() || real <= -BEYOND {
        return Ordering::Greater;
    }
    if real >= BEYOND {
        return Ordering::Less;
    }
    let floor = real.floor();
    whole.cmp(&(floor as i128)).then(if real > floor { Ordering::Less } else { Ordering::Equal })
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use serde_json::{Number, Value};

    use super::{Amount, Overflow, compare};

    fn number(text: &str) -> Number {
        match serde_json::from_str(text).unwrap() {
            Value::Number(n) => n,
            other => panic!("{other} is not a number"),
        }
    }

    #[test]
    fn numbers_compare_without_rounding() {
        let ascending = "-1e300 -9223372036854775808 -1.5 -1 -0.5 0 0.5 9007199254740992 9007199254740993 1e19 \
                         18446744073709551615 1.9e19 1e300";
        let expected: Vec<Number> = ascending.split(' ').map(number).collect();
        let mut sorted: Vec<Number> = expected.iter().rev().cloned().collect();
        sorted.sort_by(compare);
        assert_eq!(sorted, expected);
        assert_eq!(compare(&number("1"), &number("1.0")), Ordering::Equal);
    }

    #[test]
    fn whole_sums_are_exact_or_refused() {
        let whole = |n: i128| Amount::Whole(n);
        let max = i128::from(u64::MAX);
        assert_eq!(Amount::sum([whole(max), whole(-1)].into_iter()).number(), Ok(Number::from(u64::MAX - 1)));
        assert_eq!(Amount::sum([whole(max), whole(1)].into_iter()).number(), Err(Overflow));
        assert_eq!(Amount::Real(f64::INFINITY).number(), Err(Overflow));
    }
}
