//! Metadata that is canonical already is taken as it is; other comes out canonical.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use synckit_core::{ErrorKind, Metadata};

/// The canonical form, by taking the object apart and putting it together again.
fn rebuilt(text: &str) -> Metadata {
    let map: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap();
    Metadata::from_map(&map).unwrap()
}

#[test]
fn texts_become_canonical() {
    for (text, canonical) in [
        ("{}", "{}"),
        ("{ }", "{}"),
        (r#"{"a":1,"b":[1 , 2]}"#, r#"{"a":1,"b":[1 , 2]}"#),
        (r#"{"b":1,"a":2}"#, r#"{"a":2,"b":1}"#),
        (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        (r#"{"a": 1}"#, r#"{"a":1}"#),
        (r#" {"a":1} "#, r#"{"a":1}"#),
        (r#"{"\u0061":1}"#, r#"{"a":1}"#),
        (r#"{"":"\u0041"}"#, r#"{"":"\u0041"}"#),
        ("{\"a\":[1,\n2]}", r#"{"a":[1, 2]}"#),
        // Space that is saved in one place makes up for none in another.
        (r#"{"é":"", "ü":1}"#, r#"{"é":"","ü":1}"#),
    ] {
        let metadata = Metadata::from_json(text).unwrap();
        assert_eq!(metadata.as_json(), canonical, "{text}");
        assert_eq!(metadata, rebuilt(text), "{text}");
        assert_eq!(Metadata::from_json(canonical).unwrap().as_json(), canonical);
    }
    for text in ["", "[]", "null", "{", r#"{"a":1}x"#, r#"{"a":}"#, r#"{"a":1,}"#, "{\"a\n\":1}"] {
        assert_eq!(Metadata::from_json(text).unwrap_err().kind(), ErrorKind::Invalid, "{text}");
    }
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(64 * 1024));
    assert_eq!(Metadata::from_json(&large).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn the_short_way_gives_what_the_long_way_gives() {
    let names = ["", "a", "b", "ab", "é", "\\\"", "\\u0061"];
    let values = ["1", " 1", "1 ", "\n1", "[1, 2]", "[1,\n2]", "\"\\u0041 \"", "null"];
    for (first, second) in names.iter().flat_map(|a| names.map(|b| (*a, b))) {
        for (one, two) in values.iter().flat_map(|a| values.map(|b| (*a, b))) {
            for between in [":", ": "] {
                let text = format!("{{\"{first}\":{one},\"{second}\"{between}{two}}}");
                assert_eq!(Metadata::from_json(&text).unwrap(), rebuilt(&text), "{text}");
            }
        }
    }
}
