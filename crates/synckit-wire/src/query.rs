//! Query strings.

use percent_encoding::percent_decode_str;

/// The names and values of a query string, decoded. Bytes that are not UTF-8 become U+FFFD.
#[must_use]
pub fn query_pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// The last value under `name`, if there is one and it is not empty.
#[must_use]
pub fn query_value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{query_pairs, query_value};

    #[test]
    fn names_and_values_are_decoded() {
        let pairs = query_pairs("since=%7B%22a%22:1}&type=a+b&&flag&x=1&x=2&e=");
        assert_eq!(query_value(&pairs, "since"), Some("{\"a\":1}"));
        assert_eq!(query_value(&pairs, "type"), Some("a b"));
        assert_eq!(query_value(&pairs, "x"), Some("2"));
        assert_eq!((query_value(&pairs, "flag"), query_value(&pairs, "e")), (None, None));
        assert!(query_pairs("").is_empty());
    }
}
