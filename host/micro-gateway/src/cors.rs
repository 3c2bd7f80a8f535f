//! Cross-origin requests: whose scripts may call this gateway in a browser (the CORS protocol of the Fetch standard).
//!
//! Preflights are answered here and reach no service. What a service says about other requests stays as it is.

use crate::answer;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS as CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS as ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS as ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN as ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS as REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD as REQUEST_METHOD, Entry, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::sync::Arc;

/// The methods that may be used unless said otherwise.
const METHODS: &str = "POST, GET, OPTIONS, PUT, DELETE, PATCH";
/// The fields that may be sent unless said otherwise.
const HEADERS: &str = "Content-Type, Content-Length, Accept, Accept-Encoding, X-CSRF-Token, Authorization";
/// How long browsers may remember an answer, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Who may do what. The default allows all origins what `micro api` always allowed.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Vec<String>,
    methods: Names,
    headers: Names,
}

#[derive(Clone, Debug)]
enum Names {
    /// Whatever the browser asks for.
    Any,
    These(HeaderValue),
}

/// A list that cannot stand in a header field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{item:?} cannot be the name of a {what}")]
pub struct CorsError {
    what: &'static str,
    item: String,
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            origins: vec!["*".to_owned()],
            methods: Names::These(HeaderValue::from_static(METHODS)),
            headers: Names::These(HeaderValue::from_static(HEADERS)),
        }
    }
}

impl Cors {
    /// The origins whose scripts may call, such as `https://example.org`; `*` is any. Without one nobody may.
    ///
    /// Browsers send cookies along. With `*` any site can call in the name of whoever looks at it.
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.origins = origins.into_iter().map(|it| it.into().trim_end_matches('/').to_owned()).collect();
        self
    }

    /// The methods that may be used; `*` is any.
    ///
    /// # Errors
    /// The first that is no method.
    pub fn methods(mut self, names: &[String]) -> Result<Self, CorsError> {
        self.methods = Names::of(names, "method")?;
        Ok(self)
    }

    /// The header fields that may be sent; `*` is any.
    ///
    /// # Errors
    /// The first that is no field.
    pub fn headers(mut self, names: &[String]) -> Result<Self, CorsError> {
        self.headers = Names::of(names, "header field")?;
        Ok(self)
    }

    /// Whether scripts of an origin may call.
    pub(crate) fn allows(&self, origin: &HeaderValue) -> bool {
        let is =
            |allowed: &String| allowed == "*" || allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
        self.origins.iter().any(is)
    }

    fn preflight(&self, asked: &HeaderMap, origin: &HeaderValue) -> Response {
        let mut response = answer::empty(StatusCode::OK);
        let headers = response.headers_mut();
        headers.insert(
            VARY,
            HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        );
        if self.allows(origin) {
            headers.insert(ALLOW_ORIGIN, origin.clone());
            headers.insert(CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
            for (name, names, wanted) in [
                (ALLOW_METHODS, &self.methods, asked.get(REQUEST_METHOD)),
                (ALLOW_HEADERS, &self.headers, asked.get(REQUEST_HEADERS)),
            ] {
                let value = match names {
                    Names::Any => wanted,
                    Names::These(names) => Some(names),
                };
                if let Some(value) = value {
                    headers.insert(name, value.clone());
                }
            }
        }
        response
    }
}

impl Names {
    fn of(names: &[String], what: &'static str) -> Result<Self, CorsError> {
        let names: Vec<&str> = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
        if names.contains(&"*") {
            return Ok(Self::Any);
        }
        let is_token = |name: &&str| Method::from_bytes(name.as_bytes()).is_ok();
        let odd = |item: &str| CorsError { what, item: item.to_owned() };
        if let Some(bad) = names.iter().find(|name| !is_token(name)) {
            return Err(odd(bad));
        }
        let list = names.join(", ");
        HeaderValue::from_str(&list).map(Self::These).map_err(|_| odd(&list))
    }
}

/// Middleware that answers preflights, and says to browsers which answers their scripts may see.
pub(crate) async fn answer(State(cors): State<Arc<Cors>>, request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(ORIGIN).cloned() else {
        return vary(next.run(request).await);
    };
    if request.method() == Method::OPTIONS && request.headers().contains_key(REQUEST_METHOD) {
        return cors.preflight(request.headers(), &origin);
    }
    let mut response = vary(next.run(request).await);
    // A service that speaks for itself is not contradicted.
    if cors.allows(&origin)
        && let Entry::Vacant(entry) = response.headers_mut().entry(ALLOW_ORIGIN)
    {
        entry.insert(origin);
        response.headers_mut().insert(CREDENTIALS, HeaderValue::from_static("true"));
    }
    response
}

/// Caches must not give the answer for one origin to another.
fn vary(mut response: Response) -> Response {
    response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::any;
    use tower::ServiceExt;

    async fn ask(cors: Cors, method: &str, fields: &[(&str, &str)]) -> (u16, String, HeaderMap) {
        let own = [("access-control-allow-origin", "https://own.example")];
        let router = Router::new()
            .route("/", any(async || "page"))
            .route("/own", any(async move || (own, "page")))
            .layer(from_fn_with_state(Arc::new(cors), answer));
        let path = if fields.contains(&("x-own", "1")) { "/own" } else { "/" };
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let response =
            router.oneshot(request.body(Body::empty()).expect("valid")).await.expect("never fails");
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 100).await.expect("short");
        (head.status.as_u16(), String::from_utf8_lossy(&body).into_owned(), head.headers)
    }

    fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
        headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    #[tokio::test]
    async fn preflights_are_answered_here() {
        let asked = [
            ("origin", "https://a.example"),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "x-a"),
        ];
        let (status, body, headers) = ask(Cors::default(), "OPTIONS", &asked).await;
        assert_eq!((status, body.as_str()), (200, ""));
        assert_eq!(text(&headers, "access-control-allow-origin"), "https://a.example");
        assert_eq!(text(&headers, "access-control-allow-credentials"), "true");
        assert_eq!(text(&headers, "access-control-allow-methods"), METHODS);
        assert_eq!(text(&headers, "access-control-allow-headers"), HEADERS);
        let any = Cors::default()
            .headers(&["*".to_owned()])
            .expect("any")
            .methods(&["GET".to_owned()])
            .expect("a method");
        let (_, _, headers) = ask(any, "OPTIONS", &asked).await;
        assert_eq!(text(&headers, "access-control-allow-headers"), "x-a");
        assert_eq!(text(&headers, "access-control-allow-methods"), "GET");
        let (_, body, _) = ask(Cors::default(), "OPTIONS", &asked[..1]).await;
        assert_eq!(body, "page", "it is no preflight");
    }

    #[tokio::test]
    async fn only_origins_of_the_list_are_allowed() {
        let cors = || Cors::default().origins(["https://a.example/", "https://b.example"]);
        for (origin, allowed) in [
            ("https://a.example", true),
            ("https://B.example", true),
            ("https://a.example.evil", false),
            ("http://a.example", false),
            ("null", false),
        ] {
            for (method, more) in [("GET", None), ("OPTIONS", Some(("access-control-request-method", "GET")))]
            {
                let fields: Vec<_> = [("origin", origin)].into_iter().chain(more).collect();
                let (status, _, headers) = ask(cors(), method, &fields).await;
                let expected = if allowed { origin } else { "" };
                assert_eq!(
                    (status, text(&headers, "access-control-allow-origin")),
                    (200, expected),
                    "{origin}"
                );
                assert_eq!(headers.contains_key("access-control-allow-credentials"), allowed);
                assert!(text(&headers, "vary").starts_with("Origin"));
            }
        }
        let (_, _, headers) = ask(cors(), "GET", &[]).await;
        assert!(!headers.contains_key("access-control-allow-origin"));
    }

    #[tokio::test]
    async fn services_speak_for_themselves() {
        let (_, _, headers) =
            ask(Cors::default(), "GET", &[("origin", "https://a.example"), ("x-own", "1")]).await;
        assert_eq!(text(&headers, "access-control-allow-origin"), "https://own.example");
        assert!(!headers.contains_key("access-control-allow-credentials"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for item in ["a b", "a\r\nb", "ä"] {
            assert!(Cors::default().headers(&[item.to_owned()]).is_err(), "{item}");
            assert!(Cors::default().methods(&[item.to_owned()]).is_err(), "{item}");
        }
    }
}
