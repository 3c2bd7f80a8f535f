//! The methods of the service that are streams.

use super::Noted;
use crate::matrix::SERVICE;
use crate::matrix::messages::matrix::{Answer, Ask};
use micro::{Error, Handler, Payload, Requests, Responses};

/// Tells how a stream ended, also when its handler is dropped because the caller is gone.
struct Ending {
    name: String,
    noted: Option<Noted>,
}

impl Ending {
    fn tell(&mut self, how: &str) {
        if let Some(noted) = self.noted.take() {
            noted.note(&self.name, how);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.tell("with the end of the caller");
    }
}

/// Answers every message, up to the one that says the last number.
async fn chat(mut asks: Requests<Ask>, answers: Responses<Answer>, ended: Noted) -> Result<(), Error> {
    let mut ending = Ending { name: String::new(), noted: Some(ended) };
    let mut number = 0;
    loop {
        let ask = match asks.next().await {
            Some(Ok(ask)) => ask,
            Some(Err(error)) if error.detail.starts_with("the caller ") => {
                ending.tell("with the end of the caller");
                return Ok(());
            }
            Some(Err(error)) => {
                ending.tell(&format!("with {error}"));
                return Ok(());
            }
            None => {
                ending.tell("with the end");
                return Ok(());
            }
        };
        ending.name.clone_from(&ask.name);
        number += 1;
        answers.send(Answer { msg: ask.name, number }).await?;
        if number == ask.count {
            ending.tell("here");
            return Ok(());
        }
    }
}

pub(super) fn add(handler: Handler, ended: Noted) -> Handler {
    let (ask, answer) = (Ask::shape, Answer::shape);
    handler
        .bidirectional("Chat", ask(), answer(), move |_, asks, answers| chat(asks, answers, ended.clone()))
        .server_streaming("Count", ask(), answer(), |_, ask: Ask, answers: Responses<Answer>| async move {
            for number in 1..=ask.count {
                answers.send(Answer { msg: ask.name.clone(), number }).await?;
            }
            Ok(())
        })
        .server_streaming("Break", ask(), answer(), |_, ask: Ask, answers: Responses<Answer>| async move {
            answers.send(Answer { msg: ask.name.clone(), number: 1 }).await?;
            Err(Error::conflict(SERVICE, format!("no more of {}", ask.name)))
        })
}
