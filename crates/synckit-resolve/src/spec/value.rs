//! JSON values by what they mean.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::Comparison;

/// Whether the values are the same, numbers by value.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || compare_numbers(x, y).is_some_and(Ordering::is_eq),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| equal(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(name, x)| y.get(name).is_some_and(|y| equal(x, y)))
        }
        _ => a == b,
    }
}

/// Whether `found` is to `wanted` as the comparison says.
pub(super) fn compares(found: &Value, comparison: Comparison, wanted: &Value) -> bool {
    let order = match (found, wanted) {
        (Value::Number(x), Value::Number(y)) => compare_numbers(x, y),
        (Value::String(x), Value::String(y)) => Some(x.cmp(y)),
        _ => None,
    };
    order.is_some_and(|order| match comparison {
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    })
}

enum Exact {
    Whole(i128),
    Float(f64),
}

fn exact(number: &Number) -> Option<Exact> {
    let whole = number.as_u64().map(i128::from).or_else(|| number.as_i64().map(i128::from));
    whole.map(Exact::Whole).or_else(|| number.as_f64().map(Exact::Float))
}

fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (exact(a)?, exact(b)?) {
        (Exact::Whole(x), Exact::Whole(y)) => Some(x.cmp(&y)),
        (Exact::Float(x), Exact::Float(y)) => x.partial_cmp(&y),
        (Exact::Whole(x), Exact::Float(y)) => whole_to_float(x, y),
        (Exact::Float(x), Exact::Whole(y)) => whole_to_float(y, x).map(Ordering::reverse),
    }
}

/// The whole number has at most 65 bits, so that a float beyond 128 bits, which the cast cuts off, stays on its side of it.
fn whole_to_float(whole: i128, float: f64) -> Option<Ordering> {
    let integral = float as i128;
    Some(whole.cmp(&integral).then(0.0.partial_cmp(&float.fract())?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{Comparison, compares, equal};

    const TWO_53: u64 = 1 << 53;

    #[test]
    fn numbers_are_equal_by_value() {
        assert!(equal(&json!(1), &json!(1.0)));
        assert!(equal(&json!(0), &json!(-0.0)));
        assert!(equal(&json!({"a": [1, {"b": 2.0}]}), &json!({"a": [1.0, {"b": 2}]})));
        assert!(!equal(&json!(TWO_53 + 1), &json!(9_007_199_254_740_992.0)));
        assert!(equal(&json!(TWO_53), &json!(9_007_199_254_740_992.0)));
        assert!(!equal(&json!(u64::MAX), &json!(18_446_744_073_709_551_616.0)));
        assert!(!equal(&json!([1, 2]), &json!([1])));
        assert!(!equal(&json!({"a": 1}), &json!({"b": 1})));
        assert!(!equal(&json!("1"), &json!(1)));
        assert!(!equal(&json!(null), &json!(false)));
    }

    #[test]
    fn order_is_exact_beyond_what_floats_hold() {
        let ascending = [
            json!(-1e300),
            json!(i64::MIN),
            json!(-1.5),
            json!(-1),
            json!(-0.5),
            json!(0),
            json!(0.5),
            json!(TWO_53),
            json!(TWO_53 + 1),
            json!(9_007_199_254_740_994.0),
            json!(i64::MAX),
            json!(9_223_372_036_854_775_808.0),
            json!(u64::MAX),
            json!(18_446_744_073_709_551_616.0),
            json!(1e300),
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compares(a, Comparison::Less, b), i < j, "{a} < {b}");
                assert_eq!(compares(a, Comparison::LessOrEqual, b), i <= j, "{a} <= {b}");
                assert_eq!(compares(a, Comparison::Greater, b), i > j, "{a} > {b}");
                assert_eq!(compares(a, Comparison::GreaterOrEqual, b), i >= j, "{a} >= {b}");
            }
        }
    }

    #[test]
    fn strings_compare_bytewise_and_nothing_else_does() {
        assert!(compares(&json!("Z"), Comparison::Less, &json!("a")));
        assert!(compares(&json!("é"), Comparison::Greater, &json!("z")));
        let others: [Value; 5] = [json!(null), json!(true), json!([1]), json!({"a": 1}), json!("1")];
        for other in others {
            assert!(!compares(&other, Comparison::LessOrEqual, &json!(1)), "{other}");
            assert!(!compares(&json!(1), Comparison::GreaterOrEqual, &other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_and_floats_order_as_the_floats_bits_say(a: i64, b: f64) {
            prop_assume!(b.is_finite());
            let less = compares(&json!(a), Comparison::Less, &json!(b));
            let equal = equal(&json!(a), &json!(b));
            let greater = compares(&json!(a), Comparison::Greater, &json!(b));
            prop_assert_eq!(u8::from(less) + u8::from(equal) + u8::from(greater), 1);
            prop_assert_eq!(less, compares(&json!(b), Comparison::Greater, &json!(a)));
        }
    }
}
