//! What can be written can be read, and is the same.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{of_item, of_letter};
use crate::queue::DeadLetter;
use crate::redis::local::unreadable::decode;

#[track_caller]
fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(item: &T) {
    let json = of_item(item).unwrap();
    assert_eq!(json, serde_json::to_vec(item).unwrap());
    assert_eq!(&decode::<T>(&json).unwrap(), item);
}

#[track_caller]
fn is_refused<T: Serialize>(item: &T, why: &str) {
    let error = of_item(item).unwrap_err();
    assert!(error.contains(why), "{error}");
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    New(Option<f32>),
    Tuple(u8, String),
    Struct { a: Option<Box<Kind>>, b: char },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(Option<u8>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    kinds: Vec<Kind>,
    map: BTreeMap<i64, (bool, u128, i128)>,
    unit: (),
    nothing: Unit,
    wrapped: Wrapped,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    skipped: Option<u8>,
    #[serde(flatten)]
    flat: BTreeMap<String, Value>,
}

#[test]
fn d4_what_is_written_is_read_back_as_it_was() {
    let kinds = vec![
        Kind::Unit,
        Kind::New(Some(0.1)),
        Kind::New(None),
        Kind::Tuple(7, "\u{0}\u{2028}\"".to_owned()),
        Kind::Struct { a: Some(Box::new(Kind::New(Some(f32::MIN_POSITIVE)))), b: '\u{10ffff}' },
    ];
    comes_back(&Everything {
        kinds,
        map: [(i64::MIN, (true, u128::MAX, i128::MIN))].into(),
        unit: (),
        nothing: Unit,
        wrapped: Wrapped(None),
        skipped: None,
        flat: [("x".to_owned(), serde_json::json!([null, 1.5, { "y": u64::MAX }]))].into(),
    });
    comes_back(&Some("text".to_owned()));
    comes_back(&None::<Unit>);
}

/// Uniform over their bits.
#[test]
fn d4_floats_are_exact() {
    for _ in 0..20_000 {
        let (long, short) = (f64::from_bits(fastrand::u64(..)), f32::from_bits(fastrand::u32(..)));
        if long.is_finite() && short.is_finite() {
            comes_back(&(long, short));
        }
        comes_back(&(fastrand::f64(), fastrand::f32()));
    }
    comes_back(&[f64::MAX, f64::MIN_POSITIVE, 5e-324, -0.0, 1e23]);
}

#[test]
fn d12_a_float_that_is_not_finite_is_refused() {
    is_refused(&f64::NAN, "float");
    is_refused(&f32::NEG_INFINITY, "float");
    is_refused(&vec![Some(f64::INFINITY)], "float");
    is_refused(&BTreeMap::from([("x", f64::NAN)]), "float");
    is_refused(&Kind::Struct { a: Some(Box::new(Kind::New(Some(f32::NAN)))), b: 'b' }, "float");
}

#[test]
fn d12_what_would_be_read_as_none_is_refused() {
    is_refused(&Some(None::<u8>), "None");
    is_refused(&[Some(())], "None");
    is_refused(&Some(Unit), "None");
    is_refused(&Some(Wrapped(None)), "None");
    is_refused(&Some(Value::Null), "None");
    let raw = |json: &str| Some(RawValue::from_string(json.to_owned()).unwrap());
    is_refused(&raw(" null "), "None");
    for json in [r#""null""#, r#"[null,{"a":1.0}]"#] {
        assert_eq!(of_item(&raw(json)).unwrap(), json.as_bytes());
    }
    assert_eq!(of_item(&raw("null").unwrap()).unwrap(), b"null");
    comes_back(&Some(Some(1)));
    comes_back(&Some(vec![None::<u8>]));
    comes_back(&Some(Wrapped(Some(1))));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Nest {
    End,
    New(Box<Nest>),
    Tuple(u8, Box<Nest>),
    Struct { inner: Box<Nest> },
}

fn letter<I>(item: I) -> DeadLetter<I> {
    DeadLetter {
        item,
        id: 0,
        attempts: 1,
        reason: String::new(),
        last_worker: String::new(),
        error: None,
        panic: None,
        history: Vec::new(),
        died_at: std::time::SystemTime::UNIX_EPOCH,
        text: None,
    }
}

#[test]
fn d12_what_is_nested_too_deeply_is_refused_and_all_else_can_be_read_also_as_a_dead_letter() {
    type Around = fn(Box<Nest>) -> Nest;
    let makers: [(Around, usize); 3] =
        [(Nest::New, 1), (|inner| Nest::Tuple(1, inner), 2), (|inner| Nest::Struct { inner }, 2)];
    for (around, levels) in makers {
        let mut nest = Nest::End;
        for _ in 0..126 / levels {
            nest = around(Box::new(nest));
        }
        comes_back(&nest);
        assert_eq!(decode::<DeadLetter<Nest>>(&of_letter(&letter(&nest)).unwrap()).unwrap().item, nest);
        let deeper = around(Box::new(nest));
        is_refused(&deeper, "deep");
        assert!(of_letter(&letter(&deeper)).is_err());
    }
    let lists = |depth| (1..depth).fold(Value::Array(Vec::new()), |inner, _| Value::Array(vec![inner]));
    comes_back(&lists(126));
    is_refused(&lists(127), "deep");
    let maps = |depth| (1..depth).fold(serde_json::json!({}), |inner, _| serde_json::json!({ "x": inner }));
    comes_back(&maps(126));
    is_refused(&maps(1_000), "deep");
}
