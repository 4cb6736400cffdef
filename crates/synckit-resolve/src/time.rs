//! Times as events write them.

/// Seconds since 1970 in UTC, and nanoseconds.
pub(crate) type Instant = (i64, u32);

/// Reads RFC 3339: with fractions of a second, and with any offset from UTC. Digits beyond the ninth are dropped.
pub(crate) fn instant(text: &str) -> Option<Instant> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() >= 20 && text.is_ascii() && bytes[4] == b'-' && bytes[7] == b'-';
    if !shaped || !matches!(bytes[10], b'T' | b't' | b' ') || bytes[13] != b':' || bytes[16] != b':' {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let fraction =
        text[19..].strip_prefix('.').map(|rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    let (nanos, end) = match fraction {
        Some(0) => return None,
        Some(digits) => {
            let nine: String = text[20..20 + digits].chars().chain("000000000".chars()).take(9).collect();
            (nine.parse().ok()?, 20 + digits)
        }
        None => (0, 19),
    };
    let offset = match &bytes[end..] {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let seconds = number(end + 1, end + 3)? * 3_600 + number(end + 4, end + 6)? * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    // Days since 1970 in the proleptic Gregorian calendar; years begin in March.
    let shifted = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = shifted * 365 + shifted.div_euclid(4) - shifted.div_euclid(100)
        + shifted.div_euclid(400)
        + day_of_year
        - 719_468;
    Some((days * 86_400 + hour * 3_600 + minute * 60 + second - offset, nanos))
}

#[cfg(test)]
mod tests {
    use super::instant;

    #[test]
    fn times_are_instants_however_they_are_written() {
        assert_eq!(instant("1970-01-01T00:00:00Z"), Some((0, 0)));
        assert_eq!(instant("2000-02-29T12:00:00Z"), Some((951_825_600, 0)));
        assert_eq!(instant("2026-11-25T18:49:07.25+02:00"), Some((1_795_625_347, 250_000_000)));
        assert_eq!(instant("2026-11-25T16:49:07.250000000999Z"), Some((1_795_625_347, 250_000_000)));
        assert!(instant("2026-11-25T10:00:00Z") < instant("2026-11-25T10:00:00.25Z"));
        for wrong in [
            "",
            "zzz",
            "2026-11-25",
            "2026-13-25T10:00:00Z",
            "2026-11-25T10:00:00",
            "2026-11-25T10:00:00.Z",
            "2026-11-25T1x:00:00Z",
            "2026-11-25T10:00:00+0200",
            "é026-11-25T10:00:00Z",
        ] {
            assert_eq!(instant(wrong), None, "{wrong}");
        }
    }
}
