//! Our server, and a peer that calls it.

use super::dumb::Message;
use super::greeter;
use super::script::{Script, Step};
use crate::world::SOON;
use micro::registry::MemoryRegistry;
use micro::{RunningService, Service};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(super) async fn start() -> RunningService {
    let service = Service::builder("greeter")
        .address("127.0.0.1:0")
        .registry(MemoryRegistry::new())
        .handle_signals(false)
        .drain_delay(Duration::ZERO)
        .handler(greeter());
    service.build().await.expect("builds").start().await.expect("starts")
}

/// # Errors
/// The line that did not come true, and why.
pub(super) async fn replay(address: SocketAddr, script: &Script) -> Result<(), String> {
    let stream = TcpStream::connect(address).await.expect("it listens");
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    for (line, step) in &script.steps {
        let at = |why: String| format!("line {line}: {why}");
        match step {
            Step::Send(bytes) => writing.write_all(bytes).await.map_err(|error| at(error.to_string()))?,
            Step::Receive(checks) => {
                let message = timeout(SOON, Message::read(&mut reading)).await;
                let message = message.map_err(|_| at("nothing came".to_owned()))?.map_err(at)?;
                let message = message.ok_or_else(|| at("the connection ended".to_owned()))?;
                checks.iter().try_for_each(|check| check.of(&message)).map_err(at)?;
            }
            Step::Closed => {
                let message = timeout(SOON, Message::read(&mut reading)).await;
                let message = message.map_err(|_| at("it stays open".to_owned()))?.map_err(at)?;
                if let Some(message) = message {
                    return Err(at(format!("another message\n{message}")));
                }
            }
            other => return Err(at(format!("{other:?} is nothing that a caller does"))),
        }
    }
    Ok(())
}
