//! A client: calls the greeter once and prints its answer.

use greeter::srv::{Request, SayClient};
use micro::Service;

#[derive(clap::Parser)]
#[command(about = "Calls go.micro.srv.greeter and prints the greeting")]
struct Arguments {
    #[command(flatten)]
    micro: micro::Flags,
    /// Whom to greet
    #[arg(default_value = "John")]
    name: String,
}

async fn greet(arguments: &Arguments) -> Result<String, Box<dyn std::error::Error>> {
    // Built but not run: the client is there, nothing listens, nothing is registered.
    let service = Service::builder("go.micro.cli.greeter").flags(&arguments.micro).build().await?;
    let greeter = SayClient::new(greeter::SRV, service.client().clone());
    Ok(greeter.hello(Request { name: arguments.name.clone() }).await?.msg)
}

#[tokio::main]
#[allow(clippy::print_stdout, reason = "the answer is the program's output")]
async fn main() -> std::process::ExitCode {
    let arguments: Arguments = micro::flags::parse();
    micro::exit(greet(&arguments).await.map(|message| println!("{message}")))
}
