//! Filters in front of a gateway. They fail closed: a request that a filter could not decide about is refused.

use crate::answer;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use micro_core::filter::{Edit, Operation, RequestHead, Verdict};
use micro_core::{Error, Filter};
use micro_net::ClientAddr;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// The id of errors that arise here.
const ID: &str = "go.micro.api";

type Filters = Arc<[Arc<dyn Filter>]>;

/// Puts filters in front of a router, in their order: for [`ApiBuilder::front`](crate::ApiBuilder::front).
pub fn in_front(filters: Vec<Arc<dyn Filter>>) -> impl Fn(Router) -> Router + Send + Sync + 'static {
    let filters: Filters = filters.into();
    move |router| match filters.is_empty() {
        true => router,
        false => router.layer(from_fn_with_state(filters.clone(), ask)),
    }
}

/// Middleware that asks each filter in turn; each sees what those before it changed.
async fn ask(State(filters): State<Filters>, mut request: Request, next: Next) -> Response {
    let mut after = Vec::new();
    for filter in filters.iter() {
        let verdict = match judge(&**filter, &request) {
            Ok(verdict) => verdict,
            Err(response) => return response,
        };
        match verdict {
            Verdict::Next => {}
            Verdict::Edit { request: before, response } => {
                if let Err(problem) = edit(request.headers_mut(), &before) {
                    return refused(filter.name(), &problem);
                }
                after.push((filter.name(), response));
            }
            Verdict::Respond { status, fields, body } => {
                return respond(filter.name(), status, &fields, body);
            }
        }
    }
    let mut response = next.run(request).await;
    // The last filter is the nearest to the service, so its changes come first.
    for (filter, edits) in after.iter().rev() {
        if let Err(problem) = edit(response.headers_mut(), edits) {
            return refused(filter, &problem);
        }
    }
    response
}

fn judge(filter: &dyn Filter, request: &Request) -> Result<Verdict, Response> {
    // A request that came over no network is one of a test, or of a socket of this machine.
    let client = request.extensions().get::<ClientAddr>().map(|client| client.0);
    let peer = client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let fields: Vec<(&[u8], &[u8])> =
        request.headers().iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())).collect();
    let authority = request.uri().authority().map(|it| it.as_str().as_bytes());
    let host = request.headers().get(header::HOST).map(HeaderValue::as_bytes);
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let head = RequestHead {
        peer,
        method: request.method().as_str(),
        target: target.as_bytes(),
        host: authority.or(host).unwrap_or_default(),
        fields: &fields,
    };
    filter.request(head).map_err(|error| refused(filter.name(), &error.reason))
}

/// The client is not told why: that is between the filter and the operator.
fn refused(filter: &str, reason: &str) -> Response {
    tracing::debug!(filter, reason, "request refused because a filter failed");
    answer::error(&Error::internal(ID, format!("filter {filter} failed")))
}

fn respond(filter: &str, status: u16, fields: &[(String, bytes::Bytes)], body: bytes::Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    let Ok(status) = StatusCode::from_u16(status) else {
        return refused(filter, "it answered with a status that is none");
    };
    *response.status_mut() = status;
    for (name, value) in fields {
        let edit_of = Edit { operation: Operation::Append, name: name.clone(), value: value.clone() };
        if let Err(problem) = edit(response.headers_mut(), &[edit_of]) {
            return refused(filter, &problem);
        }
    }
    response
}

fn edit(fields: &mut HeaderMap, edits: &[Edit]) -> Result<(), String> {
    for Edit { operation, name, value } in edits {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(format!("{name:?} is no name of a field"));
        };
        let Ok(value) = HeaderValue::from_maybe_shared(value.clone()) else {
            return Err(format!("the value of {name} has control characters"));
        };
        match operation {
            Operation::Set => {
                fields.insert(name, value);
            }
            Operation::Append => {
                fields.append(name, value);
            }
            Operation::Remove => {
                fields.remove(name);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use micro_core::filter::FilterError;
    use tower::ServiceExt;

    #[derive(Debug)]
    struct Scripted(Result<Verdict, String>);

    impl Filter for Scripted {
        fn name(&self) -> &str {
            "scripted"
        }

        fn request(&self, head: RequestHead<'_>) -> Result<Verdict, FilterError> {
            assert_eq!((head.method, head.target, head.host), ("GET", &b"/a?b=c"[..], &b"example.org"[..]));
            let failed =
                |reason: &String| FilterError { filter: "scripted".to_owned(), reason: reason.clone() };
            self.0.as_ref().cloned().map_err(failed)
        }
    }

    fn change(operation: Operation, name: &str, value: &'static str) -> Edit {
        Edit { operation, name: name.to_owned(), value: value.into() }
    }

    async fn answer_of(verdicts: Vec<Result<Verdict, String>>) -> (u16, HeaderMap, String) {
        let filters = verdicts.into_iter().map(|it| Arc::new(Scripted(it)) as Arc<dyn Filter>).collect();
        let echo = async |headers: HeaderMap| {
            headers
                .get("x-added")
                .map_or("nothing".to_owned(), |it| it.to_str().unwrap_or_default().to_owned())
        };
        let router = in_front(filters)(Router::new().route("/a", get(echo)));
        let request = http::Request::get("/a?b=c").header("host", "example.org").body(Body::empty());
        let response = router.oneshot(request.expect("valid")).await.expect("infallible");
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("small");
        (head.status.as_u16(), head.headers, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn changes_reach_the_service_and_the_client() {
        let first = Verdict::Edit {
            request: vec![change(Operation::Set, "x-added", "1")],
            response: vec![change(Operation::Set, "x-seen", "first")],
        };
        let second = Verdict::Edit {
            request: vec![],
            response: vec![
                change(Operation::Set, "x-seen", "second"),
                change(Operation::Append, "x-all", "2"),
            ],
        };
        let (status, headers, body) = answer_of(vec![Ok(first), Ok(Verdict::Next), Ok(second)]).await;
        assert_eq!((status, body.as_str()), (200, "1"));
        assert_eq!(headers["x-seen"], "first", "the first filter has the last word");
        assert_eq!(headers["x-all"], "2");
    }

    #[tokio::test]
    async fn a_response_of_a_filter_ends_the_request() {
        let fields = vec![("x-why".to_owned(), "because".into())];
        let no = Verdict::Respond { status: 403, fields, body: "forbidden".into() };
        let (status, headers, body) = answer_of(vec![Ok(no), Err("never asked".to_owned())]).await;
        assert_eq!((status, body.as_str()), (403, "forbidden"));
        assert_eq!(headers["x-why"], "because");
    }

    #[tokio::test]
    async fn filters_fail_closed_and_keep_their_reasons() {
        let bad_name =
            Verdict::Edit { request: vec![change(Operation::Set, "no name", "1")], response: vec![] };
        for verdict in [Err("secret".to_owned()), Ok(bad_name)] {
            let (status, _, body) = answer_of(vec![verdict]).await;
            assert_eq!(status, 500);
            assert!(body.contains("filter scripted failed") && !body.contains("secret"), "{body}");
        }
    }
}
