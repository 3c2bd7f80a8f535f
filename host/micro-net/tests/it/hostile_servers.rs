//! Servers that never come to an end, or say too much. The client has no clock of its own, so that it returns at all
//! shows that there is a limit.

use crate::support::{PATIENCE, Raw, message, soon};
use micro_core::Message;
use micro_net::wire::{ExchangeError, Pool, PoolConfig, ReceiveError};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

/// The largest answer that the client takes here, in bytes.
const MAX_BODY: usize = 1 << 20;

/// More than any limit, and still an end: a client without one fails the test instead of filling the memory.
const PLENTY: usize = 64 << 20;

/// What a client makes of a server that says `start`, then `more` over and over.
async fn endless(start: &str, more: &str) -> Result<Message, ExchangeError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let serving = async {
        let mut raw = Raw { tcp: listener.accept().await.expect("accepted").0 };
        raw.until("\r\n\r\n").await;
        raw.send(start).await;
        let block = more.repeat((64 << 10) / more.len() + 1);
        let mut sent = 0;
        // Ends when the client hangs up.
        while sent < PLENTY && raw.tcp.write_all(block.as_bytes()).await.is_ok() {
            sent += block.len();
        }
        sent
    };
    let pool = Pool::new(PoolConfig { max_body: MAX_BODY, ..PoolConfig::default() });
    let request = Message::default();
    let (answer, sent) =
        soon(async { tokio::join!(pool.exchange(&address, &request, PATIENCE), serving) }).await;
    assert!(sent < PLENTY, "{start:?} {more:?}: the client hung up only after {sent} bytes");
    assert_eq!(pool.idle(), 0, "{start:?} {more:?}");
    answer
}

#[tokio::test]
async fn nothing_goes_on_for_ever() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (start, more, expected) in [
        ("", "\r\n", "head too large"),
        ("HTTP/1.1 200 ", "OK ", "head too large"),
        ("HTTP/1.1 200 OK\r\n", "A: b\r\n", "head too large"),
        ("HTTP/1.1 200 OK\r\nA: ", "x", "head too large"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n", "more than 16 interim answers"),
        ("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", "more than 16 interim answers"),
        ("HTTP/1.1 200 OK\r\n\r\n", "x", "body larger than 1048576 bytes"),
        (chunked, "1\r\nx\r\n", "body larger than 1048576 bytes"),
        (chunked, "0", "malformed chunk"),
        (&format!("{chunked}1"), " ", "too many chunk extensions or trailers"),
        (&format!("{chunked}1;"), "x", "too many chunk extensions or trailers"),
        (chunked, "1;x\r\nx\r\n", "too many chunk extensions or trailers"),
        (&format!("{chunked}0\r\n"), "T: u\r\n", "too many chunk extensions or trailers"),
    ] {
        let error = endless(start, more).await.expect_err("no end");
        assert!(matches!(error, ExchangeError::Malformed(_)), "{start:?} {more:?}: {error:?}");
        let text = micro_net::error_chain(&error);
        assert!(text.ends_with(expected), "{start:?} {more:?}: {text}");
    }
}

#[tokio::test]
async fn a_few_interim_answers_are_fine() {
    for (count, good) in [(16, true), (17, false)] {
        let start =
            "HTTP/1.1 102 Processing\r\n\r\n".repeat(count) + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        match endless(&start, "x").await {
            Ok(_) => assert!(good, "{count} are too many"),
            Err(ExchangeError::Malformed(ReceiveError::Interim)) => assert!(!good, "{count} are too few"),
            Err(error) => panic!("{count}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_before_the_question_is_used_once_at_most() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let pool = Pool::new(PoolConfig::default());
    let serving = async {
        let mut kept = Vec::new();
        for body in ["one", "two"] {
            let mut raw = Raw { tcp: listener.accept().await.expect("accepted").0 };
            // Two answers, neither of which waits for a question.
            raw.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{body}").repeat(2)).await;
            raw.until("\r\n\r\n").await;
            kept.push(raw);
        }
        kept
    };
    let asking = async {
        for expected in ["one", "two"] {
            let answer = pool.exchange(&address, &Message::default(), PATIENCE).await.expect("an answer");
            assert_eq!(answer.body, expected, "not what was left over");
        }
    };
    let _ = soon(async { tokio::join!(serving, asking) }).await;
    assert_eq!(pool.idle(), 0, "bytes that nobody asked for");
}

#[tokio::test]
async fn a_reset_in_the_middle_of_an_answer_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let pool = Pool::new(PoolConfig::default());
    for start in ["HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"] {
        let serving = async {
            let mut raw = Raw { tcp: listener.accept().await.expect("accepted").0 };
            raw.until("\r\n\r\n").await;
            raw.send(start).await;
            socket2::SockRef::from(&raw.tcp).set_linger(Some(std::time::Duration::ZERO)).expect("linger");
        };
        let request = message(&[], "");
        let (answer, ()) =
            soon(async { tokio::join!(pool.exchange(&address, &request, PATIENCE), serving) }).await;
        // The kernel may drop what had arrived before the reset.
        let error = answer.expect_err("no answer");
        assert!(
            matches!(error, ExchangeError::Broken(_) | ExchangeError::NoAnswer { .. }),
            "{start:?}: {error:?}"
        );
        assert_eq!(pool.idle(), 0);
    }
}
