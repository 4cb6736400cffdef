//! Whether the numbers of a JSON text survive being read and written again.

use serde_json::Number;

/// Whether each number in a JSON text is one that can be held exactly: a merged document must not change what it does not
/// merge.
pub(super) fn holds_its_numbers(json: &str) -> bool {
    let bytes = json.as_bytes();
    let (mut at, mut in_string) = (0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'-' | b'0'..=b'9' if !in_string => {
                let is_part = |b: &u8| matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = bytes[at..].iter().take_while(|b| is_part(b)).count();
                if !is_held(&json[at..at + length]) {
                    return false;
                }
                at += length - 1;
            }
            _ => {}
        }
        at += 1;
    }
    true
}

fn is_held(written: &str) -> bool {
    // Nearly all numbers are short, and whole.
    if written.len() <= 15 && written.bytes().all(|b| b.is_ascii_digit()) {
        return true;
    }
    let Ok(read) = serde_json::from_str::<Number>(written) else { return false };
    let same = parts(written);
    same.is_some() && same == parts(&read.to_string())
}

/// A number's digits without zeros at either end, the power of ten of the last of them, and whether it is negative; zero
/// has no digits.
fn parts(number: &str) -> Option<(bool, String, i64)> {
    let (is_negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let exponent: i64 = exponent.parse().ok()?;
    let dropped = i64::try_from(digits.len() - significant.len()).ok()?;
    let last = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(dropped)?;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    Some((is_negative, significant.to_owned(), last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_held_or_not() {
        for held in [
            "0",
            "-0.0",
            "1e3",
            "1.50",
            "0.1",
            "9007199254740993",
            "18446744073709551615",
            "-9223372036854775808",
            "1.7976931348623157e308",
            "3478.6207002829606",
            "1E-7",
            "{\"a\":[1,2.5],\"18446744073709551616\":\"1e999 \\\" 1e999\"}",
        ] {
            assert!(holds_its_numbers(held), "{held}");
        }
        for lost in
            ["18446744073709551616", "1e400", "0.10000000000000000001", "[{\"a\":123456789012345678901}]"]
        {
            assert!(!holds_its_numbers(lost), "{lost}");
        }
    }
}
