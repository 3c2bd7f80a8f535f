//! Several messages on one connection, some of which only one of two readers would see.

use super::{asked, received, server};

/// What is sent, and the answers: a body for 200, else the status.
type Case = (&'static str, &'static [Result<&'static str, u16>]);

const CASES: [Case; 26] = [
    // One after the other.
    (
        "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\naPOST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nb",
        &[Ok("a"), Ok("b")],
    ),
    ("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", &[Ok(""), Ok("")]),
    ("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\na\r\n\r\nGET / HTTP/1.1\r\n\r\n", &[Ok("a"), Ok("")]),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        &[Ok("a"), Ok("")],
    ),
    (
        "GET / HTTP/1.1\r\nContent-Length: 28\r\n\r\nGET /inner HTTP/1.1\r\nX: y\r\n\r",
        &[Ok("GET /inner HTTP/1.1\r\nX: y\r\n\r")],
    ),
    // Nothing is a request behind the last one.
    ("GET / HTTP/1.1\r\nConnection: close\r\n\r\nGET /evil HTTP/1.1\r\n\r\n", &[Ok("")]),
    ("GET / HTTP/1.0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n", &[Ok("")]),
    ("GET / HTTP/1.1\r\nConnection: x, CLOSE ,y\r\n\r\nGET /evil HTTP/1.1\r\n\r\n", &[Ok("")]),
    ("GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\rZGET /evil: HTTP/1.1\r\n\r\n", &[Err(400)]),
    // A good one does not excuse a bad one, nor the other way round.
    ("GET / HTTP/1.1\r\n\r\nGET / HTTP/3.0\r\n\r\n", &[Ok(""), Err(505)]),
    ("GET / HTTP/1.1\r\n\r\n\0\0\0", &[Ok(""), Err(400)]),
    ("GET / HTTP/3.0\r\n\r\nGET / HTTP/1.1\r\n\r\n", &[Err(505)]),
    ("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nabGET / HTTP/1.1\r\n\r\n", &[Ok("a"), Ok("")]),
    // Length against coding, in the shapes that are known by their initials.
    (
        "POST / HTTP/1.1\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGGET / HTTP/1.1\r\n\r\n",
        &[Err(400)],
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n\r\n",
        &[Err(400)],
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
        &[Err(501)],
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding\r\n : chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
        &[Err(400)],
    ),
    (
        "POST / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
        &[Err(400)],
    ),
    ("GET / HTTP/1.1\r\nDummy: x\nContent-Length: 23\r\n\r\nGET /evil HTTP/1.1\r\n\r\n", &[Err(400)]),
    ("POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n1\nA\n0\n\n", &[Err(400)]),
    ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET /evil HTTP/1.1\r\n\r\n", &[Err(400)]),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
        &[Err(400)],
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;\nxx\r\n4c\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
        &[Err(400)],
    ),
    // A body that was announced and did not come, with a request in its place.
    ("PUT / HTTP/1.1\r\nContent-Length: 123\r\n\r\nPOST /evil HTTP/1.1\r\n\r\n", &[]),
    ("GET / HTTP/1.1\r\n\r\nhello", &[Ok("")]),
    ("PUT / HTTP/1.1\r\nContent-Length: 3\r\n\rabc\r\n\r\n", &[Err(400)]),
];

#[tokio::test]
async fn both_readers_agree() {
    let server = server().await;
    for (sent, expected) in CASES {
        let (bodies, end) = received(sent.as_bytes()).await;
        let taken = bodies.iter().map(|body| Ok(body.as_str())).chain(end.map(Err));
        assert_eq!(taken.collect::<Vec<_>>(), expected, "{sent:?}");
        let answers = asked(&server, sent.as_bytes()).await;
        let answers = answers
            .iter()
            .map(|(status, body)| if *status == 200 { Ok(body.as_str()) } else { Err(*status) });
        assert_eq!(answers.collect::<Vec<_>>(), expected, "{sent:?}");
    }
    server.stopped().await;
}
