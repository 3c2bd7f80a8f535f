//! A service with streams: `Streamer.ServerStream {count}` counts up to it, `Streamer.Sum` adds up what it is sent, and
//! `Streamer.Stream` sends it back.

use micro::{Context, Error, Requests, Responses, Service};
use streamer::srv::{Request, Response, Streamer, streamer_handler};

struct Counter;

impl Streamer for Counter {
    async fn server_stream(
        &self,
        _cx: Context,
        request: Request,
        responses: Responses<Response>,
    ) -> Result<(), Error> {
        for count in 0..request.count {
            responses.send(Response { count }).await?;
        }
        Ok(())
    }

    async fn sum(&self, _cx: Context, mut requests: Requests<Request>) -> Result<Response, Error> {
        let mut sum = 0_i64;
        while let Some(request) = requests.next().await {
            let next = sum.checked_add(request?.count);
            sum = next.ok_or_else(|| Error::bad_request(streamer::SRV, "the sum is too large"))?;
        }
        Ok(Response { count: sum })
    }

    async fn stream(
        &self,
        _cx: Context,
        mut requests: Requests<Request>,
        responses: Responses<Response>,
    ) -> Result<(), Error> {
        while let Some(request) = requests.next().await {
            responses.send(Response { count: request?.count }).await?;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let flags = micro::flags::parse_flags();
    let service = Service::builder(streamer::SRV).handler(streamer_handler(Counter)).flags(&flags);
    micro::exit(async { service.build().await?.run().await }.await)
}
