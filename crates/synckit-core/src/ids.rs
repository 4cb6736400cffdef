//! Names and identities.

use std::{fmt, marker::PhantomData, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};

use crate::{
    error::{Error, Result},
    limits::{MAX_NAME_BYTES, RESERVED_PREFIX},
};

fn check_name(what: &'static str, text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid("check names", format!("{what} is empty")));
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(Error::invalid(
            "check names",
            format!("{what} has {} bytes; at most {MAX_NAME_BYTES} are allowed", text.len()),
        ));
    }
    // Nearly all names are plain ASCII.
    if text.bytes().all(|b| matches!(b, 0x20..=0x7e)) {
        return Ok(());
    }
    if let Some(c) = text.chars().find(|c| c.is_control()) {
        return Err(Error::invalid(
            "check names",
            format!("{what} contains the control character U+{:04X}", c as u32),
        ));
    }
    Ok(())
}

/// Reads something from a string without taking a copy of it first.
struct Text<T>(PhantomData<T>);

impl<T: FromStr<Err = Error>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// 1 to 255 bytes of UTF-8 without control characters, compared bytewise. Cheap to clone.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes the name.
            ///
            /// # Errors
            /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is empty, too long or has control characters.
            pub fn new(text: impl AsRef<str> + Into<Arc<str>>) -> Result<Self> {
                check_name($what, text.as_ref())?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether the name belongs to the kit: it begins with `synckit.`.
            #[must_use]
            pub fn is_reserved(&self) -> bool {
                self.0.starts_with(RESERVED_PREFIX)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text(PhantomData))
            }
        }
    };
}

name! {
    /// What identifies an event, everywhere and for ever.
    EventId, "event id"
}
name! {
    /// What kind of fact an event states, such as `order.placed`.
    EventType, "event type"
}
name! {
    /// The thing that an event is about; conflicts are found per aggregate.
    AggregateId, "aggregate id"
}
name! {
    /// A point in an aggregate's history: a domain event or a person's decision by its event id,
    /// a machine's decision by its decision id.
    VertexId, "parent"
}
name! {
    /// What identifies a conflict: a digest of its aggregate and of the heads that disagree.
    ConflictId, "conflict id"
}

impl EventId {
    /// A new, unique id that sorts by time of creation (UUID version 7).
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }
}

impl From<&EventId> for VertexId {
    fn from(id: &EventId) -> Self {
        Self(Arc::clone(&id.0))
    }
}

impl From<&VertexId> for EventId {
    fn from(id: &VertexId) -> Self {
        Self(Arc::clone(&id.0))
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// 128 random bits; its text is 32 lower-case hexadecimal digits, which sort as the bits do.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u128);

        impl $name {
            /// A new, random identity.
            #[must_use]
            pub fn random() -> Self {
                Self(uuid::Uuid::new_v4().as_u128())
            }

            /// The identity with these bits.
            #[must_use]
            pub const fn from_u128(bits: u128) -> Self {
                Self(bits)
            }

            /// The identity as bits.
            #[must_use]
            pub const fn as_u128(self) -> u128 {
                self.0
            }

            /// The identity as 16 bytes, most significant first.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            /// The identity from 16 bytes, most significant first.
            ///
            /// # Errors
            /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) unless there are 16 bytes.
            pub fn from_slice(bytes: &[u8]) -> Result<Self> {
                let bytes: [u8; 16] = bytes.try_into().map_err(|_| {
                    Error::invalid("read identity", format!("{} has {} bytes, not 16", $what, bytes.len()))
                })?;
                Ok(Self(u128::from_be_bytes(bytes)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let digit = |i: usize| HEX[usize::from(self.to_bytes()[i / 2] >> (4 * (1 - i % 2)) & 15)];
                let digits: [u8; 32] = std::array::from_fn(digit);
                f.pad(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let hex = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                let half = |text: &str| u64::from_str_radix(text, 16).map(u128::from).ok();
                let bits = || Some(half(text.get(..16)?)? << 64 | half(text.get(16..)?)?);
                match hex.then(bits).flatten() {
                    Some(bits) => Ok(Self(bits)),
                    None => Err(Error::invalid(
                        "read identity",
                        format!("{} is not 32 lower-case hexadecimal digits: {text:?}", $what),
                    )),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text(PhantomData))
            }
        }
    };
}

identity! {
    /// A replica. Stable and random; a label is for people only.
    NodeId, "node id"
}
identity! {
    /// One log: a store's append-only sequence of events. A new or copied store has a new one.
    LogId, "log id"
}

impl From<LogId> for NodeId {
    /// The origin of events that were pulled from a log without stamps.
    fn from(log: LogId) -> Self {
        Self(log.0)
    }
}
