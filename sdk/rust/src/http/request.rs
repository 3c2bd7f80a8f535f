use super::{Body, Cause, Error, Headers, Response};
use crate::time;
use futures::future::join;
use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};
use wasip3::http::client;
use wasip3::http::types as wasi;
use wasip3::{wit_future, wit_stream};

/// Scheme and authority of a URL: whom to talk to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Whether the host speaks TLS to it.
    pub https: bool,
    /// `host` or `host:port`; IPv6 addresses in brackets.
    pub authority: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

/// What is done to a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Read the head.
    Head,
    /// Anything.
    Post,
    /// Replace.
    Put,
    /// Remove.
    Delete,
    /// Change a part.
    Patch,
    /// Ask what is possible.
    Options,
    /// A word of the backend's own.
    Other(String),
}

/// One request with its whole body.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    origin: Origin,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    patience: Option<Duration>,
}

impl Request {
    /// A request to an absolute `http` or `https` URL. A fragment is not sent.
    ///
    /// # Errors
    /// Anything else.
    pub fn new(method: Method, url: &str) -> Result<Self, Error> {
        let invalid = |why: &str| Error { authority: url.to_owned(), cause: Cause::Invalid(why.to_owned()) };
        let (https, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            _ => return Err(invalid("a URL starts with http:// or https://")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.is_empty() || authority.contains('@') {
            return Err(invalid("a URL has a host and no user"));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self::to(method, Origin { https, authority: authority.to_owned() }, path))
    }

    /// A request to a path (with its query, if any) of an origin.
    pub fn to(method: Method, origin: Origin, path: impl Into<String>) -> Self {
        Self { method, origin, path: path.into(), headers: Vec::new(), body: Vec::new(), patience: None }
    }

    /// A `GET` of an absolute URL.
    ///
    /// # Errors
    /// What is no URL.
    pub fn get(url: &str) -> Result<Self, Error> {
        Self::new(Method::Get, url)
    }

    /// A `POST` to an absolute URL.
    ///
    /// # Errors
    /// What is no URL.
    pub fn post(url: &str) -> Result<Self, Error> {
        Self::new(Method::Post, url)
    }

    /// Adds a header. One that is not valid shows when the request is sent.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Adds a parameter to the query, percent-encoded.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        percent_encode(&mut self.path, name);
        self.path.push('=');
        percent_encode(&mut self.path, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a JSON body with its content type.
    #[must_use]
    pub fn json(self, body: impl Into<Vec<u8>>) -> Self {
        self.header("content-type", "application/json").body(body)
    }

    /// How long to wait for the head of the answer. Without it, until the call's time is over.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Sends it and waits for the head of the answer.
    ///
    /// # Errors
    /// No answer. An answer of any status is not an error.
    pub async fn send(self) -> Result<Response, Error> {
        let authority = self.origin.authority.clone();
        let patience = self.patience;
        let sent = match patience {
            None => self.exchange().await,
            Some(patience) => match Instant::now().checked_add(patience) {
                Some(deadline) => {
                    time::within(deadline, self.exchange()).await.unwrap_or(Err(Cause::Timeout(patience)))
                }
                None => self.exchange().await,
            },
        };
        let response = sent.map_err(|cause| Error { authority: authority.clone(), cause })?;

        let status = response.get_status_code();
        let headers = Headers(response.get_headers().copy_all());
        let (_done, done_reader) = wit_future::new(|| Ok(()));
        let (stream, trailers) = wasi::Response::consume_body(response, done_reader);
        Ok(Response { status, headers, body: Body::new(authority, stream, trailers) })
    }

    async fn exchange(self) -> Result<wasi::Response, Cause> {
        let invalid = |what: &str| Cause::Invalid(format!("not a valid {what}"));
        let mut headers = self.headers;
        // Without a length the host would send the body chunked, and some servers do not read that.
        if !self.body.is_empty() || matches!(self.method, Method::Post | Method::Put | Method::Patch) {
            headers.push(("content-length".to_owned(), self.body.len().to_string().into_bytes()));
        }
        let headers = wasi::Fields::from_list(&headers).map_err(|_| invalid("header"))?;
        let (mut writer, reader) = wit_stream::new();
        let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
        let contents = (!self.body.is_empty()).then_some(reader);
        let (request, _sent) = wasi::Request::new(headers, contents, trailers_reader, None);
        request.set_method(&self.method.into()).map_err(|()| invalid("method"))?;
        let scheme = if self.origin.https { wasi::Scheme::Https } else { wasi::Scheme::Http };
        request.set_scheme(Some(&scheme)).map_err(|()| invalid("scheme"))?;
        request.set_authority(Some(&self.origin.authority)).map_err(|()| invalid("host"))?;
        request.set_path_with_query(Some(&self.path)).map_err(|()| invalid("path"))?;

        // The host reads the body while `send` runs, so both have to make progress. A host that refuses the request
        // drops the reader, which ends the writing as well.
        let write = async {
            writer.write_all(self.body).await;
            drop(writer);
            let _ = trailers.write(Ok(None)).await;
        };
        let (response, ()) = join(client::send(request), write).await;
        response.map_err(Cause::from)
    }
}

impl From<Method> for wasi::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::Get,
            Method::Head => Self::Head,
            Method::Post => Self::Post,
            Method::Put => Self::Put,
            Method::Delete => Self::Delete,
            Method::Patch => Self::Patch,
            Method::Options => Self::Options,
            Method::Other(word) => Self::Other(word),
        }
    }
}

/// Leaves only the unreserved characters of RFC 3986 §2.3 as they are.
fn percent_encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let check = |url: &str, origin: &str, path: &str| {
            let request = Request::get(url).expect(url);
            assert_eq!((request.origin.to_string().as_str(), request.path.as_str()), (origin, path));
        };
        check("http://a:1/b?c=d", "http://a:1", "/b?c=d");
        check("HTTPS://a", "https://a", "/");
        check("http://a?x=/", "http://a", "/?x=/");
        check("http://[::1]:80/#top", "http://[::1]:80", "/");
        for url in ["", "a", "/a", "ftp://a", "http://", "http:///a", "http://u@a/"] {
            assert!(Request::get(url).is_err(), "{url}");
        }
    }

    #[test]
    fn queries_are_encoded() {
        let request = Request::get("http://a/b").expect("valid").query("na me", "ü&=").query("x", "~");
        assert_eq!(request.path, "/b?na%20me=%C3%BC%26%3D&x=~");
    }
}
