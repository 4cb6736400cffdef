//! Where JSON values differ.

use std::collections::BTreeSet;

use serde_json::Value;

/// The JSON pointers at which the texts differ; texts that are not JSON are passed over.
pub(crate) fn fields<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let values: Vec<Value> = texts.filter_map(|t| serde_json::from_str(t).ok()).collect();
    let mut found = BTreeSet::new();
    for pair in values.windows(2) {
        differing(&pair[0], &pair[1], &mut String::new(), &mut found);
    }
    found.into_iter().collect()
}

fn differing(a: &Value, b: &Value, at: &mut String, found: &mut BTreeSet<String>) {
    let (Value::Object(left), Value::Object(right)) = (a, b) else {
        if a != b {
            found.insert(at.clone());
        }
        return;
    };
    let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    for name in names {
        let length = at.len();
        at.push('/');
        at.push_str(&name.replace('~', "~0").replace('/', "~1"));
        match (left.get(name), right.get(name)) {
            (Some(x), Some(y)) => differing(x, y, at, found),
            _ => {
                found.insert(at.clone());
            }
        }
        at.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use super::fields;

    #[test]
    fn pointers_of_what_differs() {
        let texts = [r#"{"a":1,"b":{"c":[1],"d":2},"e/f":1}"#, r#"{"a":1,"b":{"c":[2]},"e/f":2}"#];
        assert_eq!(fields(texts.into_iter()), ["/b/c", "/b/d", "/e~1f"]);
        assert_eq!(fields(["1", "2"].into_iter()), [""]);
        assert!(fields(["{}", "no json"].into_iter()).is_empty());
    }
}
