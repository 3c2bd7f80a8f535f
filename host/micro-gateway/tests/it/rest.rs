//! Routes of `google.api.http` rules, in front of the library of the examples.

use crate::support::{Gateway, PATIENCE, World};
use library::{Author, Book, Kind, Shelves, library_handler};
use micro::{Handler, RunningService, Service};
use micro_core::Error;
use micro_gateway::{ApiBuilder, JsonForm};
use micro_test::eventually;
use serde_json::{Value, json};
use std::time::Duration;

/// A service, and a gateway in front of it that knows its routes.
pub(crate) struct Front {
    pub(crate) gateway: Gateway,
    pub(crate) service: RunningService,
}

impl Front {
    pub(crate) async fn start(handlers: Vec<Handler>, tune: impl FnOnce(ApiBuilder) -> ApiBuilder) -> Self {
        let world = World::new();
        let service = Service::builder("go.micro.api.library")
            .registry(world.registry.clone())
            .address("127.0.0.1:0")
            .handle_signals(false)
            .drain_delay(Duration::ZERO);
        let service = handlers.into_iter().fold(service, |service, handler| service.handler(handler));
        let service = service.build().await.expect("builds").start().await.expect("starts");
        let gateway = Gateway::start(tune(world.api().openapi(Some("/openapi.json".to_owned())))).await;
        let this = Self { gateway, service };
        // The document has the routes as soon as they are there.
        eventually("the routes are known", PATIENCE, async || {
            let (_, document) = this.ask("GET", "/openapi.json", "").await;
            document["paths"].as_object().is_some_and(|paths| !paths.is_empty())
        })
        .await;
        this
    }

    async fn library(tune: impl FnOnce(ApiBuilder) -> ApiBuilder) -> Self {
        Self::start(vec![library_handler(shelves())], tune).await
    }

    /// The head of an answer, and its body.
    pub(crate) async fn exchange(
        &self,
        method: &str,
        path: &str,
        fields: &str,
        body: &str,
    ) -> (String, String) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
        );
        let answer = self.gateway.exchange(request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (head.to_ascii_lowercase(), body.to_owned())
    }

    /// The status and the JSON of an answer.
    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (head, body) = self.exchange(method, path, "Content-Type: application/json\r\n", body).await;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    pub(crate) async fn stop(self) {
        self.gateway.stopped().await;
        self.service.stop().await.expect("stops");
    }
}

fn book(name: &str, title: &str, kind: Kind) -> Book {
    Book {
        name: name.to_owned(),
        title: title.to_owned(),
        page_count: 9_007_199_254_740_993,
        kind: kind.into(),
        author: Some(Author { full_name: "A B".to_owned(), languages: vec!["en".to_owned()] }),
        ..Book::default()
    }
}

fn shelves() -> Shelves {
    Shelves::with([
        book("shelves/1/books/1", "One", Kind::Novel),
        book("shelves/1/books/2", "Two", Kind::Poems),
        book("shelves/a%2Fb/books/3", "Three", Kind::Novel),
    ])
}

#[tokio::test]
async fn requests_become_calls_and_answers_are_protobufs_json() {
    let front = Front::library(|api| api).await;
    let one = json!({
        "name": "shelves/1/books/1", "title": "One", "pageCount": "9007199254740993", "kind": "NOVEL",
        "author": { "fullName": "A B", "languages": ["en"] },
    });
    assert_eq!(front.ask("GET", "/v1/shelves/1/books/1", "").await, (200, one.clone()));
    assert_eq!(
        front.ask("GET", "/v1/shelves/1/books/1/", "").await,
        (200, one.clone()),
        "a slash at the end"
    );
    assert_eq!(front.ask("GET", "/v1/books/1", "").await, (200, one.clone()), "the other binding");
    let escaped = front.ask("GET", "/v1/shelves/a%2Fb/books/3", "").await;
    assert_eq!((escaped.0, &escaped.1["title"]), (200, &json!("Three")));

    let titles = async |query: &str| {
        let (status, list) = front.ask("GET", &format!("/v1/shelves/1/books?{query}"), "").await;
        assert_eq!(status, 200, "{list}");
        let books = list["books"].as_array().cloned().unwrap_or_default();
        books.iter().map(|book| book["title"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(titles("").await, ["One", "Two"]);
    assert_eq!(titles("page_size=1").await, ["One"]);
    assert_eq!(titles("kinds=POEMS").await, ["Two"]);
    assert_eq!(titles("kinds=2&kinds=NOVEL").await, ["One", "Two"]);
    assert_eq!(titles("author.full_name=A+B&pageSize=9").await, ["One", "Two"]);
    assert_eq!(titles("author.fullName=Nobody").await, [""; 0]);
    assert_eq!(titles("published_after=2020-01-01T00:00:00Z").await, ["One", "Two"]);

    // A field as the body, both spellings, numbers as texts, and one field as the answer.
    let new = r#"{"title":"New","page_count":"7","publishedAt":"2020-02-29T12:00:00Z","kind":"POEMS"}"#;
    let made = front.ask("POST", "/v1/shelves/1/books?dryRun=true", new).await;
    let expected = json!({ "name": "shelves/1/books/4", "title": "New", "pageCount": "7", "kind": "POEMS",
        "publishedAt": "2020-02-29T12:00:00Z", "lent": false });
    assert_eq!(made.0, 200, "{}", made.1);
    for (member, value) in expected.as_object().expect("an object") {
        assert_eq!(&made.1[member], value, "{member}");
    }
    // The path wins over the body.
    let lent = front.ask("POST", "/v1/shelves/1/books/2:lend", r#"{"name":"x","reader":"y"}"#).await;
    assert_eq!((lent.0, &lent.1["lent"]), (200, &json!(true)));
    assert_eq!(
        front.ask("POST", "/v1/shelves/1/books/2:lend", "").await.0,
        409,
        "an error's code is the status"
    );
    let renamed = front.ask("PATCH", "/v1/shelves/1/books/1", r#"{"title":"Uno"}"#).await;
    assert_eq!((renamed.0, &renamed.1["title"]), (200, &json!("Uno")));
    assert_eq!(front.ask("DELETE", "/v1/shelves/1/books/1", "").await, (200, json!({})));
    let gone = front.ask("GET", "/v1/shelves/1/books/1", "").await;
    assert_eq!((gone.0, &gone.1["id"]), (404, &json!("library")));
    front.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_name() {
    let front = Front::library(|api| api).await;
    let books = "/v1/shelves/1/books";
    let long = format!("{books}?{}", "kinds=1&".repeat(1001));
    for (method, path, body, part) in [
        ("GET", format!("{books}?nonsense=1"), "", "\"nonsense\" is not known"),
        ("GET", format!("{books}?page_size=x"), "", "\"page_size\" is an int32, not \"x\""),
        ("GET", format!("{books}?page_size=1&pageSize=2"), "", "more than once"),
        ("GET", format!("{books}?page_size=2147483648"), "", "\"page_size\""),
        ("GET", format!("{books}?kinds=PROSE"), "", "\"kinds\" is a library.v1.Kind"),
        (
            "GET",
            format!("{books}?published_after=yesterday"),
            "",
            "\"published_after\" is a google.protobuf.Timestamp",
        ),
        ("GET", format!("{books}?author=x"), "", "\"author\" is a message"),
        ("GET", format!("{books}?author.full_name.x=1"), "", "\"author.full_name.x\" is no message"),
        ("GET", format!("{books}?parent=x"), "", "\"parent\" is taken from the path"),
        ("GET", long, "", "more than 1000 parameters"),
        ("GET", "/v1/books/-1".to_owned(), "", "\"number\" is an uint32"),
        ("POST", books.to_owned(), "{", "malformed JSON body"),
        ("POST", books.to_owned(), "{\"titel\":\"x\"}", "titel"),
        ("POST", books.to_owned(), "{\"pageCount\":\"x\"}", "field \"book.pageCount\""),
        (
            "POST",
            books.to_owned(),
            "{\"author\":{\"languages\":[\"a\",7]}}",
            "field \"book.author.languages[1]\"",
        ),
        ("POST", books.to_owned(), "[]", "library.v1.CreateBookRequest"),
        ("POST", format!("{books}?book.title=x"), "{}", "\"book.title\" is taken from the body"),
        ("POST", format!("{books}/2:lend?reader=x"), "{}", "\"reader\" is in the query"),
        ("POST", format!("{books}/2:lend"), "[1]", "no JSON object"),
        ("POST", format!("{books}/2:lend"), "{}{}", "malformed JSON body"),
    ] {
        let (status, error) = front.ask(method, &path, body).await;
        let detail = error["detail"].as_str().unwrap_or_default();
        assert!(status == 400 && detail.contains(part), "{method} {path} {body}: {status} {error}");
    }
    let deep = format!("{{\"author\":{}{}}}", "{\"x\":".repeat(500), "}".repeat(500));
    assert_eq!(front.ask("POST", books, &deep).await.0, 400);
    let (head, _) = front.exchange("POST", books, "Content-Type: application/protobuf\r\n", "x").await;
    assert!(head.starts_with("http/1.1 415 "), "{head}");
    // `curl -d` says that it is a form.
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let (head, body) = front.exchange("POST", books, form, "{\"title\":\"Curled\"}").await;
    assert!(head.starts_with("http/1.1 200 ") && body.contains("Curled"), "{head} {body}");
    let (head, _) = front.exchange("POST", books, form, "title=x").await;
    assert!(head.starts_with("http/1.1 415 "), "{head}");
    front.stop().await;
}

#[tokio::test]
async fn other_methods_are_named_and_other_paths_are_names_of_services() {
    let front = Front::library(|api| api).await;
    let (head, body) = front.exchange("PUT", "/v1/shelves/1/books", "", "").await;
    assert!(head.starts_with("http/1.1 405 ") && head.contains("allow: get, head, options, post"), "{head}");
    assert_eq!(body, "Method not allowed\n");
    let (head, _) = front.exchange("OPTIONS", "/v1/shelves/1/books", "", "").await;
    assert!(head.starts_with("http/1.1 204 ") && head.contains("allow: get, head, options, post"), "{head}");
    let (head, body) = front.exchange("HEAD", "/v1/shelves/1/books/1", "", "").await;
    assert!(
        head.starts_with("http/1.1 200 ") && head.contains("content-length: ") && body.is_empty(),
        "{head}"
    );
    assert_eq!(front.ask("GET", "/v1/nobody/here", "").await.0, 404);
    // The names of services and methods work as ever.
    let call = front.ask("POST", "/library/library/get-book", r#"{"number":2}"#).await;
    assert_eq!((call.0, &call.1["page_count"]), (200, &json!(9_007_199_254_740_993_i64)));
    front.stop().await;
}

#[tokio::test]
async fn one_switch_gives_the_form_of_calls_between_services() {
    let front = Front::library(|api| api.json(JsonForm::Rpc)).await;
    let (status, book) = front.ask("GET", "/v1/shelves/1/books/2", "").await;
    let expected = (&json!(9_007_199_254_740_993_i64), &json!(2), &json!("A B"));
    assert_eq!((status, (&book["page_count"], &book["kind"], &book["author"]["full_name"])), (200, expected));
    front.stop().await;
}

/// Routes as programs of Go Micro ask for them, which have no rule.
#[tokio::test]
async fn the_document_has_the_routes_of_go_too() {
    let field = |name: &str, kind: &str, values: Vec<micro::Value>| micro::Value {
        name: name.to_owned(),
        kind: kind.to_owned(),
        values,
    };
    let author = field("author", "Author", vec![field("name", "string", vec![])]);
    let fields = vec![field("id", "int64", vec![]), field("size", "int32", vec![]), author];
    let book = field("Book", "Book", fields);
    let mut routes = Handler::new("Books");
    for (method, metadata) in [
        ("Get", &[("handler", "rpc"), ("method", "GET"), ("path", "/v1/books/{id}")][..]),
        ("Make", &[("handler", "rpc"), ("method", "POST,put"), ("path", "^/v1/books$"), ("body", "*")]),
        ("Any", &[("handler", "rpc"), ("path", "/v1/any"), ("body", "author")]),
        ("Page", &[("handler", "web"), ("method", "GET"), ("path", "/pages/{page=**}")]),
        ("Odd", &[("handler", "rpc"), ("path", "^/v1/[a-z]+$")]),
        ("None", &[("path", "/v1/none")]),
    ] {
        routes = routes.unary::<micro::Json<Value>, micro::Json<Value>, _, _>(
            method,
            book.clone(),
            book.clone(),
            |_cx, value| async move { Ok(value) },
        );
        for (key, value) in metadata {
            routes = routes.endpoint_metadata(method, *key, *value);
        }
    }
    let front = Front::start(vec![routes], |api| api).await;
    let (_, document) = front.ask("GET", "/openapi.json", "").await;
    let paths = document["paths"].as_object().expect("paths");
    let mut all: Vec<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().expect("an item").keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    all.sort();
    let expected =
        ["get /pages/{page}", "get /v1/books/{id}", "post /v1/any", "post /v1/books", "put /v1/books"];
    assert_eq!(all, expected);
    let get = &paths["/v1/books/{id}"]["get"];
    let parameter =
        |name: &str, place: &str| json!({ "name": name, "in": place, "schema": { "type": "integer" } });
    let mut in_path = parameter("id", "path");
    in_path["required"] = json!(true);
    assert_eq!(get["parameters"], json!([in_path, parameter("size", "query")]));
    let schema = &get["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(schema["properties"]["author"]["properties"]["name"], json!({ "type": "string" }));
    let body = |item: &Value| item["requestBody"]["content"]["application/json"]["schema"].clone();
    assert_eq!(body(&paths["/v1/books"]["put"]), *schema);
    assert_eq!(body(&paths["/v1/any"]["post"])["properties"], json!({ "name": { "type": "string" } }));
    let page = &paths["/pages/{page}"]["get"];
    assert_eq!(page["responses"], json!({ "default": { "description": "What the service answers" } }));
    // What the document has is what is served.
    assert_eq!(front.ask("GET", "/v1/books/7?size=5", "").await, (200, json!({ "id": 7, "size": 5 })));
    assert_eq!(front.ask("PUT", "/v1/books", r#"{"id":1}"#).await, (200, json!({ "id": 1 })));
    assert_eq!(
        front.ask("POST", "/v1/any", r#"{"name":"A"}"#).await,
        (200, json!({ "author": { "name": "A" } }))
    );
    front.stop().await;
}

/// A service that no code was generated for: what its record says is all that is known.
#[tokio::test]
async fn services_without_definitions_are_called_in_json() {
    let field = |name: &str, kind: &str| micro::Value {
        name: name.to_owned(),
        kind: kind.to_owned(),
        values: vec![],
    };
    let request = micro::Value {
        values: vec![field("id", "string"), field("size", "int32"), field("tags", "[]string")],
        ..field("Request", "Request")
    };
    let echo = Handler::new("Echo")
        .unary::<micro::Json<Value>, micro::Json<Value>, _, _>("Say", request.clone(), request.clone(), |_cx, value| async move { Ok(value) })
        .endpoint_metadata("Say", "google.api.http", r#"{"get":"/v1/echo/{id}","additionalBindings":[{"post":"/v1/echo","body":"*","responseBody":"id"}]}"#)
        // As Go Micro's code generator writes it.
        .unary::<micro::Json<Value>, micro::Json<Value>, _, _>("Go", request.clone(), request, |_cx, value| async move { Ok(value) })
        .endpoint_metadata("Go", "handler", "rpc")
        .endpoint_metadata("Go", "method", "GET")
        .endpoint_metadata("Go", "path", "/v2/echo/{id}")
        .json("Bad", |_cx, (): ()| async { Ok::<(), Error>(()) })
        .endpoint_metadata("Bad", "google.api.http", "nonsense");
    let front = Front::start(vec![echo], |api| api).await;
    let expected = json!({ "id": "7", "size": 5, "tags": ["1", "2"] });
    assert_eq!(front.ask("GET", "/v1/echo/7?size=5&tags=1&tags=2", "").await, (200, expected));
    assert_eq!(front.ask("GET", "/v1/echo/7?nonsense=5", "").await.0, 400);
    assert_eq!(front.ask("POST", "/v1/echo", r#"{"id":"x"}"#).await, (200, json!("x")));
    assert_eq!(front.ask("GET", "/v2/echo/7?size=5", "").await, (200, json!({ "id": "7", "size": 5 })));
    front.stop().await;
}

#[tokio::test]
async fn the_document_has_every_route() {
    let front = Front::library(|api| api).await;
    let (status, document) = front.ask("GET", "/openapi.json", "").await;
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    let paths = document["paths"].as_object().expect("paths");
    let mut routes = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("an item") {
            routes.push(format!("{method} {path}"));
            let names: Vec<_> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|it| it["in"] == "path")
                .map(|it| format!("{{{}}}", it["name"].as_str().expect("a name")))
                .collect();
            assert!(names.iter().all(|name| path.contains(name)), "{path}: {names:?}");
            assert_eq!(path.matches('{').count(), names.len(), "{path}");
            assert!(
                operation["responses"]["200"]["content"]["application/json"]["schema"].is_object(),
                "{operation}"
            );
        }
    }
    routes.sort();
    assert_eq!(
        routes,
        [
            "delete /v1/shelves/{name.1}/books/{name.2}",
            "get /v1/books/{number}",
            "get /v1/shelves/{name.1}/books/{name.2}",
            "get /v1/shelves/{parent}/books",
            "patch /v1/shelves/{name.1}/books/{name.2}",
            "post /v1/shelves/{name.1}/books/{name.2}:lend",
            "post /v1/shelves/{parent}/books",
        ]
    );
    let ids: Vec<_> = paths
        .values()
        .flat_map(|item| item.as_object().expect("an item").values())
        .map(|it| it["operationId"].to_string())
        .collect();
    assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len(), "{ids:?}");
    // Every reference leads somewhere.
    let text = document.to_string();
    for name in text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
    let book = &document["components"]["schemas"]["library.v1.Book"]["properties"];
    assert_eq!(book["pageCount"], json!({ "type": "string", "format": "int64" }));
    assert_eq!(book["kind"]["enum"], json!(["KIND_UNSPECIFIED", "NOVEL", "POEMS"]));
    assert_eq!(book["publishedAt"]["format"], json!("date-time"));
    let query: Vec<_> = paths["/v1/shelves/{parent}/books"]["get"]["parameters"]
        .as_array()
        .expect("parameters")
        .iter()
        .map(|it| it["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        query,
        ["parent", "page_size", "author.full_name", "author.languages", "kinds", "published_after"]
    );
    let (head, _) = front.exchange("POST", "/openapi.json", "", "").await;
    assert!(head.starts_with("http/1.1 405 "), "{head}");
    front.stop().await;
}
