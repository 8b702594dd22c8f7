//! Lenient shapes for the API server's JSON: whatever a field holds, reading it never fails.
//!
//! A watch must outlive every object that is odd: fields that are null, absent, of another type or longer
//! than anything the API allows. So each of these types takes what it understands, bounds it at once and
//! reads over the rest without keeping it. Only text that is no JSON at all is an error.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

pub(crate) use crate::labels::cut;

/// Bytes of a text that are kept. Names end at 253, label values at 63; what is longer is an annotation,
/// and the rules cut those shorter still.
const MAX_TEXT: usize = 256;
/// Entries of a map that are kept.
const MAX_ENTRIES: usize = 512;
/// Items of a list that are kept.
const MAX_ITEMS: usize = 256;

/// Methods of a visitor for kinds of JSON value that it does not want: read over, answer `$value`.
macro_rules! otherwise {
    ($value:expr; $($kind:ident)+) => { $(otherwise!(@$kind $value);)+ };
    (@unit $value:expr) => { fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok($value) } };
    (@bool $value:expr) => { fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> { Ok($value) } };
    (@text $value:expr) => { fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> { Ok($value) } };
    (@number $value:expr) => {
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> { Ok($value) }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> { Ok($value) }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> { Ok($value) }
    };
    (@seq $value:expr) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
    (@map $value:expr) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
}

macro_rules! expecting {
    ($what:literal) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str($what)
        }
    };
}

/// An object, or nothing when the value is anything else.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lax<T>(pub(crate) Option<T>);

impl<T> Default for Lax<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Default> Lax<T> {
    pub(crate) fn into_inner(self) -> T {
        self.0.unwrap_or_default()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lax<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Lax<T>;
            expecting!("an object");
            otherwise!(Lax(None); unit bool number text seq);
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Lax<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|inner| Lax(Some(inner)))
            }
        }
        deserializer.deserialize_any(Object(PhantomData))
    }
}

/// A text; a number or truth value counts as its own spelling. Empty and absent are the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text<const MAX: usize = MAX_TEXT>(pub(crate) Option<Arc<str>>);

impl<const MAX: usize> Text<MAX> {
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    pub(crate) fn is(&self, word: &str) -> bool {
        self.as_str() == word
    }

    /// A moment as the API writes it, RFC 3339.
    pub(crate) fn time(&self) -> Option<std::time::SystemTime> {
        let moment: k8s_openapi::jiff::Timestamp = self.0.as_deref()?.parse().ok()?;
        Some(moment.into())
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words<const MAX: usize>;
        impl<'de, const MAX: usize> Visitor<'de> for Words<MAX> {
            type Value = Text<MAX>;
            expecting!("a text");
            otherwise!(Text(None); unit seq map);
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text((!text.is_empty()).then(|| cut(text, MAX).into())))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Text(Some(value.to_string().into())))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Text(Some(value.to_string().into())))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Text(Some(value.to_string().into())))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Text(Some(value.to_string().into())))
            }
        }
        deserializer.deserialize_any(Words::<MAX>)
    }
}

/// A whole number, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Whole(pub(crate) Option<i64>);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl<'de> Visitor<'de> for Number {
            type Value = Whole;
            expecting!("a whole number");
            otherwise!(Whole(None); unit bool text seq map);
            fn visit_u64<E>(self, value: u64) -> Result<Whole, E> {
                Ok(Whole(value.try_into().ok()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Whole, E> {
                Ok(Whole(Some(value)))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Whole, E> {
                Ok(Whole(None))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

/// A truth value; anything but `true` is false.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Flag(pub(crate) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Truth;
        impl<'de> Visitor<'de> for Truth {
            type Value = Flag;
            expecting!("true or false");
            otherwise!(Flag(false); unit number text seq map);
            fn visit_bool<E>(self, value: bool) -> Result<Flag, E> {
                Ok(Flag(value))
            }
        }
        deserializer.deserialize_any(Truth)
    }
}

/// A map from text to text, in the order it was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Map<const MAX: usize = MAX_TEXT> {
    pub(crate) entries: Vec<(Arc<str>, Arc<str>)>,
    /// Entries beyond the bound.
    pub(crate) more: u32,
}

impl<const MAX: usize> Map<MAX> {
    pub(crate) fn value(&self, key: &str) -> Option<&Arc<str>> {
        self.entries.iter().find(|(name, _)| &**name == key).map(|(_, value)| value)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Map<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<const MAX: usize>;
        impl<'de, const MAX: usize> Visitor<'de> for Entries<MAX> {
            type Value = Map<MAX>;
            expecting!("a map of texts");
            otherwise!(Map::default(); unit bool number text seq);
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = Map::default();
                while let Some(key) = map.next_key::<Text>()? {
                    let value = map.next_value::<Text<MAX>>()?.0.unwrap_or_default();
                    match key.0 {
                        Some(key) if found.entries.len() < MAX_ENTRIES => {
                            found.entries.push((key, value));
                        }
                        _ => found.more += 1,
                    }
                }
                Ok(found)
            }
        }
        deserializer.deserialize_any(Entries::<MAX>)
    }
}

/// A list of at most `MAX` items and the number of those beyond; items that are no objects come out empty.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct List<T, const MAX: usize = MAX_ITEMS>(pub(crate) Vec<T>, pub(crate) u32);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new(), 0)
    }
}

impl<'de, T: Deserialize<'de> + Default, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default, const MAX: usize> Visitor<'de> for Items<T, MAX> {
            type Value = List<T, MAX>;
            expecting!("a list");
            otherwise!(List::default(); unit bool number text map);
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T, MAX>, A::Error> {
                let mut list = List::default();
                while list.0.len() < MAX {
                    match seq.next_element::<Lax<T>>()? {
                        Some(item) => list.0.push(item.into_inner()),
                        None => return Ok(list),
                    }
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    list.1 += 1;
                }
                Ok(list)
            }
        }
        deserializer.deserialize_any(Items(PhantomData))
    }
}

/// The texts of a list, at most as many as other lists have items, and the number of those beyond; what is no text is
/// left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Texts(pub(crate) Vec<Arc<str>>, pub(crate) u32);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;
        impl<'de> Visitor<'de> for Items {
            type Value = Texts;
            expecting!("a list of texts");
            otherwise!(Texts::default(); unit bool number text map);
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Texts, A::Error> {
                let mut texts = Texts::default();
                while let Some(text) = seq.next_element::<Text>()? {
                    match text.0 {
                        Some(text) if texts.0.len() < MAX_ITEMS => texts.0.push(text),
                        Some(_) => texts.1 += 1,
                        None => {}
                    }
                }
                Ok(texts)
            }
        }
        deserializer.deserialize_any(Items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Option<String> {
        serde_json::from_str::<Text>(json).unwrap().0.map(|text| text.to_string())
    }

    #[test]
    fn text_takes_scalars_and_reads_over_the_rest() {
        assert_eq!(text(r#""a""#).as_deref(), Some("a"));
        assert_eq!(text("2").as_deref(), Some("2"));
        assert_eq!(text("0.5").as_deref(), Some("0.5"));
        for nothing in ["null", "\"\"", "[1,{}]", r#"{"a":{"b":[]}}"#] {
            assert_eq!(text(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn text_is_cut_between_characters() {
        let long = "é".repeat(MAX_TEXT);
        let kept = text(&format!("\"{long}\"")).unwrap();
        assert!(kept.len() <= MAX_TEXT && kept.len() > MAX_TEXT - 2);
    }

    #[test]
    fn list_is_bounded_and_map_counts_what_it_leaves_out() {
        let many = format!("[{}]", vec!["{}"; MAX_ITEMS + 5].join(","));
        let list: List<Probe> = serde_json::from_str(&many).unwrap();
        assert_eq!((list.0.len(), list.1), (MAX_ITEMS, 5));

        let wide: Vec<_> = (0..MAX_ENTRIES + 3).map(|n| format!("\"k{n}\":\"v\"")).collect();
        let map: Map = serde_json::from_str(&format!("{{{}}}", wide.join(","))).unwrap();
        assert_eq!((map.entries.len(), map.more), (MAX_ENTRIES, 3));
    }

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    struct Probe {}
}
