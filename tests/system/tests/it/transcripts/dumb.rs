//! A reader of messages that knows as little of HTTP/1.1 as is needed, and nothing from us.

use std::fmt;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// A message, in either direction.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// The values of a field, whatever the case of its name.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let fields = self.fields.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value.as_str())
    }

    /// Reads the next one; none if the stream ends before it.
    ///
    /// # Errors
    /// What is not as it should be.
    pub(crate) async fn read(from: &mut BufReader<impl AsyncRead + Unpin>) -> Result<Option<Self>, String> {
        let Some(start) = line(from).await? else { return Ok(None) };
        let mut message = Self { start, fields: Vec::new(), body: Vec::new() };
        loop {
            let field = line(from).await?.ok_or("the stream ends in a head")?;
            if field.is_empty() {
                break;
            }
            let (name, value) = field.split_once(':').ok_or_else(|| format!("no field: {field}"))?;
            message.fields.push((name.to_owned(), value.trim().to_owned()));
        }
        let length = message.values("Content-Length").next().map(str::parse::<usize>);
        let chunked = message.values("Transfer-Encoding").any(|value| value == "chunked");
        match length {
            Some(length) => {
                let length = length.map_err(|error| format!("Content-Length: {error}"))?;
                message.body = exactly(from, length).await?;
            }
            None if chunked => loop {
                let size = line(from).await?.ok_or("the stream ends in a body")?;
                let size = usize::from_str_radix(&size, 16).map_err(|error| format!("{size}: {error}"))?;
                message.body.extend(exactly(from, size).await?);
                line(from).await?;
                if size == 0 {
                    break;
                }
            },
            None => {}
        }
        Ok(Some(message))
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {}", self.start)?;
        self.fields.iter().try_for_each(|(name, value)| writeln!(f, "| {name}: {value}"))?;
        write!(f, "| {}", self.body.escape_ascii())
    }
}

async fn exactly(from: &mut (impl AsyncRead + Unpin), length: usize) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await.map_err(|error| format!("a body of {length} bytes: {error}"))?;
    Ok(bytes)
}

/// A line without its end; none at the end of the stream.
async fn line(from: &mut BufReader<impl AsyncRead + Unpin>) -> Result<Option<String>, String> {
    let mut bytes = Vec::new();
    let read = from.read_until(b'\n', &mut bytes).await.map_err(|error| error.to_string())?;
    if read == 0 {
        return Ok(None);
    }
    let text = bytes.strip_suffix(b"\r\n").ok_or_else(|| format!("no line: {}", bytes.escape_ascii()))?;
    String::from_utf8(text.to_vec()).map(Some).map_err(|error| error.to_string())
}
