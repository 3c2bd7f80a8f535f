//! Values as people type and read them: WAVE, the component model's own notation, and JSON where it means the same.

use serde_json::{Map, Number, Value as Json, json};
use wasmtime::component::wasm_wave::untyped::UntypedFuncCall;
use wasmtime::component::{Type, Val};

/// A value for one parameter, as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// WAVE, JSON, or the text itself where the parameter is a text or bytes.
    Text(String),
    /// The bytes themselves where the parameter takes bytes; a text in UTF-8 elsewhere.
    Bytes(Vec<u8>),
}

/// Reads an argument.
///
/// # Errors
/// Why it is no such value, without the name of the parameter.
pub(super) fn read(of: &Type, argument: &Argument) -> Result<Val, String> {
    match argument {
        Argument::Bytes(bytes) if is_bytes(of) => Ok(byte_list(bytes)),
        Argument::Bytes(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
            read_text(of, text.strip_suffix('\n').unwrap_or(text))
        }
        Argument::Text(text) => read_text(of, text),
    }
}

fn read_text(of: &Type, text: &str) -> Result<Val, String> {
    let trimmed = text.trim();
    match of {
        // What is quoted is read like any other value; what is not can only be the text itself.
        Type::String if !trimmed.starts_with('"') => return Ok(Val::String(text.to_owned())),
        Type::Option(inner)
            if inner.ty() == Type::String
                && !trimmed.starts_with('"')
                && !matches!(trimmed, "none" | "null")
                && !trimmed.starts_with("some(") =>
        {
            return Ok(Val::Option(Some(Box::new(Val::String(text.to_owned())))));
        }
        of if is_bytes(of) && trimmed.starts_with('"') => {
            let Val::String(text) = read_text(&Type::String, trimmed)? else { return Ok(byte_list(b"")) };
            return Ok(byte_list(text.as_bytes()));
        }
        of if is_bytes(of) && !trimmed.starts_with('[') => return Ok(byte_list(text.as_bytes())),
        _ => {}
    }
    let wave = match Val::from_wave(of, trimmed) {
        Ok(value) => return Ok(value),
        Err(error) => format!("{error:#}"),
    };
    match serde_json::from_str::<Json>(trimmed) {
        Ok(json) => from_json(of, &json),
        Err(_) => Err(wave),
    }
}

fn is_bytes(of: &Type) -> bool {
    matches!(of, Type::List(list) if list.ty() == Type::U8)
}

fn byte_list(bytes: &[u8]) -> Val {
    Val::List(bytes.iter().copied().map(Val::U8).collect())
}

/// `get-service("greeter")` as a name and its arguments.
///
/// # Errors
/// What is wrong with the notation.
pub(super) fn split_call(text: &str) -> Result<(String, Vec<Argument>), String> {
    let (name, rest) = text.split_once('(').ok_or("write NAME(ARGUMENT, …)")?;
    let inner = rest.trim_end().strip_suffix(')').ok_or("its last character is not )")?;
    // The notation has no place for a name with `:`, `/` and `#`.
    let call = format!("f({inner})");
    let parsed = UntypedFuncCall::parse(&call).map_err(|error| error.to_string())?;
    let Some(parameters) = parsed.params_node() else { return Ok((name.trim().to_owned(), Vec::new())) };
    let parameters = parameters.as_tuple().map_err(|error| error.to_string())?;
    let texts = parameters.map(|node| Argument::Text(call.get(node.span()).unwrap_or_default().to_owned()));
    Ok((name.trim().to_owned(), texts.collect()))
}

/// Reads the form in which [`to_json`] writes.
fn from_json(of: &Type, json: &Json) -> Result<Val, String> {
    let wrong = |wanted: &str| format!("{} is not {wanted}", shortened(json));
    let integer = |wanted: &str| json.as_i64().ok_or_else(|| wrong(wanted));
    let natural = |wanted: &str| json.as_u64().ok_or_else(|| wrong(wanted));
    let float = || json.as_f64().ok_or_else(|| wrong("a number"));
    let text = |wanted: &str| json.as_str().ok_or_else(|| wrong(wanted));
    Ok(match of {
        Type::Bool => Val::Bool(json.as_bool().ok_or_else(|| wrong("true or false"))?),
        Type::S8 => Val::S8(integer("s8")?.try_into().map_err(|_| wrong("s8"))?),
        Type::S16 => Val::S16(integer("s16")?.try_into().map_err(|_| wrong("s16"))?),
        Type::S32 => Val::S32(integer("s32")?.try_into().map_err(|_| wrong("s32"))?),
        Type::S64 => Val::S64(integer("s64")?),
        Type::U8 => Val::U8(natural("u8")?.try_into().map_err(|_| wrong("u8"))?),
        Type::U16 => Val::U16(natural("u16")?.try_into().map_err(|_| wrong("u16"))?),
        Type::U32 => Val::U32(natural("u32")?.try_into().map_err(|_| wrong("u32"))?),
        Type::U64 => Val::U64(natural("u64")?),
        Type::Float32 => Val::Float32(float()? as f32),
        Type::Float64 => Val::Float64(float()?),
        Type::Char => {
            let mut letters = text("one character")?.chars();
            match (letters.next(), letters.next()) {
                (Some(letter), None) => Val::Char(letter),
                _ => return Err(wrong("one character")),
            }
        }
        Type::String => Val::String(text("a text")?.to_owned()),
        Type::List(list) => Val::List(each(&list.ty(), json)?),
        Type::Tuple(tuple) => {
            let parts = json.as_array().filter(|it| it.len() == tuple.types().len());
            let parts = parts.ok_or_else(|| wrong(&format!("a list of {}", tuple.types().len())))?;
            Val::Tuple(tuple.types().zip(parts).map(|(of, it)| from_json(&of, it)).collect::<Result<_, _>>()?)
        }
        Type::Record(record) => {
            let members = json.as_object().ok_or_else(|| wrong("an object"))?;
            if let Some(name) = members.keys().find(|name| record.fields().all(|it| it.name != **name)) {
                return Err(format!("it has no field {name:?}"));
            }
            let field = |name: &str, of: Type| match members.get(name) {
                Some(json) => from_json(&of, json).map_err(|why| format!("{name}: {why}")),
                None if matches!(of, Type::Option(_)) => Ok(Val::Option(None)),
                None => Err(format!("field {name:?} is missing")),
            };
            let fields = record.fields().map(|it| Ok((it.name.to_owned(), field(it.name, it.ty)?)));
            Val::Record(fields.collect::<Result<_, String>>()?)
        }
        Type::Enum(cases) => {
            let name = text("the name of a case")?;
            let known = cases.names().any(|it| it == name);
            Val::Enum(if known { name.to_owned() } else { return Err(wrong("the name of a case")) })
        }
        Type::Flags(flags) => {
            let names = json.as_array().ok_or_else(|| wrong("a list of names"))?;
            let known = |name: &&str| flags.names().any(|known| known == *name);
            let names = names.iter().map(|it| it.as_str().filter(known).map(str::to_owned));
            Val::Flags(names.collect::<Option<_>>().ok_or_else(|| wrong("a list of known names"))?)
        }
        Type::Option(_) if json.is_null() => Val::Option(None),
        Type::Option(option) => Val::Option(Some(Box::new(from_json(&option.ty(), json)?))),
        Type::Variant(variant) => {
            let (name, inner) = case(json).ok_or_else(|| wrong("a case: \"name\" or {\"name\": value}"))?;
            let of = variant.cases().find(|it| it.name == name).ok_or_else(|| wrong("a known case"))?;
            Val::Variant(
                name.to_owned(),
                payload(of.ty.as_ref(), inner).map_err(|why| format!("{name}: {why}"))?,
            )
        }
        Type::Result(result) => match case(json) {
            Some(("ok", inner)) => Val::Result(Ok(payload(result.ok().as_ref(), inner)?)),
            Some(("err", inner)) => Val::Result(Err(payload(result.err().as_ref(), inner)?)),
            _ => return Err(wrong("{\"ok\": value} or {\"err\": value}")),
        },
        _ => return Err("values of this type cannot be written down".to_owned()),
    })
}

fn each(of: &Type, json: &Json) -> Result<Vec<Val>, String> {
    let items = json.as_array().ok_or_else(|| format!("{} is not a list", shortened(json)))?;
    let item = |(at, it)| from_json(of, it).map_err(|why| format!("[{at}]: {why}"));
    items.iter().enumerate().map(item).collect()
}

/// `"name"` or `{"name": value}`.
fn case(json: &Json) -> Option<(&str, Option<&Json>)> {
    match json {
        Json::String(name) => Some((name, None)),
        Json::Object(members) if members.len() == 1 => {
            members.iter().next().map(|(name, value)| (name.as_str(), Some(value)))
        }
        _ => None,
    }
}

fn payload(of: Option<&Type>, json: Option<&Json>) -> Result<Option<Box<Val>>, String> {
    match (of, json) {
        (None, None | Some(Json::Null)) => Ok(None),
        (Some(of), Some(json)) => Ok(Some(Box::new(from_json(of, json)?))),
        (Some(Type::Option(_)), None) => Ok(Some(Box::new(Val::Option(None)))),
        (Some(_), None) => Err("it needs a value".to_owned()),
        (None, Some(_)) => Err("it takes no value".to_owned()),
    }
}

fn shortened(json: &Json) -> String {
    let text = json.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// A value as JSON: records are objects, cases `"name"` or `{"name": value}`, options the value or null.
pub(super) fn to_json(value: &Val) -> Json {
    let optional = |value: &Option<Box<Val>>| value.as_deref().map_or(Json::Null, to_json);
    match value {
        Val::Bool(it) => json!(it),
        Val::S8(it) => json!(it),
        Val::U8(it) => json!(it),
        Val::S16(it) => json!(it),
        Val::U16(it) => json!(it),
        Val::S32(it) => json!(it),
        Val::U32(it) => json!(it),
        Val::S64(it) => json!(it),
        Val::U64(it) => json!(it),
        Val::Float32(it) => float(f64::from(*it)),
        Val::Float64(it) => float(*it),
        Val::Char(it) => json!(it.to_string()),
        Val::String(it) => json!(it),
        Val::Enum(it) => json!(it),
        Val::Flags(it) => json!(it),
        Val::List(items) | Val::Tuple(items) | Val::FixedLengthList(items) => {
            Json::Array(items.iter().map(to_json).collect())
        }
        Val::Map(pairs) => {
            Json::Array(pairs.iter().map(|(key, value)| json!([to_json(key), to_json(value)])).collect())
        }
        Val::Record(fields) => {
            Json::Object(fields.iter().map(|(name, value)| (name.clone(), to_json(value))).collect())
        }
        Val::Variant(name, None) => json!(name),
        Val::Variant(name, Some(value)) => Json::Object(Map::from_iter([(name.clone(), to_json(value))])),
        Val::Option(value) => optional(value),
        Val::Result(Ok(value)) => json!({ "ok": optional(value) }),
        Val::Result(Err(value)) => json!({ "err": optional(value) }),
        Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => Json::Null,
    }
}

/// JSON has no infinities.
fn float(number: f64) -> Json {
    Number::from_f64(number).map_or_else(|| json!(number.to_string()), Json::Number)
}

/// A value in WAVE, or as JSON where it has parts that WAVE has no words for.
pub(super) fn to_wave(value: &Val) -> String {
    value.to_wave().unwrap_or_else(|_| to_json(value).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Argument {
        Argument::Text(text.to_owned())
    }

    #[test]
    fn words_and_quoted_texts_are_the_same() {
        for typed in ["greeter", "\"greeter\""] {
            let value = read(&Type::String, &text(typed)).expect(typed);
            assert_eq!(to_wave(&value), "\"greeter\"");
        }
        assert!(read(&Type::String, &text("\"open")).is_err());
        assert!(read(&Type::U8, &text("256")).is_err());
        assert!(read(&Type::String, &Argument::Bytes(vec![0xff])).is_err());
        assert_eq!(
            to_json(&read(&Type::String, &Argument::Bytes(b"a\n".to_vec())).expect("text")),
            json!("a")
        );
    }

    #[test]
    fn calls_are_split_at_their_commas() {
        let (name, arguments) =
            split_call("a:b/c@0.1.0#set( 1, [{id: 2, zone: some(\"x, y)\")}], \"(\")").expect("a call");
        assert_eq!(name, "a:b/c@0.1.0#set");
        assert_eq!(arguments, [text("1"), text("[{id: 2, zone: some(\"x, y)\")}]"), text("\"(\"")]);
        assert_eq!(split_call("list-services()"), Ok(("list-services".to_owned(), Vec::new())));
        for wrong in ["a", "a(1", "a(1))", "a(,)", "a(\")"] {
            assert!(split_call(wrong).is_err(), "{wrong}");
        }
    }
}
