//! JSON that can be read back: what would come back as something else, or not at all, is refused when it is written.
//!
//! `serde_json` writes NaN and infinities as `null`, `Some` of what is `null` like `None`, and any depth, of which it
//! reads 127 levels. [`Guarded`] stands between a value and its serializer and refuses these.

use serde::de::DeserializeOwned;
use serde::ser::{
    self, Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// An item that can be written as JSON and read elsewhere. Every type that fits is one.
///
/// A put whose value JSON cannot hold is refused with
/// [`Refusal::Unserializable`](crate::error::Refusal::Unserializable): one with a float that is not finite, with `Some` of
/// what is written as `null`, or with more than 126 levels of nesting. What is accepted is read back equal, if the
/// type's `Serialize` and `Deserialize` agree.
pub trait Payload: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Payload for T {}

/// How deep a dead letter may be nested: as deep as can be read.
const LETTER: usize = 127;

/// How deep an item may be nested, as its dead letter is one level around it.
const ITEM: usize = LETTER - 1;

/// Returns an item as JSON, or why it cannot be written.
pub(crate) fn of_item<T: Serialize>(item: &T) -> Result<Vec<u8>, String> {
    write(item, ITEM)
}

/// Returns a dead letter as JSON, or why it cannot be written.
pub(crate) fn of_letter<L: Serialize>(letter: &L) -> Result<Vec<u8>, String> {
    write(letter, LETTER)
}

fn write<V: Serialize>(value: &V, levels: usize) -> Result<Vec<u8>, String> {
    let mut json = Vec::with_capacity(128);
    let to = Guarded { to: &mut serde_json::Serializer::new(&mut json), levels, in_some: false };
    value.serialize(to).map_err(|error| error.to_string())?;
    Ok(json)
}

/// A serializer that refuses what could not be read back.
struct Guarded<S> {
    to: S,
    /// How many more levels of nesting there may be.
    levels: usize,
    /// The value is that of a `Some`, of which `null` would make a `None`.
    in_some: bool,
}

impl<S: Serializer> Guarded<S> {
    fn finite(&self, finite: bool) -> Result<(), S::Error> {
        if finite { Ok(()) } else { Err(S::Error::custom("a float is infinite or not a number")) }
    }

    fn null(&self) -> Result<(), S::Error> {
        if self.in_some { Err(S::Error::custom(NULL_IN_SOME)) } else { Ok(()) }
    }

    /// The levels that are left inside of `deeper` further ones.
    fn inside(&self, deeper: usize) -> Result<usize, S::Error> {
        self.levels.checked_sub(deeper).ok_or_else(|| S::Error::custom("nested too deeply to be read"))
    }
}

/// A value inside of another one.
struct Nested<'a, V: ?Sized> {
    value: &'a V,
    levels: usize,
    in_some: bool,
}

impl<V: Serialize + ?Sized> Serialize for Nested<'_, V> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Guarded { to, levels: self.levels, in_some: self.in_some })
    }
}

/// A sequence, map or struct that is being written.
struct Parts<C> {
    to: C,
    levels: usize,
    /// It is the value of a `Some`.
    in_some: bool,
}

const NULL_IN_SOME: &str = "a Some of what is null would be read as None";

/// As what `serde_json` writes a `RawValue`: a struct with one field of this name, its text.
const RAW: &str = "$serde_json::private::RawValue";

impl<C> Parts<C> {
    fn part<'a, V: ?Sized>(&self, value: &'a V) -> Nested<'a, V> {
        Nested { value, levels: self.levels, in_some: false }
    }
}

/// Methods that only pass a value on.
macro_rules! pass_on {
    ($($method:ident($value:ty)),+) => {
        $(fn $method(self, value: $value) -> Result<S::Ok, S::Error> {
            self.to.$method(value)
        })+
    };
}

/// Methods that begin something with parts, so many levels deeper.
macro_rules! begin {
    ($($method:ident($($name:ident: $of:ty),*) -> $parts:ident, $deeper:literal);+) => {
        $(fn $method(self, $($name: $of),*) -> Result<Self::$parts, S::Error> {
            let levels = self.inside($deeper)?;
            Ok(Parts { to: self.to.$method($($name),*)?, levels, in_some: self.in_some })
        })+
    };
}

impl<S: Serializer> Serializer for Guarded<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<S::SerializeSeq>;
    type SerializeTuple = Parts<S::SerializeTuple>;
    type SerializeTupleStruct = Parts<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<S::SerializeTupleVariant>;
    type SerializeMap = Parts<S::SerializeMap>;
    type SerializeStruct = Parts<S::SerializeStruct>;
    type SerializeStructVariant = Parts<S::SerializeStructVariant>;

    pass_on!(
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_i128(i128),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_u128(u128),
        serialize_char(char),
        serialize_str(&str)
    );

    begin!(
        serialize_seq(len: Option<usize>) -> SerializeSeq, 1;
        serialize_tuple(len: usize) -> SerializeTuple, 1;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct, 1;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeTupleVariant, 2;
        serialize_map(len: Option<usize>) -> SerializeMap, 1;
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct, 1;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeStructVariant, 2
    );

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.finite(value.is_finite())?;
        self.to.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.finite(value.is_finite())?;
        self.to.serialize_f64(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<S::Ok, S::Error> {
        self.inside(1)?;
        self.to.serialize_bytes(value)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.null()?;
        self.to.serialize_none()
    }

    fn serialize_some<V: Serialize + ?Sized>(self, value: &V) -> Result<S::Ok, S::Error> {
        self.to.serialize_some(&Nested { value, levels: self.levels, in_some: true })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.null()?;
        self.to.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.null()?;
        self.to.serialize_unit_struct(name)
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.to.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<V: Serialize + ?Sized>(self, name: &'static str, value: &V) -> Result<S::Ok, S::Error> {
        self.to.serialize_newtype_struct(name, &Nested { value, levels: self.levels, in_some: self.in_some })
    }

    fn serialize_newtype_variant<V: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &V,
    ) -> Result<S::Ok, S::Error> {
        let levels = self.inside(1)?;
        self.to.serialize_newtype_variant(name, index, variant, &Nested { value, levels, in_some: false })
    }

    fn collect_str<V: std::fmt::Display + ?Sized>(self, value: &V) -> Result<S::Ok, S::Error> {
        self.to.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.to.is_human_readable()
    }
}

/// Parts without names.
macro_rules! elements {
    ($($parts:ident::$method:ident),+) => {
        $(impl<C: $parts> $parts for Parts<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<V: Serialize + ?Sized>(&mut self, value: &V) -> Result<(), C::Error> {
                let part = self.part(value);
                self.to.$method(&part)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.to.end()
            }
        })+
    };
}

/// Parts with names.
macro_rules! fields {
    ($($parts:ident),+) => {
        $(impl<C: $parts> $parts for Parts<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<V: Serialize + ?Sized>(&mut self, name: &'static str, value: &V) -> Result<(), C::Error> {
                if self.in_some && name == RAW && serde_json::to_string(value).is_ok_and(|text| text == r#""null""#) {
                    return Err(C::Error::custom(NULL_IN_SOME));
                }
                let part = self.part(value);
                self.to.serialize_field(name, &part)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
                self.to.skip_field(name)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.to.end()
            }
        })+
    };
}

elements!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);
fields!(SerializeStruct, SerializeStructVariant);

impl<C: ser::SerializeMap> SerializeMap for Parts<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    /// Keys are texts, or refused: `serde_json` sees to it.
    fn serialize_key<K: Serialize + ?Sized>(&mut self, key: &K) -> Result<(), C::Error> {
        self.to.serialize_key(key)
    }

    fn serialize_value<V: Serialize + ?Sized>(&mut self, value: &V) -> Result<(), C::Error> {
        let part = self.part(value);
        self.to.serialize_value(&part)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.to.end()
    }
}

#[cfg(test)]
mod tests;
