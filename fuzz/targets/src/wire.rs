//! Heads of HTTP/1.1 messages, and words that a decoder which is not ours might claim.

use http1_core::{
    End, Error, Framing, Head, MAX_FIELDS, MAX_HEAD, Method, Role, Start, decode, encode, encode_packed,
    names, unpack,
};

/// Every prefix of a head up to this length is tried, and some of those of a longer one: all of them would cost
/// quadratic time.
const ALL_PREFIXES: usize = 256;

/// What the encoder may add to a head that it writes again: the fields that it chooses itself, and their words.
const ADDED_FIELDS: usize = 3;
const ADDED_BYTES: usize = 256;

/// A request head.
pub(crate) fn request(data: &[u8]) {
    check(Role::Request, Method::NONE, data);
}

/// A response head behind one byte that says which method it answers.
pub(crate) fn response(data: &[u8]) {
    let Some((method, data)) = data.split_first() else { return };
    check(Role::Response, Method::from_word(u32::from(*method)), data);
}

/// A packed head as it crosses into a component, behind a status. What is encoded is a head.
pub(crate) fn packed(data: &[u8]) {
    let Some((status, data)) = data.split_first_chunk() else { return };
    let status = u16::from_le_bytes(*status);
    for role in [Role::Request, Role::Response] {
        let end = End { framing: Framing::Length(1), close: false };
        let mut bytes = Vec::new();
        match encode_packed(role, status, data, end, &mut bytes) {
            Ok(()) => {
                let mut words = Vec::new();
                assert_eq!(decode(role, Method::POST, &bytes, &mut words), Ok(bytes.len()));
            }
            Err(_) => assert!(bytes.is_empty(), "half a head"),
        }
        let Some((_, mut fields)) = unpack(role, status, data) else { continue };
        for (id, name, value) in &mut fields {
            assert!(name.len() <= data.len().max(64) && value.len() <= data.len());
            assert!((id as usize) < names::NAMES.len());
        }
    }
}

fn check(role: Role, method: Method, data: &[u8]) {
    let mut words = Vec::new();
    let decoded = decode(role, method, data, &mut words);
    match decoded {
        Ok(consumed) if consumed > 0 => {
            assert!(consumed <= data.len() && consumed <= MAX_HEAD);
            let head = Head::new(&words, data).expect("our own words are good");
            assert_eq!(head.consumed(), consumed);
            read(&head);
            let mut alone = Vec::new();
            assert_eq!(decode(role, method, &data[..consumed], &mut alone), decoded, "what follows counts");
            assert_eq!(alone, words, "what follows changes the words");
            again(role, method, &head);
        }
        _ => assert!(words.is_empty(), "words without a head"),
    }
    // However the bytes are cut, a reader that asks again comes to the same end.
    let end = decoded.ok().filter(|consumed| *consumed > 0).unwrap_or(data.len().min(MAX_HEAD));
    for cut in (0..end).rev().step_by(end.div_ceil(ALL_PREFIXES).max(1)) {
        match decode(role, method, &data[..cut], &mut words) {
            Ok(0) => {}
            early => assert_eq!((early, decoded.is_err()), (decoded, true), "cut at {cut}"),
        }
    }
}

/// Calls every accessor.
fn read(head: &Head<'_>) {
    assert!(head.path().len() <= head.consumed() && head.reason().len() <= head.consumed());
    assert!(head.status() < 1000);
    let _ = (head.method(), head.framing(), head.keep_alive(), head.expects_continue(), head.wants_upgrade());
    let fields = head.fields();
    assert!(fields.len() <= head.consumed());
    for (id, name, value) in fields {
        assert!(!name.is_empty() && value.len() <= head.consumed());
        assert!((id as usize) < names::NAMES.len() && (id == 0 || names::id(name.as_bytes()) == id));
    }
}

/// Writes a head that was read; what is read from that must be the same message.
fn again(role: Role, method: Method, head: &Head<'_>) {
    let host = head.fields().find(|(id, ..)| *id == names::HOST).map_or(&b"a"[..], |(.., host)| host);
    let start = match role {
        Role::Request => Start::Request { method: head.method(), path: head.path(), host },
        Role::Response => Start::Response { status: head.status(), reason: head.reason() },
    };
    let message = |head: &Head<'_>| -> Vec<(String, Vec<u8>)> {
        let kept = head.fields().filter(|(id, ..)| !names::is_connection_field(*id));
        kept.map(|(_, name, value)| (name.to_owned(), value.to_vec())).collect()
    };
    let fields = head.fields().map(|(_, name, value)| (name.as_bytes(), value));
    let end = End { framing: head.framing(), close: !head.keep_alive() };
    let mut bytes = Vec::new();
    match encode(start, fields, end, &mut bytes) {
        Ok(()) => {}
        Err(Error::TooLarge) => {
            let near =
                head.fields().len() + ADDED_FIELDS > MAX_FIELDS || head.consumed() + ADDED_BYTES > MAX_HEAD;
            return assert!(near, "a small head is too large");
        }
        Err(error) => panic!("a head that was read cannot be written: {error}"),
    }
    let mut words = Vec::new();
    let consumed = decode(role, method, &bytes, &mut words).expect("our own heads are good");
    let second = Head::new(&words, &bytes).expect("our own words are good");
    assert_eq!(consumed, bytes.len());
    assert_eq!((second.method(), second.path()), (head.method(), head.path()));
    assert_eq!((second.status(), second.reason()), (head.status(), head.reason()));
    assert_eq!((second.framing(), second.keep_alive()), (head.framing(), head.keep_alive()));
    assert_eq!(message(&second), message(head));
}

/// Words that nobody checked, over data that has nothing to do with them: a count, the words, the data.
pub(crate) fn words(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else { return };
    let (words, rest) = rest.split_at(rest.len().min(usize::from(*count) * 4));
    let words: Vec<u32> = words.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let Some(head) = Head::new(&words, rest) else { return };
    assert!(head.consumed() <= rest.len());
    read(&head);
    if let Framing::Length(length) = head.framing() {
        assert_eq!(Framing::from_words(Framing::Length(length).words()), Some(head.framing()));
    }
}
