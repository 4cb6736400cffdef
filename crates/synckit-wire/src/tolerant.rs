//! Reading JSON objects the way a Go decoder does: keys in any case, unknown keys ignored, the last of duplicate keys
//! counts, `null` leaves things as they are.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// Something that is filled key by key.
pub(crate) trait Fields<'de> {
    /// Takes the value under `name`, which is in lower case.
    fn field<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;

    /// Takes note that an object begins.
    fn begin(&mut self) {}

    /// Takes the elements of an array that stands in place of the object.
    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        self.misplaced("an array");
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    /// Takes note of something that is neither an object nor null.
    fn misplaced(&mut self, found: &'static str);
}

/// Fills `T` from an object.
pub(crate) struct Object<'a, T>(pub(crate) &'a mut T);

impl<'de, T: Fields<'de>> DeserializeSeed<'de> for Object<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Fields<'de>> Visitor<'de> for Object<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.begin();
        while let Some(Name(name)) = map.next_key()? {
            self.0.field(&name, &mut map)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        self.0.array(seq)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.0.misplaced("a boolean");
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.0.misplaced("a number");
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.0.misplaced("a number");
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.0.misplaced("a number");
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.0.misplaced("a string");
        Ok(())
    }
}

/// A key in lower case.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lower;
        impl<'de> Visitor<'de> for Lower {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(match text.bytes().any(|b| b.is_ascii_uppercase()) {
                    true => text.to_ascii_lowercase().into(),
                    false => text.into(),
                }))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(text.to_ascii_lowercase().into()))
            }
        }
        deserializer.deserialize_str(Lower)
    }
}

/// Skips the value under a key that means nothing.
pub(crate) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// Replaces `slot` by the text of the next value, unless that is null.
pub(crate) fn raw<'de, A: MapAccess<'de>>(
    slot: &mut Option<&'de RawValue>,
    map: &mut A,
) -> Result<(), A::Error> {
    let value = map.next_value::<&'de RawValue>()?;
    if value.get() != "null" {
        *slot = Some(value);
    }
    Ok(())
}

/// Reads the first JSON value of `bytes` into `target`; what follows it is ignored.
pub(crate) fn fill<'de, T: Fields<'de>>(bytes: &'de [u8], target: &mut T) -> serde_json::Result<()> {
    Object(target).deserialize(&mut serde_json::Deserializer::from_slice(bytes))
}
