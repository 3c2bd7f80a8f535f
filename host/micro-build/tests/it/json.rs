//! The JSON form of generated messages.

use crate::generated::test::everything::choice::KindOneOf as Kind;
use crate::generated::test::everything::{Choice, Color, Known, Nothing, Occurrences, Scalars, occurrences};
use crate::generated::test::other::{Thing, thing};
use serde_json::{Value, json};

/// Reads what was written, and checks that it is the same message.
fn write<T>(message: &T) -> Value
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let text = serde_json::to_string(message).expect("serializes");
    assert_eq!(serde_json::from_str::<T>(&text).expect("reads back"), *message, "{text}");
    serde_json::from_str(&text).expect("valid")
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    let text = value.to_string();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn refuse<T: serde::de::DeserializeOwned + std::fmt::Debug>(text: &str) -> String {
    serde_json::from_str::<T>(text).expect_err(text).to_string()
}

#[test]
fn every_scalar_is_written_as_go_micro_does() {
    let scalars = Scalars {
        double: 1.5,
        float: 0.1,
        int32: -1,
        int64: i64::MIN,
        uint32: u32::MAX,
        uint64: u64::MAX,
        sint64: -9_007_199_254_740_993,
        fixed64: 9_007_199_254_740_993,
        bool: true,
        string: "ü\n".to_owned(),
        bytes: vec![0xfb, 0xff, 0],
        color: Color::Blue.into(),
        r#type: "t".to_owned(),
        user_name: "u".to_owned(),
    };
    let expected = json!({
        "double": 1.5, "float": 0.1, "int32": -1, "int64": i64::MIN, "uint32": u32::MAX, "uint64": u64::MAX,
        "sint64": -9_007_199_254_740_993i64, "fixed64": 9_007_199_254_740_993u64, "bool": true, "string": "ü\n",
        "bytes": "+/8A", "color": -5, "type": "t", "user_name": "u",
    });
    assert_eq!(write(&scalars), expected);
    let order: Vec<_> = expected.as_object().expect("object").keys().cloned().collect();
    let written: Value = serde_json::to_value(&scalars).expect("serializes");
    assert_eq!(written.as_object().expect("object").keys().cloned().collect::<Vec<_>>(), order);
}

#[test]
fn what_is_unset_is_left_out_and_reads_as_default() {
    assert_eq!(write(&Scalars::default()), json!({}));
    assert_eq!(write(&Occurrences::default()), json!({}));
    assert_eq!(write(&Choice::default()), json!({}));
    assert_eq!(write(&Nothing {}), json!({}));
    let nulls: serde_json::Map<_, _> = ["double", "int64", "bool", "string", "bytes", "color", "userName"]
        .into_iter()
        .map(|name| (name.to_owned(), Value::Null))
        .collect();
    assert_eq!(read::<Scalars>(nulls.into()), Scalars::default());
    let nulls = json!({"numbers": null, "byName": null, "item": null, "maybe_text": null, "items": null});
    assert_eq!(read::<Occurrences>(nulls), Occurrences::default());
    assert_eq!(read::<Scalars>(Value::Null), Scalars::default());
    assert_eq!(read::<Scalars>(json!({"unknown": {"a": [1, null]}, "": 1})), Scalars::default());
    let read: Occurrences = read(json!({"texts": [null, "a"], "items": [null], "by_number": {"1": null}}));
    assert_eq!(read.texts, ["", "a"]);
    assert_eq!(read.items, [occurrences::Item::default()]);
    assert_eq!(read.by_number[&1], "");
}

#[test]
fn both_spellings_and_both_forms_of_numbers_are_read() {
    assert_eq!(read::<Scalars>(json!({"userName": "a"})).user_name, "a");
    assert_eq!(read::<Scalars>(json!({"user_name": "a"})).user_name, "a");
    // The last one wins, as in Go.
    let both = r#"{"user_name": "a", "userName": "b", "\u0075ser_name": "c"}"#;
    assert_eq!(serde_json::from_str::<Scalars>(both).expect("reads").user_name, "c");
    for (value, expected) in
        [(json!("-9223372036854775808"), i64::MIN), (json!(2.0), 2), (json!("1e3"), 1000)]
    {
        assert_eq!(read::<Scalars>(json!({"int64": value})).int64, expected);
    }
    assert_eq!(read::<Scalars>(json!({"uint64": "18446744073709551615"})).uint64, u64::MAX);
    for value in [json!("COLOR_BLUE"), json!(-5), json!("-5")] {
        assert_eq!(read::<Scalars>(json!({"color": value})).color(), Color::Blue);
    }
    // A number of a later version survives.
    assert_eq!(write(&read::<Scalars>(json!({"color": 77}))), json!({"color": 77}));
    for text in ["+/8A", "-_8A", "+/8", "-_8", "+/8="] {
        assert_eq!(read::<Scalars>(json!({"bytes": text})).bytes[..2], [0xfb, 0xff], "{text}");
    }
}

#[test]
fn floats_include_what_is_no_number() {
    let scalars = Scalars { double: f64::NEG_INFINITY, float: f32::INFINITY, ..Scalars::default() };
    assert_eq!(write(&scalars), json!({"double": "-Infinity", "float": "Infinity"}));
    assert!(read::<Scalars>(json!({"double": "NaN"})).double.is_nan());
    assert_eq!(read::<Scalars>(json!({"double": "2.5", "float": 3})).double, 2.5);
    for text in [r#"{"double":"inf"}"#, r#"{"double":"1e999"}"#, r#"{"float":1e39}"#, r#"{"double":""}"#] {
        refuse::<Scalars>(text);
    }
}

#[test]
fn values_that_do_not_fit_are_refused_with_the_name_of_the_field() {
    for text in [
        r#"{"int32":2147483648}"#,
        r#"{"int32":-2147483649}"#,
        r#"{"uint32":-1}"#,
        r#"{"uint64":18446744073709551616}"#,
        r#"{"int64":"9223372036854775808"}"#,
        r#"{"int64":1.5}"#,
        r#"{"int64":""}"#,
        r#"{"int64":true}"#,
        r#"{"color":"COLOR_GREEN"}"#,
        r#"{"bool":1}"#,
        r#"{"bool":"true"}"#,
        r#"{"string":1}"#,
        r#"{"bytes":"a"}"#,
        r#"{"bytes":"=!="}"#,
        r#"{"string":[]}"#,
    ] {
        let error = refuse::<Scalars>(text);
        let field = text.split('"').nth(1).expect("quoted");
        assert!(error.starts_with(&format!("{field}: ")), "{error}");
    }
    for text in ["[]", "1", "\"\"", "{", "{]"] {
        refuse::<Scalars>(text);
    }
    let error = refuse::<Occurrences>(r#"{"items":[{"thing":{"size":"x"}}]}"#);
    assert!(error.starts_with("items: thing: size: "), "{error}");
    refuse::<Occurrences>(r#"{"numbers":1}"#);
    refuse::<Occurrences>(r#"{"by_number":{"x":"y"}}"#);
    refuse::<Occurrences>(r#"{"by_number":[]}"#);
}

#[test]
fn depth_is_limited() {
    let deep = r#"{"inner":"#.repeat(100_000);
    let error = refuse::<Choice>(&deep);
    assert!(error.contains("recursion limit"), "{}", &error[error.len().saturating_sub(200)..]);
    let deep = r#"{"any":"#.to_owned() + &"[".repeat(100_000);
    assert!(refuse::<Known>(&deep).contains("recursion limit"));
}

#[test]
fn lists_maps_and_presence() {
    let item = |id: &str| occurrences::Item { id: id.to_owned(), ..occurrences::Item::default() };
    let message = Occurrences {
        numbers: vec![0, 1],
        texts: vec![String::new()],
        items: vec![item("a"), occurrences::Item::default()],
        by_name: [("x".to_owned(), item("b")), (String::new(), item(""))].into(),
        by_number: [(-2, "two".to_owned())].into(),
        by_flag: [(true, 1), (false, 0)].into(),
        maybe_text: Some(String::new()),
        maybe_number: Some(0),
        item: Some(Box::new(item(""))),
        chunks: vec![vec![], vec![1]],
    };
    let expected = json!({
        "numbers": [0, 1], "texts": [""], "items": [{"id": "a"}, {}], "by_name": {"": {}, "x": {"id": "b"}},
        "by_number": {"-2": "two"}, "by_flag": {"false": 0, "true": 1}, "maybe_text": "", "maybe_number": 0,
        "item": {}, "chunks": ["", "AQ=="],
    });
    assert_eq!(write(&message), expected);
}

#[test]
fn a_oneof_is_the_member_that_is_set() {
    let with = |kind| Choice { before: "a".to_owned(), kind: Some(kind), ..Choice::default() };
    assert_eq!(write(&with(Kind::Text(String::new()))), json!({"before": "a", "text": ""}));
    assert_eq!(write(&with(Kind::BigNumber(0))), json!({"before": "a", "big_number": 0}));
    assert_eq!(write(&with(Kind::Color(1))), json!({"before": "a", "color": 1}));
    let inner = with(Kind::Inner(Box::new(with(Kind::Text("b".to_owned())))));
    assert_eq!(write(&inner), json!({"before": "a", "inner": {"before": "a", "text": "b"}}));
    assert_eq!(read::<Choice>(json!({"bigNumber": "5"})).kind, Some(Kind::BigNumber(5)));
    let nulls = r#"{"text":null,"big_number":1,"inner":null}"#;
    assert_eq!(serde_json::from_str::<Choice>(nulls).expect("reads").kind, Some(Kind::BigNumber(1)));
    assert_eq!(read::<Choice>(json!({"text": "a", "color": "COLOR_RED"})).kind, Some(Kind::Color(1)));
    refuse::<Choice>(r#"{"big_number":"x"}"#);
}

#[test]
fn proto2_fields() {
    assert_eq!(write(&Thing::default()), json!({"name": ""}));
    let thing = Thing { name: "n".to_owned(), size: Some(3), class: Some(thing::Size::Large.into()) };
    assert_eq!(write(&thing), json!({"name": "n", "size": 3, "class": 2}));
    assert_eq!(Thing::default().size(), 3);
}

#[test]
fn messages_may_be_called_as_types_of_rust() {
    use crate::generated::test::everything::{Option, S, Self_, option};
    let message = Option { s: [("b".to_owned(), S {}), ("a".to_owned(), S {})].into(), ..Option::default() };
    assert_eq!(write(&message), json!({"s": {"a": {}, "b": {}}}));
    assert_eq!(serde_json::to_string(&message).expect("serializes"), r#"{"s":{"a":{},"b":{}}}"#);
    let read: Option = read(json!({"result": {"a": [{}]}, "self": {}}));
    assert_eq!(read.some, Some(option::Some::Self_(Self_ {})));
    assert_eq!(read.result.map(|result| result.a.len()), Some(1));
}

#[test]
fn well_known_types_have_their_own_form() {
    let text = r#"{"at":"2020-02-29T12:00:00.000500Z","lasts":"-1.500s","nothing":{},
        "object":{"a":[1,2.5,"b",null,true,{}]},"any":null,"list":[],"text":"","number":0,"data":"AA==","flag":false,
        "float":"NaN","times":["1970-01-01T00:00:00Z"]}"#;
    let known: Known = serde_json::from_str(text).expect("reads");
    let written: Value = serde_json::to_value(&known).expect("serializes");
    let mut expected: Value = serde_json::from_str(text).expect("valid");
    expected["float"] = json!("NaN");
    assert_eq!(written, expected);
    // What Go's ordinary encoder makes of the structs is read as well.
    let plain: Known =
        read(json!({"at": {"seconds": "1", "nanos": 5}, "lasts": {"seconds": -1}, "nothing": {"a": 1}}));
    assert_eq!(plain.at.map(|at| (at.seconds, at.nanos)), Some((1, 5)));
    assert_eq!(plain.lasts.map(|lasts| lasts.seconds), Some(-1));
    for text in [
        r#"{"at":"yesterday"}"#,
        r#"{"at":"+12345-01-01T00:00:00Z"}"#,
        r#"{"at":"0000-12-31T23:59:59Z"}"#,
        r#"{"at":{"seconds":253402300800}}"#,
        r#"{"at":{"nanos":-1}}"#,
        r#"{"at":{"nanos":1000000000}}"#,
        r#"{"at":"ü"}"#,
        r#"{"lasts":"1"}"#,
        r#"{"lasts":{"seconds":315576000001}}"#,
        r#"{"lasts":{"seconds":1,"nanos":-1}}"#,
        r#"{"object":[]}"#,
        r#"{"list":{}}"#,
        r#"{"nothing":1}"#,
    ] {
        refuse::<Known>(text);
    }
    // No RFC 3339 year.
    let known =
        Known { at: Some(micro::prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }), ..Known::default() };
    serde_json::to_string(&known).expect_err("out of range");
}
