//! What a component exports, in the words of its contract.

use serde::Serialize;
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem, Field};
use wasmtime::component::{Component, ComponentExportIndex, Type};

/// The fields of the record with which each call that may wait begins (micro:plugin `types.call`).
const CALL: [&str; 3] = ["timeout-ms", "traceparent", "request-id"];

/// One function that a component exports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Export {
    /// `micro:registry/registry@0.1.0`; empty for one that stands alone.
    pub interface: String,
    /// `get-service`.
    pub name: String,
    /// Names and types, as WIT writes them.
    pub parameters: Vec<(String, String)>,
    /// The type of the answer.
    pub result: Option<String>,
    /// The shapes of the types that have a name, one definition each: `node = record { … }`.
    pub types: Vec<String>,
    /// Whether the contract lets it wait.
    #[serde(rename = "async")]
    pub is_async: bool,
}

impl Export {
    /// `micro:registry/registry@0.1.0#get-service`.
    pub fn full_name(&self) -> String {
        match self.interface.as_str() {
            "" => self.name.clone(),
            interface => format!("{interface}#{}", self.name),
        }
    }

    /// `get-service: async func(c: call, name: string) -> result<snapshot, error>`.
    pub fn signature(&self) -> String {
        let parameters: Vec<String> =
            self.parameters.iter().map(|(name, of)| format!("{name}: {of}")).collect();
        let result = self.result.as_ref().map(|it| format!(" -> {it}")).unwrap_or_default();
        let waits = if self.is_async { "async " } else { "" };
        format!("{}: {waits}func({}){result}", self.name, parameters.join(", "))
    }
}

/// An export with what is needed to call it.
pub(super) struct Function {
    pub(super) export: Export,
    pub(super) ty: ComponentFunc,
    pub(super) index: ComponentExportIndex,
    pub(super) names: Names,
}

/// Names of the types of one interface. A component keeps the shape of a type and, beside it, the name.
#[derive(Clone, Default)]
pub(super) struct Names(Vec<(Type, String)>);

/// Every function that `component` exports, in its order.
pub(super) fn functions(engine: &Engine, component: &Component) -> Vec<Function> {
    let mut found = Vec::new();
    for (name, item) in component.component_type().exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(ty) => {
                if let Some(index) = component.get_export_index(None, name) {
                    found.push(Function::new("", name, ty, index, &Names::default()));
                }
            }
            ComponentItem::ComponentInstance(instance) => {
                found.extend(of_interface(engine, component, name, &instance));
            }
            _ => {}
        }
    }
    found
}

fn of_interface(
    engine: &Engine,
    component: &Component,
    interface: &str,
    instance: &ComponentInstance,
) -> Vec<Function> {
    let names = Names::of(engine, instance);
    let Some(parent) = component.get_export_index(None, interface) else { return Vec::new() };
    let functions = instance.exports(engine).filter_map(|(name, item)| match item.ty {
        ComponentItem::ComponentFunc(ty) => {
            let index = component.get_export_index(Some(&parent), name)?;
            Some(Function::new(interface, name, ty, index, &names))
        }
        _ => None,
    });
    functions.collect()
}

impl Function {
    fn new(
        interface: &str,
        name: &str,
        ty: ComponentFunc,
        index: ComponentExportIndex,
        names: &Names,
    ) -> Self {
        let export = Export {
            interface: interface.to_owned(),
            name: name.to_owned(),
            parameters: ty.params().map(|(name, of)| (name.to_owned(), names.text(&of))).collect(),
            result: ty.results().next().map(|of| names.text(&of)),
            types: names.explain(ty.params().map(|(_, of)| of).chain(ty.results())),
            is_async: ty.async_(),
        };
        Self { export, ty, index, names: names.clone() }
    }

    /// Whether the host fills in the first parameter.
    pub(super) fn takes_call(&self) -> bool {
        self.ty.params().next().is_some_and(|(_, of)| is_call(&of))
    }

    /// Whether the last parameter holds settings that a later version may define, and so may be left out.
    pub(super) fn takes_options(&self) -> bool {
        self.ty.params().last().is_some_and(|(name, of)| name == "options" && is_pairs(&of))
    }
}

fn is_call(of: &Type) -> bool {
    matches!(of, Type::Record(record) if record.fields().map(|field| field.name).eq(CALL))
}

fn is_pairs(of: &Type) -> bool {
    let Type::List(list) = of else { return false };
    matches!(list.ty(), Type::Tuple(pair) if pair.types().eq([Type::String, Type::String]))
}

impl Names {
    fn of(engine: &Engine, instance: &ComponentInstance) -> Self {
        let named = instance.exports(engine).filter_map(|(name, item)| match item.ty {
            // Other types say as much by their shape.
            ComponentItem::Type(
                of @ (Type::Record(_) | Type::Variant(_) | Type::Enum(_) | Type::Flags(_)),
            ) => Some((of, name.to_owned())),
            _ => None,
        });
        Self(named.collect())
    }

    fn name(&self, of: &Type) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == of).map(|(_, name)| name.as_str())
    }

    /// A type as WIT writes it: by its name where it has one.
    pub(super) fn text(&self, of: &Type) -> String {
        self.name(of).map_or_else(|| self.shape(of), str::to_owned)
    }

    fn shape(&self, of: &Type) -> String {
        let payload = |of: Option<Type>| of.map_or_else(|| "_".to_owned(), |of| self.text(&of));
        match of {
            Type::Bool => "bool".to_owned(),
            Type::S8 => "s8".to_owned(),
            Type::U8 => "u8".to_owned(),
            Type::S16 => "s16".to_owned(),
            Type::U16 => "u16".to_owned(),
            Type::S32 => "s32".to_owned(),
            Type::U32 => "u32".to_owned(),
            Type::S64 => "s64".to_owned(),
            Type::U64 => "u64".to_owned(),
            Type::Float32 => "f32".to_owned(),
            Type::Float64 => "f64".to_owned(),
            Type::Char => "char".to_owned(),
            Type::String => "string".to_owned(),
            Type::List(list) => format!("list<{}>", self.text(&list.ty())),
            Type::FixedLengthList(list) => format!("list<{}, {}>", self.text(&list.ty()), list.len()),
            Type::Map(map) => format!("map<{}, {}>", self.text(&map.key()), self.text(&map.value())),
            Type::Record(record) => {
                let field = |field: Field<'_>| format!("{}: {}", field.name, self.text(&field.ty));
                format!("record {{ {} }}", joined(record.fields().map(field)))
            }
            Type::Tuple(tuple) => format!("tuple<{}>", joined(tuple.types().map(|of| self.text(&of)))),
            Type::Variant(variant) => {
                let case = |(name, of): (&str, Option<Type>)| match of {
                    Some(of) => format!("{name}({})", self.text(&of)),
                    None => name.to_owned(),
                };
                format!("variant {{ {} }}", joined(variant.cases().map(|it| case((it.name, it.ty)))))
            }
            Type::Enum(cases) => format!("enum {{ {} }}", joined(cases.names().map(str::to_owned))),
            Type::Flags(flags) => format!("flags {{ {} }}", joined(flags.names().map(str::to_owned))),
            Type::Option(option) => format!("option<{}>", self.text(&option.ty())),
            Type::Result(result) => match (result.ok(), result.err()) {
                (None, None) => "result".to_owned(),
                (ok, None) => format!("result<{}>", payload(ok)),
                (ok, err) => format!("result<{}, {}>", payload(ok), payload(err)),
            },
            Type::Own(_) | Type::Borrow(_) => "a resource".to_owned(),
            Type::Future(_) => "future".to_owned(),
            Type::Stream(_) => "stream".to_owned(),
            Type::ErrorContext => "error-context".to_owned(),
        }
    }

    /// The shapes behind the names that types are made of, each once.
    pub(super) fn explain(&self, types: impl IntoIterator<Item = Type>) -> Vec<String> {
        let mut found = Vec::new();
        types.into_iter().for_each(|of| self.explain_into(&of, &mut found));
        found
    }

    fn explain_into(&self, of: &Type, found: &mut Vec<String>) {
        if let Some(name) = self.name(of) {
            let line = format!("{name} = {}", self.shape(of));
            if found.contains(&line) {
                return;
            }
            found.push(line);
        }
        for inner in parts(of) {
            self.explain_into(&inner, found);
        }
    }
}

fn parts(of: &Type) -> Vec<Type> {
    match of {
        Type::List(list) => vec![list.ty()],
        Type::FixedLengthList(list) => vec![list.ty()],
        Type::Map(map) => vec![map.key(), map.value()],
        Type::Record(record) => record.fields().map(|field| field.ty).collect(),
        Type::Tuple(tuple) => tuple.types().collect(),
        Type::Variant(variant) => variant.cases().filter_map(|case| case.ty).collect(),
        Type::Option(option) => vec![option.ty()],
        Type::Result(result) => result.ok().into_iter().chain(result.err()).collect(),
        _ => Vec::new(),
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}
