//! A service: `Say.Hello {name}` answers `{msg: "Hello <name>"}`.

use greeter::srv::{Request, Response, Say, say_handler};
use micro::{Context, Error, Service};

struct Greeter;

impl Say for Greeter {
    async fn hello(&self, _cx: Context, request: Request) -> Result<Response, Error> {
        Ok(Response { msg: format!("Hello {}", request.name) })
    }
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let flags = micro::flags::parse_flags();
    let service = Service::builder(greeter::SRV).handler(say_handler(Greeter)).flags(&flags);
    micro::exit(async { service.build().await?.run().await }.await)
}
