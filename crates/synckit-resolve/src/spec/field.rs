//! Places in JSON.

use serde::{Deserialize, Serialize};

/// A JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(super) struct Field(String);

impl From<String> for Field {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<Field> for String {
    fn from(field: Field) -> Self {
        field.0
    }
}

impl Field {
    /// The field that a pointer or a name stands for. A `~` that escapes nothing stands for itself.
    pub(super) fn new(text: &str) -> Self {
        if text.is_empty() {
            return Self(String::new());
        }
        if !text.starts_with('/') {
            return Self(format!("/{}", text.replace('~', "~0").replace('/', "~1")));
        }
        let mut pointer = String::with_capacity(text.len());
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            pointer.push(c);
            if c == '~' && !matches!(rest.peek(), Some('0' | '1')) {
                pointer.push('0');
            }
        }
        Self(pointer)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pointer is this field or below it.
    pub(super) fn holds(&self, pointer: &str) -> bool {
        is_within(pointer, &self.0)
    }

    /// Whether a change at the pointer changes this field, as a whole or in part.
    pub(super) fn is_touched_by(&self, pointer: &str) -> bool {
        self.holds(pointer) || is_within(&self.0, pointer)
    }
}

fn is_within(pointer: &str, root: &str) -> bool {
    pointer.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::Field;

    #[test]
    fn names_become_pointers() {
        let same = |text: &str, pointer: &str| assert_eq!(Field::new(text).as_str(), pointer, "{text}");
        same("status", "/status");
        same("/status", "/status");
        same("a~b/c", "/a~0b~1c");
        same("/a~0b~1c", "/a~0b~1c");
        same("/a~2~", "/a~02~0");
        same("", "");
        same("/", "/");
    }

    #[test]
    fn touched_by_what_is_at_below_and_above() {
        let city = Field::new("/address/city");
        for pointer in ["/address/city", "/address/city/name", "/address", ""] {
            assert!(city.is_touched_by(pointer), "{pointer}");
        }
        for pointer in ["/address/cityhall", "/address/ci", "/name", "/addr"] {
            assert!(!city.is_touched_by(pointer), "{pointer}");
        }
        assert!(city.holds("/address/city/name"));
        assert!(!city.holds("/address"));
        assert!(Field::new("").holds("/any"));
    }
}
