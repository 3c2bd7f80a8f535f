//! A client: counts, adds up and talks, and prints what comes back.

use micro::Service;
use streamer::srv::{Request, StreamerClient};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    micro::exit(run().await)
}

#[allow(clippy::print_stdout, reason = "the answers are the program's output")]
async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let flags = micro::flags::parse_flags();
    // Built but not run: the client is there, nothing listens, nothing is registered.
    let service = Service::builder("go.micro.cli.streamer").flags(&flags).build().await?;
    let streamer = StreamerClient::new(streamer::SRV, service.client().clone());

    let mut counted = streamer.server_stream(Request { count: 3 }).await?;
    while let Some(response) = counted.next().await {
        println!("counted {}", response?.count);
    }

    let mut sum = streamer.sum().await?;
    for count in 1..=3 {
        sum.send(&Request { count }).await?;
    }
    println!("the sum is {}", sum.finish().await?.count);

    let mut talk = streamer.stream().await?;
    for count in 7..10 {
        talk.send(&Request { count }).await?;
        if let Some(response) = talk.next().await {
            println!("said {count}, heard {}", response?.count);
        }
    }
    talk.close_send();
    match talk.next().await {
        Some(response) => println!("and then {}", response?.count),
        None => println!("the end"),
    }
    Ok(())
}
