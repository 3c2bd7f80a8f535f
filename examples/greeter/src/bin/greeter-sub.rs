//! A subscriber: prints the greetings that are published under `greetings`, in JSON or protobuf.
//!
//! ```text
//! greeter-sub --queue=printers
//! micro publish greetings '{"name": "John"}'
//! ```

use clap::Parser;
use greeter::srv::Request;
use micro::{Service, Subscriber};
use std::io::Write;

/// Prints greetings
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    micro: micro::Flags,
    /// What to subscribe to
    #[arg(long, default_value = "greetings", value_name = "TOPIC")]
    topic: String,
    /// Share the greetings with all programs that name this queue
    #[arg(long, default_value = "", value_name = "NAME")]
    queue: String,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let Arguments { micro: flags, topic, queue } = micro::flags::parse();
    let subscriber = Subscriber::new(topic, |cx, request: Request| async move {
        let from = cx.metadata("Micro-From-Service").unwrap_or("somebody");
        // A closed terminal is no reason not to take events.
        _ = writeln!(std::io::stdout(), "event {} from {from} as {}", request.name, cx.content_type());
        Ok(())
    });
    let service =
        Service::builder("go.micro.srv.greeter.sub").subscriber(subscriber.queue(queue)).flags(&flags);
    micro::exit(async { service.build().await?.run().await }.await)
}
