//! `micro error`: what the codes behind errors mean, without a network.

use crate::args::Format;
use crate::failure::Next;
use crate::output;
use micro_core::Code;
use serde_json::json;

pub(super) fn explain(format: Format, code: Option<&str>) -> anyhow::Result<()> {
    let Some(code) = code else {
        let text = || Code::all().map(|code| format!("{code}  {}\n", code.title())).collect();
        let all: Vec<_> =
            Code::all().map(|code| json!({ "code": code.to_string(), "title": code.title() })).collect();
        return output::answer(format, text, &all);
    };
    let code: Code = code.parse().next_as(Code::VALUE, "micro error lists all codes")?;
    let page = json!({ "code": code.to_string(), "title": code.title(), "page": code.page() });
    output::answer(format, || code.page(), &page)
}
