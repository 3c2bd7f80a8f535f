//! Conversations with Go Micro, as bytes (`go-micro-wire` §§1.5, 2.4, 2.5, 3), replayed by a peer that only sends what
//! is written down and compares what it gets.
//!
//! The files beside this one have a line for each thing that happens:
//!
//! | line | is |
//! |---|---|
//! | `role server`, `role client` | who is under test |
//! | `call ENDPOINT TYPE BODY`, `call-legacy ...` | what our client is told to do; legacy: the node wants envelopes |
//! | `stream ENDPOINT TYPE` | the same for a stream |
//! | `say BODY`, `hang up` | what our client then does with its stream |
//! | `pause N ms` | nobody does anything for so long |
//! | `> TEXT` | bytes that the peer sends; `\r`, `\n`, `\\` and `\xHH` stand for bytes, the end of the line for nothing |
//! | `= start TEXT` | the first line of the message that comes next: its part up to the end of TEXT |
//! | `= NAME: VALUE` | it has this field; `*` is any value, `#` a number |
//! | `= no NAME` | it has no such field |
//! | `= body TEXT` | its body |
//! | `= body has TEXT` | its body has this part |
//! | `= closed` | the connection ends instead |
//! | `! answer BODY`, `! error CODE ID DETAIL`, `! end` | what our client makes of it |
//! | `# ...` | a remark |

mod client;
pub(crate) mod dumb;
mod script;
mod server;

use micro::{Context, Error, Handler, Raw, Requests, Responses, Value};
use script::{Role, Script};

/// All conversations, by name.
const SCRIPTS: &[(&str, &str)] = &[
    ("unary-v1", include_str!("unary-v1.txt")),
    ("unary-v4", include_str!("unary-v4.txt")),
    ("failing", include_str!("failing.txt")),
    ("empty-protobuf", include_str!("empty-protobuf.txt")),
    ("least", include_str!("least.txt")),
    ("json-rpc", include_str!("json-rpc.txt")),
    ("proto-rpc", include_str!("proto-rpc.txt")),
    ("strange-type", include_str!("strange-type.txt")),
    ("stream", include_str!("stream.txt")),
    ("call-v1", include_str!("call-v1.txt")),
    ("call-v4", include_str!("call-v4.txt")),
    ("call-failing", include_str!("call-failing.txt")),
    ("call-strange-type", include_str!("call-strange-type.txt")),
    ("call-json-rpc", include_str!("call-json-rpc.txt")),
    ("call-proto-rpc", include_str!("call-proto-rpc.txt")),
    ("call-stream", include_str!("call-stream.txt")),
    ("call-stream-leave", include_str!("call-stream-leave.txt")),
    ("call-stream-failing", include_str!("call-stream-failing.txt")),
];

/// The handler of §1.5, over values that are encoded already: what is compared is bytes.
fn greeter() -> Handler {
    let any = Value::default;
    Handler::new("Greeter")
        .unary("Hello", any(), any(), |cx, Raw(request): Raw| async move {
            let json = cx.content_type().contains("json");
            let name = if json {
                serde_json::from_slice::<serde_json::Value>(&request)
                    .ok()
                    .and_then(|request| request["name"].as_str().map(str::to_owned))
            } else {
                // A string in field 1, or nothing.
                std::str::from_utf8(request.get(2..).unwrap_or_default()).ok().map(str::to_owned)
            };
            let name = name.ok_or_else(|| Error::bad_request("greeter.hello", "no name"))?;
            let greeting = format!("hi {name}");
            Ok(Raw(if json {
                format!("{}\n", serde_json::json!({ "msg": greeting })).into()
            } else {
                let length = u8::try_from(greeting.len()).expect("short");
                [&[0x0a, length], greeting.as_bytes()].concat().into()
            }))
        })
        .unary("Fail", any(), any(), |_, _: Raw| async {
            Err::<Raw, _>(Error::bad_request("greeter.hello", "bad x"))
        })
        .bidirectional("Chat", any(), any(), chat)
}

/// Gives back what it gets, until it is told "bye"; "bad" is an error.
async fn chat(_: Context, mut messages: Requests<Raw>, answers: Responses<Raw>) -> Result<(), Error> {
    while let Some(message) = messages.next().await {
        let message = message?;
        let has = |word: &[u8]| message.0.windows(word.len()).any(|found| found == word);
        if has(b"bad") {
            return Err(Error::bad_request("greeter.chat", "bad x"));
        }
        let last = has(b"bye");
        answers.send(message).await?;
        if last {
            break;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_conversation_goes_as_it_is_written_down() {
    let service = server::start().await;
    let mut wrong = Vec::new();
    for (name, text) in SCRIPTS {
        let script = Script::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let outcome = match script.role {
            Role::Server => server::replay(service.address(), &script).await,
            Role::Client => client::replay(&script).await,
        };
        wrong.extend(outcome.err().map(|why| format!("{name}, {why}")));
    }
    service.stop().await.expect("stops");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
