//! The greeter for HTTP: `micro api` hands it whole requests, and it asks the greeter service.
//!
//! `GET /greeter/say/hello?name=John` arrives as `Say.Hello` with the query in `get`.

use greeter::api::{Request, Response};
use greeter::http::{Say, say_handler};
use greeter::srv::SayClient;
use micro::{Context, Error, Service};

struct HttpGreeter {
    greeter: SayClient,
}

impl Say for HttpGreeter {
    async fn hello(&self, cx: Context, request: Request) -> Result<Response, Error> {
        let name = request.get.get("name").and_then(|pair| pair.values.first());
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Err(Error::bad_request(greeter::API, "name cannot be blank"));
        };
        let request = greeter::srv::Request { name: name.clone() };
        // The caller's deadline and metadata go along.
        let answer = self.greeter.hello_with(request, cx.call_options()).await?;
        let body = serde_json::json!({ "message": answer.msg }).to_string();
        Ok(Response { status_code: 200, body, ..Response::default() })
    }
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let flags = micro::flags::parse_flags();
    let service = Service::builder(greeter::API)
        .handler_with(|client| {
            say_handler(HttpGreeter { greeter: SayClient::new(greeter::SRV, client.clone()) })
        })
        .flags(&flags);
    micro::exit(async { service.build().await?.run().await }.await)
}
