//! What every wire must do.

use super::codec::mutate;
use super::{Failure, Verdict, ensure, shown};
use fastrand::Rng;
use http1_core::{End, Error, Framing, Head, MAX_FIELDS, MAX_HEAD, Method, Role, Start, names};
use micro_net::wire::{HeadError, Wire};

/// A check of a wire; the number is where random things begin.
pub(crate) type Check<W> = fn(&W, u64) -> Verdict;

/// The rules and their checks.
pub(crate) fn cases<W: Wire>() -> [(&'static str, Check<W>); 8] {
    [
        ("wire.decode.ordinary", ordinary),
        ("wire.decode.partial", partial),
        ("wire.decode.hostile", hostile),
        ("wire.decode.bounded", bounded),
        ("wire.encode.refuses", refuses),
        ("wire.encode.framing", framing),
        ("wire.round-trip", round_trip),
        ("wire.decode.mutated", mutated),
    ]
}

/// Heads that everybody reads alike, with where their bodies end.
const ORDINARY: &[(Role, &str, Framing)] = &[
    (Role::Request, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", Framing::None),
    (
        Role::Request,
        "POST / HTTP/1.1\r\nHost: a:1\r\nContent-Length: 2\r\nMicro-Endpoint: Say.Hello\r\n\r\n",
        Framing::Length(2),
    ),
    (Role::Request, "POST /x?y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Framing::Chunked),
    (Role::Request, "PATCH /x HTTP/1.1\r\nhost:a\r\nx-EMPTY:\r\nX-Own:  spaces \r\n\r\n", Framing::None),
    (Role::Request, "POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", Framing::Length(0)),
    (
        Role::Response,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: application/json\r\n\r\n",
        Framing::Length(5),
    ),
    (
        Role::Response,
        "HTTP/1.1 500 Internal Server Error\r\nTransfer-Encoding: chunked\r\n\r\n",
        Framing::Chunked,
    ),
    (Role::Response, "HTTP/1.1 204 No Content\r\n\r\n", Framing::None),
    (Role::Response, "HTTP/1.0 200 OK\r\n\r\n", Framing::UntilClose),
];

/// Requests by which readers that differ can be played off against each other (RFC 9112 §6.3, §11.2), and broken ones.
const HOSTILE: &[&[u8]] = &[
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nX: y\r\n Content-Length: 5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nX\0: y\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n",
    b"POST  / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/2.0\r\nHost: a\r\n\r\n",
    b"POST / HTTQ/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1 \r\nHost: a\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n",
];

/// Checks all rules that wires can be held to natively; the first that does not hold is named.
///
/// # Errors
/// The rule and what was seen.
pub fn conforms<W: Wire>(wire: &W, seed: u64) -> Result<(), String> {
    cases::<W>().iter().try_for_each(|(rule, check)| {
        check(wire, seed).map(drop).map_err(|failure| format!("{rule}: {failure}"))
    })
}

/// What a decoder made of some bytes.
enum Decoded {
    More,
    Head { consumed: usize, framing: Framing, fields: Vec<(String, Vec<u8>)> },
    Refused(Error),
}

/// Decodes, and looks at every word.
fn decode<W: Wire>(wire: &W, role: Role, data: &[u8]) -> Result<Decoded, Failure> {
    let mut words = Vec::new();
    match wire.decode(role, Method::POST, data, &mut words) {
        Ok(0) => Ok(Decoded::More),
        Ok(consumed) => {
            let Some(head) = Head::new(&words, data) else {
                return Err(Failure(format!(
                    "of {} it made words that describe no head of it: {words:?}",
                    shown(data)
                )));
            };
            let fields = head.fields().map(|(_, name, value)| (name.to_owned(), value.to_vec())).collect();
            Ok(Decoded::Head { consumed, framing: head.framing(), fields })
        }
        Err(HeadError::Protocol(error)) => Ok(Decoded::Refused(error)),
        Err(HeadError::Plugin(error)) => Err(Failure(format!("{} made it fail: {error}", shown(data)))),
    }
}

fn ordinary<W: Wire>(wire: &W, _: u64) -> Verdict {
    for (role, text, expected) in ORDINARY {
        let mut data = text.as_bytes().to_vec();
        data.extend_from_slice(b"GET /behind HTTP/1.1\r\n\r\n");
        match decode(wire, *role, &data)? {
            Decoded::Head { consumed, framing, .. } => {
                ensure!(consumed == text.len(), "of {} it took {consumed} bytes as the head", shown(&data));
                ensure!(
                    framing == *expected,
                    "the body of {text:?} ends by {framing:?}, not by {expected:?}"
                );
            }
            Decoded::More => return Err(Failure(format!("it wanted more than all of {text:?}"))),
            Decoded::Refused(error) => return Err(Failure(format!("it refused {text:?}: {error}"))),
        }
    }
    let (role, text, _) = ORDINARY[3];
    let Decoded::Head { fields, .. } = decode(wire, role, text.as_bytes())? else { return Ok(None) };
    let find =
        |name: &str| fields.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    ensure!(find("X-Own").is_some_and(|it| it == b"spaces"), "{text:?} was read as {fields:?}");
    ensure!(find("X-Empty").is_some_and(Vec::is_empty), "{text:?} was read as {fields:?}");
    Ok(None)
}

fn partial<W: Wire>(wire: &W, _: u64) -> Verdict {
    for (role, text, _) in ORDINARY {
        for cut in 0..text.len() {
            match decode(wire, *role, &text.as_bytes()[..cut])? {
                Decoded::More => {}
                Decoded::Head { .. } => {
                    return Err(Failure(format!("it took {:?} for a whole head", &text[..cut])));
                }
                Decoded::Refused(error) => {
                    return Err(Failure(format!("it refused {:?}: {error}", &text[..cut])));
                }
            }
        }
    }
    Ok(None)
}

fn hostile<W: Wire>(wire: &W, _: u64) -> Verdict {
    for data in HOSTILE {
        match decode(wire, Role::Request, data)? {
            Decoded::Refused(_) => {}
            Decoded::Head { framing, .. } => {
                return Err(Failure(format!(
                    "it took {}, with a body that ends by {framing:?}",
                    shown(data)
                )));
            }
            Decoded::More => return Err(Failure(format!("it wanted more than {}", shown(data)))),
        }
    }
    Ok(Some(format!("{} heads", HOSTILE.len())))
}

fn bounded<W: Wire>(wire: &W, _: u64) -> Verdict {
    let head = |fields: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(fields - 1));
    let taken =
        |data: &[u8]| Ok::<_, Failure>(matches!(decode(wire, Role::Request, data)?, Decoded::Head { .. }));
    ensure!(taken(head(MAX_FIELDS).as_bytes())?, "it does not take {MAX_FIELDS} fields");
    ensure!(!taken(head(MAX_FIELDS + 1).as_bytes())?, "it takes {} fields", MAX_FIELDS + 1);
    let long = |length: usize| {
        let rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(length - rest))
    };
    ensure!(taken(long(MAX_HEAD - 1).as_bytes())?, "it does not take a head of {} bytes", MAX_HEAD - 1);
    let refused =
        |data: &[u8]| Ok::<_, Failure>(matches!(decode(wire, Role::Request, data)?, Decoded::Refused(_)));
    ensure!(
        refused(long(MAX_HEAD + 1).as_bytes())?,
        "it takes, or waits for, a head of {} bytes",
        MAX_HEAD + 1
    );
    ensure!(
        refused(&[b'A'; MAX_HEAD + 10])?,
        "it takes, or waits for, a start line of {} bytes",
        MAX_HEAD + 10
    );
    Ok(None)
}

fn encode<W: Wire>(
    wire: &W,
    start: Start<'_>,
    fields: &[(&[u8], &[u8])],
    end: End,
) -> Result<Vec<u8>, HeadError> {
    let mut out = Vec::new();
    wire.encode(start, fields.iter().copied(), end, &mut out)?;
    Ok(out)
}

const END: End = End { framing: Framing::None, close: false };

fn refuses<W: Wire>(wire: &W, _: u64) -> Verdict {
    let start = Start::Request { method: "POST", path: b"/", host: b"a" };
    let fields: [(&[u8], &[u8]); 8] = [
        (b"X Y", b"1"),
        (b"X\r\nY", b"1"),
        (b"X:", b"1"),
        (b"X\0", b"1"),
        (b"X", b"1\r\nY: 2"),
        (b"X", b"1\n"),
        (b"X", b"\0"),
        (b"Micro-Endpoint", b"a\rb"),
    ];
    let refused = |written: Result<Vec<u8>, HeadError>| -> Verdict {
        match written {
            Err(HeadError::Protocol(_)) => Ok(None),
            Err(HeadError::Plugin(error)) => Err(Failure(format!("it failed: {error}"))),
            Ok(bytes) => Err(Failure(format!("it wrote {}", shown(&bytes)))),
        }
    };
    for field in fields {
        refused(encode(wire, start, &[field], END))?;
    }
    for path in [&b"/a b"[..], b"/\r\nX: y", b"/\0", b""] {
        refused(encode(wire, Start::Request { method: "GET", path, host: b"a" }, &[], END))?;
    }
    for method in ["", "GE T", "GET\r\n"] {
        refused(encode(wire, Start::Request { method, path: b"/", host: b"a" }, &[], END))?;
    }
    for reason in [&b"OK\r\nX: y"[..], b"O\0K"] {
        refused(encode(wire, Start::Response { status: 200, reason }, &[], END))?;
    }
    Ok(None)
}

fn framing<W: Wire>(wire: &W, _: u64) -> Verdict {
    let fields: [(&[u8], &[u8]); 4] = [
        (b"Content-Length", b"99"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Connection", b"upgrade"),
        (b"X-Own", b"1"),
    ];
    for expected in [Framing::Length(2), Framing::Length(0), Framing::Chunked] {
        let start = Start::Request { method: "POST", path: b"/", host: b"a" };
        let end = End { framing: expected, close: false };
        let bytes = encode(wire, start, &fields, end)
            .map_err(|error| Failure(format!("it does not write: {error}")))?;
        let Decoded::Head { framing, fields, .. } = decode(wire, Role::Request, &bytes)? else {
            return Err(Failure(format!("it does not read its own {}", shown(&bytes))));
        };
        ensure!(framing == expected, "asked for {expected:?} it wrote {}", shown(&bytes));
        ensure!(fields.iter().any(|(name, _)| name == "X-Own"), "{} lost a field", shown(&bytes));
    }
    Ok(None)
}

/// A head that was made up.
struct Made {
    request: bool,
    path: Vec<u8>,
    status: u16,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    end: End,
}

impl Made {
    fn new(random: &mut Rng) -> Self {
        let names = ["Content-Type", "Micro-Endpoint", "X-Own", "x-other-name", "Traceparent", "Micro-Id"];
        let longest = 1 << random.u32(1..12);
        let field = |_| {
            let name = names[random.usize(..names.len())].as_bytes().to_vec();
            (name, (0..random.usize(..longest)).map(|_| random.u8(b'!'..0x7f)).collect())
        };
        let fields = (0..8).map(field).collect();
        let framings =
            [Framing::Length(0), Framing::Length(u64::MAX), Framing::Length(1 << 40), Framing::Chunked];
        let end = End { framing: framings[random.usize(..4)], close: random.bool() };
        let path: Vec<u8> = (0..random.usize(..50)).map(|_| random.u8(b'!'..0x7f)).collect();
        Self {
            request: random.bool(),
            path: [b"/", &path[..]].concat(),
            status: random.u16(200..204),
            fields,
            end,
        }
    }

    fn role(&self) -> Role {
        if self.request { Role::Request } else { Role::Response }
    }

    fn write<W: Wire>(&self, wire: &W) -> Result<Vec<u8>, Failure> {
        let start = match self.request {
            true => Start::Request { method: "POST", path: &self.path, host: b"here:1" },
            false => Start::Response { status: self.status, reason: b"Reason" },
        };
        let fields: Vec<(&[u8], &[u8])> =
            self.fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        encode(wire, start, &fields, self.end)
            .map_err(|error| Failure(format!("it does not write {fields:?}: {error}")))
    }
}

fn round_trip<W: Wire>(wire: &W, seed: u64) -> Verdict {
    const ROUNDS: u64 = 500;
    for round in 0..ROUNDS {
        let made = Made::new(&mut Rng::with_seed(seed.wrapping_add(round)));
        let bytes = made.write(wire)?;
        let Decoded::Head { consumed, framing, fields } = decode(wire, made.role(), &bytes)? else {
            return Err(Failure(format!("round {round}: it does not read its own {}", shown(&bytes))));
        };
        ensure!(consumed == bytes.len(), "round {round}: of {} it took {consumed} bytes", shown(&bytes));
        ensure!(
            framing == made.end.framing,
            "round {round}: {:?} came back as {framing:?}",
            made.end.framing
        );
        let of_ours =
            fields.iter().filter(|(name, _)| !names::is_connection_field(names::id(name.as_bytes())));
        let of_ours = of_ours.filter(|(name, _)| !name.eq_ignore_ascii_case("host"));
        let came = of_ours.map(|(name, value)| (name.to_ascii_lowercase().into_bytes(), value.clone()));
        let sent = made.fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        // A plugin may add fields of its own, as a mark or a date.
        let (came, sent): (Vec<_>, Vec<_>) = (came.collect(), sent.collect());
        let kept = came.iter().filter(|field| sent.contains(field)).eq(sent.iter());
        ensure!(kept, "round {round}: {sent:?} came back as {came:?}");
    }
    Ok(Some(format!("{ROUNDS} heads")))
}

fn mutated<W: Wire>(wire: &W, seed: u64) -> Verdict {
    const ROUNDS: u64 = 3000;
    for round in 0..ROUNDS {
        let mut random = Rng::with_seed(seed.wrapping_add(round));
        let made = Made::new(&mut random);
        let bytes = mutate(made.write(wire)?, &mut random);
        decode(wire, made.role(), &bytes).map_err(|failure| Failure(format!("round {round}: {failure}")))?;
    }
    Ok(Some(format!("{ROUNDS} heads")))
}

/// Some calls whose answers say how it behaves.
pub(crate) fn transcript<W: Wire>(wire: &W, seed: u64) -> Result<String, Failure> {
    let mut random = Rng::with_seed(seed);
    let made = Made::new(&mut random);
    let bytes = made.write(wire)?;
    let mut words = Vec::new();
    let consumed = wire.decode(made.role(), Method::POST, &bytes, &mut words);
    Ok(format!("{bytes:?} {:?} {words:?}", consumed.map_err(|error| error.to_string())))
}

/// Writes a request as services send them.
pub(crate) fn write_ordinary<W: Wire>(wire: &W) -> Result<Vec<u8>, Failure> {
    let start = Start::Request { method: "POST", path: b"/", host: b"127.0.0.1:40001" };
    let fields: [(&[u8], &[u8]); 5] = [
        (b"Content-Type", b"application/json"),
        (b"Micro-Endpoint", b"Say.Hello"),
        (b"Micro-Service", b"go.micro.srv.greeter"),
        (b"Micro-Id", b"4711"),
        (b"Timeout", b"5000000000"),
    ];
    let end = End { framing: Framing::Length(100), close: false };
    encode(wire, start, &fields, end)
        .map_err(|error| Failure(format!("it does not write {start:?}: {error}")))
}

/// Reads it.
pub(crate) fn read_ordinary<W: Wire>(wire: &W, bytes: &[u8]) -> Result<(), Failure> {
    let mut words = Vec::new();
    let consumed = wire.decode(Role::Request, Method::NONE, bytes, &mut words);
    consumed.map(drop).map_err(|error| Failure(format!("it does not read {}: {error}", shown(bytes))))
}
