//! JSON text and JSON pointers in one canonical form, whatever order the maps of serde_json keep.

use std::cmp::Ordering;

use serde_json::Value;
use synckit_core::{Error, Result};

use super::amount;

/// The text of a value without space between tokens and with the names of objects sorted bytewise.
pub(super) fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<(&String, &Value)> = map.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (i, (name, value)) in fields.into_iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                text.push_str(&Value::String(name.clone()).to_string());
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

/// Numbers before all else by what they count, the rest by text.
pub(super) fn order(left: &(Value, String), right: &(Value, String)) -> Ordering {
    match (&left.0, &right.0) {
        (Value::Number(a), Value::Number(b)) => amount::compare(a, b).then_with(|| left.1.cmp(&right.1)),
        (Value::Number(_), _) => Ordering::Less,
        (_, Value::Number(_)) => Ordering::Greater,
        _ => left.1.cmp(&right.1),
    }
}

/// A JSON pointer to a field, as people may write it: the slash in front may be left out.
pub(super) fn pointer(written: &str) -> Result<String> {
    let pointer = if written.starts_with('/') { written.to_owned() } else { format!("/{written}") };
    let escapes_well = pointer.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    if written.is_empty() || !escapes_well {
        return Err(Error::invalid("name a field", format!("{written:?} is not a JSON pointer to a field")));
    }
    Ok(pointer)
}

/// Adds a name to a JSON pointer.
pub(crate) fn push_name(pointer: &mut String, name: &str) {
    pointer.push('/');
    if name.contains(['~', '/']) {
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(name);
    }
}

/// The names along a JSON pointer.
pub(super) fn names(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{canonical, names, pointer};

    #[test]
    fn text_is_sorted_and_dense() {
        let value = json!({"b": [1, {"d": null, "c": "\n"}], "a": 1.0});
        assert_eq!(canonical(&value), r#"{"a":1.0,"b":[1,{"c":"\n","d":null}]}"#);
    }

    #[test]
    fn pointers_may_lack_the_slash() {
        assert_eq!(pointer("status").unwrap(), "/status");
        assert_eq!(names(&pointer("a/b~1c~01").unwrap()).collect::<Vec<_>>(), ["a", "b/c~1"]);
        assert!(pointer("").is_err() && pointer("a~2").is_err());
    }
}
