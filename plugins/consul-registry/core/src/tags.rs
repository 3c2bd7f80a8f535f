//! Micro's records in consul's tags (`go-micro-wire` §5.3).
//!
//! | tag | holds |
//! |---|---|
//! | `t-…` | one pair of the node's metadata, `{"key":"value"}` |
//! | `e-…` | one endpoint, as JSON |
//! | `v-…` | the version |
//! | `s-…` | one pair of the service's own metadata; of this project, and not seen by Go Micro |
//!
//! What follows the dash is lower-case hex of zlib. The form of 2016 has `=` and the plain text instead; of each kind,
//! the form that comes first in the list counts. Tags that only look so, such as `v-2` or `e-mail`, are somebody's words.

use crate::endpoint;
use crate::model::{Endpoint, Metadata, Node, Service};
use miniz_oxide::{deflate, inflate};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::rc::Rc;

/// The level that zlib takes when none is named.
const LEVEL: u8 = 6;
/// What the tags of one node may unpack to, in bytes.
pub(crate) const MAX_RECORD: usize = 512 << 10;
/// What all tags of one reading may unpack to, beyond a little for each node.
const MAX_READING: usize = 32 << 20;
/// That little: more than the tags of usual services.
const FREE: usize = 4 << 10;
/// Pairs of metadata, or endpoints, of one node.
const MAX_PARTS: usize = 4096;

/// Writes the tags of one node, Go Micro's first and in its order.
pub(crate) fn write(service: &Service, node: &Node) -> Result<Vec<String>, endpoint::Malformed> {
    let pair = |kind, (key, value): (&String, &String)| pack(kind, &json!({ key: value }).to_string());
    let mut tags: Vec<String> = node.metadata.iter().map(|it| pair('t', it)).collect();
    for endpoint in &service.endpoints {
        tags.push(pack('e', &endpoint::write(endpoint)?));
    }
    tags.push(pack('v', &service.version));
    tags.extend(service.metadata.iter().map(|it| pair('s', it)));
    Ok(tags)
}

fn pack(kind: char, text: &str) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let packed = deflate::compress_to_vec_zlib(text.as_bytes(), LEVEL);
    let mut tag = String::with_capacity(2 + packed.len() * 2);
    tag.extend([kind, '-']);
    for byte in packed {
        tag.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    tag
}

/// What tags say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Whether any of them is Micro's.
    pub(crate) micro: bool,
    pub(crate) version: Option<String>,
    pub(crate) metadata: Metadata,
    pub(crate) service_metadata: Metadata,
    pub(crate) endpoints: Vec<Rc<Endpoint>>,
    /// What it unpacked to, in bytes.
    pub(crate) size: usize,
    /// The words of others.
    pub(crate) plain: Vec<String>,
}

/// Tags that are not worth the work.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TagError {
    #[error("its tags unpack to more than {MAX_RECORD} bytes")]
    Record,
    #[error("there are too many large records under this name")]
    Reading,
    #[error("it has more than {MAX_PARTS} endpoints or pairs of metadata")]
    Parts,
}

/// Reads the tags of many nodes, of which most have the same endpoints.
#[derive(Debug)]
pub(crate) struct Reader {
    budget: usize,
    endpoints: HashMap<String, (Option<Rc<Endpoint>>, usize)>,
}

/// The two forms in which a kind is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Packed,
    Plain,
}

impl Default for Reader {
    fn default() -> Self {
        Self { budget: MAX_READING, endpoints: HashMap::new() }
    }
}

impl Reader {
    pub(crate) fn read(&mut self, tags: &[String]) -> Result<Decoded, TagError> {
        let mut decoded = Decoded::default();
        let mut forms: [Option<Form>; 4] = [None; 4];
        let mut cost = Cost::default();
        for tag in tags {
            let part = take_apart(tag).map(|(kind, form, body)| {
                let part = self.part(tag, kind, form, body, &mut cost)?;
                Ok(part.map(|part| (kind, form, part)))
            });
            let Some((kind, form, part)) = part.transpose()?.flatten() else {
                decoded.plain.push(tag.clone());
                continue;
            };
            decoded.micro = true;
            if *forms[kind as usize].get_or_insert(form) == form {
                decoded.add(kind, part);
            }
            let Decoded { endpoints, metadata, service_metadata, .. } = &decoded;
            if endpoints.len().max(metadata.len()).max(service_metadata.len()) > MAX_PARTS {
                return Err(TagError::Parts);
            }
        }
        let beyond = cost.fresh.saturating_sub(FREE);
        self.budget = self.budget.checked_sub(beyond).ok_or(TagError::Reading)?;
        decoded.size = cost.record;
        Ok(decoded)
    }

    /// What one tag says. None: it is a word of others.
    fn part(
        &mut self,
        tag: &str,
        kind: Kind,
        form: Form,
        body: &str,
        cost: &mut Cost,
    ) -> Result<Option<Part>, TagError> {
        if let Some((known, size)) = self.endpoints.get(tag) {
            cost.record += size;
            // A node must not become large by what others have unpacked.
            return match cost.record > MAX_RECORD {
                true => Err(TagError::Record),
                false => Ok(known.clone().map(Part::Endpoint)),
            };
        }
        let text = unpack(form, body, cost)?;
        if kind != Kind::Endpoint {
            return Ok(text.and_then(|text| match kind {
                Kind::Version => Some(Part::Version(text)),
                _ => pairs(&text).map(Part::Pairs),
            }));
        }
        let endpoint = text.as_deref().and_then(endpoint::read).map(Rc::new);
        self.endpoints.insert(tag.to_owned(), (endpoint.clone(), text.map_or(0, |text| text.len())));
        Ok(endpoint.map(Part::Endpoint))
    }
}

/// Bytes that the tags of a node unpacked to: all of them, and those that no other node had before.
#[derive(Default)]
struct Cost {
    record: usize,
    fresh: usize,
}

/// What one tag says.
enum Part {
    Version(String),
    Pairs(Vec<(String, String)>),
    Endpoint(Rc<Endpoint>),
}

impl Decoded {
    fn add(&mut self, kind: Kind, part: Part) {
        match part {
            Part::Version(version) => _ = self.version.get_or_insert(version),
            Part::Pairs(pairs) if kind == Kind::ServiceMetadata => self.service_metadata.extend(pairs),
            Part::Pairs(pairs) => self.metadata.extend(pairs),
            Part::Endpoint(endpoint) => self.endpoints.push(endpoint),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Metadata,
    Endpoint,
    Version,
    ServiceMetadata,
}

fn take_apart(tag: &str) -> Option<(Kind, Form, &str)> {
    let kind = match tag.as_bytes().first()? {
        b't' => Kind::Metadata,
        b'e' => Kind::Endpoint,
        b'v' => Kind::Version,
        b's' => Kind::ServiceMetadata,
        _ => return None,
    };
    match (tag.as_bytes().get(1)?, kind) {
        (b'-', _) => Some((kind, Form::Packed, &tag[2..])),
        // There was none in 2016.
        (b'=', Kind::ServiceMetadata) => None,
        (b'=', _) => Some((kind, Form::Plain, &tag[2..])),
        _ => None,
    }
}

/// The text in a tag. None: it is no tag of Micro's.
fn unpack(form: Form, body: &str, cost: &mut Cost) -> Result<Option<String>, TagError> {
    let limit = MAX_RECORD.saturating_sub(cost.record);
    let text = match form {
        Form::Plain if body.len() > limit => return Err(TagError::Record),
        Form::Plain => body.to_owned(),
        Form::Packed => {
            let Some(bytes) = unhex(body) else { return Ok(None) };
            let text = match inflate::decompress_to_vec_zlib_with_limit(&bytes, limit) {
                Ok(text) => String::from_utf8(text),
                Err(error) if error.status == inflate::TINFLStatus::HasMoreOutput => {
                    return Err(TagError::Record);
                }
                Err(_) => return Ok(None),
            };
            let Ok(text) = text else { return Ok(None) };
            text
        }
    };
    cost.record += text.len();
    cost.fresh += text.len();
    Ok(Some(text))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// The pairs of a metadata tag. Go writes one in each.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let Ok(Value::Object(map)) = serde_json::from_str(text) else { return None };
    let pair = |(key, value)| match value {
        Value::String(text) => Some((key, text)),
        Value::Null => Some((key, String::new())),
        _ => None,
    };
    map.into_iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tags: &[&str]) -> Decoded {
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        Reader::default().read(&tags).expect("small")
    }

    #[test]
    fn what_go_wrote_is_read() {
        for (tag, version) in [
            ("v-789c32d433d03300040000ffff02ce00ee", "1.0.0"),
            ("v-789cca492c492d2e01040000ffff08cc028e", "latest"),
            ("v-789C32D433D03300040000FFFF02CE00EE", "1.0.0"),
            ("v=1.0.0", "1.0.0"),
            ("v=", ""),
        ] {
            assert_eq!(read(&[tag]).version.as_deref(), Some(version), "{tag}");
        }
        let old = read(&[r#"t={"protocol":"mucp"}"#, r#"e={"name":"Say.Hello","request":null}"#]);
        assert_eq!(old.metadata["protocol"], "mucp");
        assert_eq!(old.endpoints[0].name, "Say.Hello");
        assert_eq!((old.micro, old.version), (true, None));
    }

    #[test]
    fn what_is_written_is_read() {
        let endpoint = Endpoint {
            name: "Say.Hello".into(),
            request: r#"{"name":"ü"}"#.into(),
            response: "null".into(),
            metadata: Metadata::from([("stream".into(), "true".into())]),
        };
        let pairs: Metadata = [("a", "1"), ("", "x"), ("quote\"", "\n")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let node = Node { metadata: pairs.clone(), ..Node::default() };
        let service = Service {
            version: "1.0.0".into(),
            metadata: pairs.clone(),
            endpoints: vec![endpoint.clone()],
            ..Service::default()
        };
        let tags = write(&service, &node).expect("valid");
        assert_eq!(tags.len(), 8);
        assert!(tags.iter().all(|tag| {
            tag.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        }));
        let decoded = Reader::default().read(&tags).expect("small");
        assert_eq!((&decoded.metadata, &decoded.service_metadata), (&pairs, &pairs));
        assert_eq!(decoded.endpoints, [Rc::new(endpoint)]);
        assert_eq!((decoded.version.as_deref(), decoded.plain.len()), (Some("1.0.0"), 0));
    }

    #[test]
    fn the_form_that_comes_first_counts() {
        let packed = |key: &str| pack('t', &json!({ key: "x" }).to_string());
        let keys = |tags: &[&str]| read(tags).metadata.into_keys().collect::<Vec<_>>();
        assert_eq!(keys(&[&packed("new"), r#"t={"old":"x"}"#, &packed("second")]), ["new", "second"]);
        assert_eq!(keys(&[r#"t={"old":"x"}"#, &packed("new")]), ["old"]);
        assert_eq!(read(&["v=1", &pack('v', "2")]).version.as_deref(), Some("1"));
        assert_eq!(read(&["v=1", "v=2"]).plain, [""; 0]);
    }

    #[test]
    fn what_only_looks_like_it_is_a_word_of_others() {
        let words = [
            "",
            "t",
            "v",
            "e-",
            "v-2",
            "v-1.0.0",
            "e-mail",
            "t-shirt",
            "s-class",
            "s=1",
            "v-zz",
            "v-789",
            "e=x",
            "t=[]",
            r#"t={"a":1}"#,
            "e=[]",
            "e=null",
            "primary",
            "t-789c",
            "v-789c32d433",
            "ü-1",
            "é",
        ];
        let decoded = read(&words);
        assert_eq!(decoded.plain, words);
        assert!(!decoded.micro && decoded.version.is_none());
    }

    #[test]
    fn bombs_do_not_go_off() {
        let bomb = pack('v', &"x".repeat(MAX_RECORD + 1));
        assert!(bomb.len() < 4096, "{}", bomb.len());
        let read = |tags: &[String]| Reader::default().read(tags);
        assert_eq!(read(&[bomb]), Err(TagError::Record));
        let half = |kind| pack(kind, &format!(r#"{{"name":"{}"}}"#, "x".repeat(MAX_RECORD / 2)));
        for kind in ['v', 't', 'e', 's'] {
            assert_eq!(read(&[half(kind), half(kind)]), Err(TagError::Record), "{kind}");
        }
        assert_eq!(read(&["v=".to_owned() + &"x".repeat(MAX_RECORD + 1)]), Err(TagError::Record));
        let many: Vec<String> = (0..=MAX_PARTS).map(|at| format!("t={{\"{at}\":\"\"}}")).collect();
        assert_eq!(read(&many), Err(TagError::Parts));

        // Many that are just small enough are read up to a limit; small ones go on being read.
        let mut reader = Reader::default();
        let large = [half('v')];
        let read = (0..1000).take_while(|_| reader.read(&large).is_ok()).count();
        assert!(read < 200, "{read}");
        assert_eq!(reader.read(&large), Err(TagError::Reading));
        assert!(reader.read(&[pack('v', "1")]).is_ok());
    }
}
