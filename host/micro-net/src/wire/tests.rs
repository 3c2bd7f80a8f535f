//! Sockets over pipes in memory: what does not need a network.

use super::error::HeadError;
use super::{End, Incoming, Limits, Method, NativeWire, ReceiveError, Role, Socket, Start, Wire};
use http1_core::layout;
use micro_core::Message;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

const OK: Start<'_> = Start::Response { status: 200, reason: b"OK" };

fn limits() -> Limits {
    Limits::untimed(1000)
}

fn socket(io: DuplexStream, role: Role) -> Socket<DuplexStream> {
    Socket::new(io, role, limits(), NativeWire)
}

fn message(body: &str) -> Message {
    Message { body: body.to_owned().into(), ..Message::default() }
}

/// What a server makes of `bytes`, written in pieces that end at `cuts`: requests, and how it ended.
async fn requests(bytes: &[u8], cuts: &[usize]) -> (Vec<Incoming>, String) {
    let (mut client, server) = duplex(1 << 20);
    let mut socket = socket(server, Role::Request);
    let mut got = Vec::new();
    let mut start = 0;
    let mut pieces = cuts.iter().copied().chain([bytes.len()]).map(|end| {
        let piece = bytes[start..end].to_vec();
        start = end;
        piece
    });
    let mut ended = None;
    loop {
        // Dropping `receive` over and over must lose nothing.
        let received = tokio::select! {
            biased;
            received = socket.receive() => received,
            () = std::future::ready(()) => {
                match pieces.next() {
                    Some(piece) => client.write_all(&piece).await.expect("the pipe is large"),
                    None if ended.is_none() => {
                        client.shutdown().await.expect("open until now");
                        ended = Some(());
                    }
                    None => panic!("stuck on {bytes:?}"),
                }
                continue;
            }
        };
        match received {
            Ok(Some(incoming)) => got.push(incoming),
            Ok(None) => return (got, "end".to_owned()),
            Err(error) => return (got, crate::error_chain(&error)),
        }
    }
}

#[tokio::test]
async fn cuts_make_no_difference() {
    let seeds = [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nMicro-Id: 1\r\n\r\nhelloGET /x HTTP/1.0\r\nA:b\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;e\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "\r\nPOST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n",
        "PUT /y HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    ];
    let interesting = b"\r\n :;0519aZ\xff\0";
    let mut random = fastrand::Rng::with_seed(7);
    let mut whole_requests = 0;
    for round in 0..40_000 {
        let mut bytes = random.choice(seeds).expect("seeds").as_bytes().to_vec();
        for _ in 0..round % 4 {
            let at = random.usize(..bytes.len());
            let byte = *random.choice(interesting).expect("bytes");
            if random.bool() { bytes[at] = byte } else { bytes.insert(at, byte) }
        }
        let whole = requests(&bytes, &[]).await;
        let mut cuts: Vec<_> = (0..random.usize(1..6)).map(|_| random.usize(..=bytes.len())).collect();
        cuts.sort_unstable();
        let cut = requests(&bytes, &cuts).await;
        whole_requests += whole.0.len();
        // A bad head may be noticed when it begins or when it ends, but what was received before it is the same.
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(whole.0, cut.0, "{text:?} cut at {cuts:?}");
        let truncated = |ending: &str| ending == "connection closed in the middle of a message";
        assert!(
            whole.1 == cut.1 || truncated(&whole.1) || truncated(&cut.1),
            "{text:?} cut at {cuts:?}: {} and {}",
            whole.1,
            cut.1
        );
    }
    assert!(whole_requests > 20_000, "mutations leave enough requests intact, got {whole_requests}");
}

#[tokio::test]
async fn halves_work_independently() {
    let (left, right) = duplex(100);
    let (mut server_in, mut server_out) = socket(left, Role::Request).split();
    let (mut client_in, mut client_out) = socket(right, Role::Response).split();
    // Many answers to one request, and requests in between: a stream.
    let server = async {
        let mut sum = 0;
        while let Some(request) = server_in.receive().await.expect("a request") {
            let count: usize =
                std::str::from_utf8(&request.message.body).expect("text").parse().expect("a number");
            for n in 0..count {
                server_out.send(OK, &message(&n.to_string()), false).await.expect("sent");
            }
            sum += count;
        }
        sum
    };
    let sending = async {
        for count in [3, 0, 100] {
            let start = Start::Request { method: "POST", path: b"/", host: b"a" };
            client_out.send(start, &message(&count.to_string()), false).await.expect("sent");
        }
        client_out.close().await.expect("closed");
    };
    let receiving = async {
        for expected in (0..3).chain(0..100) {
            let answer = client_in.receive().await.expect("an answer").expect("not the end");
            assert_eq!(answer.message.body, expected.to_string());
        }
    };
    let (sum, (), ()) = tokio::join!(server, sending, receiving);
    assert_eq!(sum, 103);
}

/// A wire that claims whatever it is told to claim.
#[derive(Clone, Debug)]
struct Liar {
    consumed: usize,
    words: Vec<u32>,
}

impl Wire for Liar {
    fn decode(&self, _: Role, _: Method, _: &[u8], words: &mut Vec<u32>) -> Result<usize, HeadError> {
        words.clone_from(&self.words);
        Ok(self.consumed)
    }

    fn encode<'f>(
        &self,
        _: Start<'_>,
        _: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
        _: End,
        _: &mut Vec<u8>,
    ) -> Result<(), HeadError> {
        Err(HeadError::Plugin("no".into()))
    }
}

#[tokio::test]
async fn a_wire_that_lies_is_caught() {
    let data = b"GET / HTTP/1.1\r\n\r\n";
    let good = {
        let mut words = Vec::new();
        http1_core::decode(Role::Request, Method::NONE, data, &mut words).expect("a head");
        words
    };
    let with = |index: usize, word: u32| {
        let mut words = good.clone();
        words[index] = word;
        words
    };
    for (consumed, words) in [
        (18, vec![]),
        (1 << 40, good.clone()),
        (17, good.clone()),
        (19, with(layout::CONSUMED, 19)),
        (18, with(layout::PATH, 0xffff_ffff)),
        (18, with(layout::METHOD, 0x0001_ffff)),
        (18, with(layout::FRAMING, 9)),
    ] {
        let (mut client, server) = duplex(1 << 10);
        client.write_all(data).await.expect("room");
        let mut socket =
            Socket::new(server, Role::Request, limits(), Liar { consumed, words: words.clone() });
        let error = socket.receive().await.expect_err("a lie");
        assert!(matches!(error, ReceiveError::Head(HeadError::Plugin(_))), "{consumed} {words:?}: {error:?}");
        assert_eq!(error.status(), Some(500), "our fault, not the client's");
    }
    // One that never finds an end does not make us read for ever.
    let (mut client, server) = duplex(1 << 20);
    client.write_all(&vec![b'x'; 200_000]).await.expect("room");
    let mut socket = Socket::new(server, Role::Request, limits(), Liar { consumed: 0, words: vec![] });
    let error = socket.receive().await.expect_err("too large");
    assert!(
        matches!(error, ReceiveError::Head(HeadError::Protocol(http1_core::Error::TooLarge))),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_announced_length_takes_no_memory() {
    let (mut client, server) = duplex(1 << 10);
    let limits = Limits::untimed(usize::MAX);
    let mut socket = Socket::new(server, Role::Request, limits, NativeWire);
    // More than any machine has: reserving it ahead would abort.
    client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\nx").await.expect("room");
    client.shutdown().await.expect("open until now");
    assert!(matches!(socket.receive().await, Err(ReceiveError::Truncated)));
}
