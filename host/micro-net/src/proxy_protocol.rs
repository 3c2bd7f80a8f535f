//! The PROXY protocol, versions 1 and 2: what a load balancer says about a connection before it passes bytes on.
//!
//! The header is read to its last byte and no further, so that whoever takes over (TLS or HTTP) finds the stream at its
//! start. It is required where it is expected: a receiver that guesses would let clients announce themselves.

use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The start of a version 2 header.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version, family, and the length of the rest.
const V2_FIXED: usize = 16;
/// The longest rest of a version 2 header in bytes: addresses take 216 at most, and TLVs of real balancers some hundred.
const V2_LONGEST: usize = 4096;
/// The longest version 1 header in bytes, with its CRLF.
const V1_LONGEST: usize = 107;

/// The ends of the connection that the proxy took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    /// Who called the proxy.
    pub(crate) source: SocketAddr,
    /// What was called.
    pub(crate) destination: SocketAddr,
}

/// A connection without a proper header.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    #[error("the connection broke within the PROXY header")]
    Read(#[from] io::Error),
    #[error("no PROXY header: {0}")]
    Malformed(String),
}

/// Reads the header at the start of a connection. None if the proxy speaks for itself (a health check), or says that it
/// does not know.
///
/// # Errors
/// There is no header, it is malformed, or longer than any real one.
pub(crate) async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> Result<Option<Announced>, ProxyError> {
    // The shortest header of either version is longer than the signature.
    let mut header = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut header).await?;
    if header == SIGNATURE {
        header.resize(V2_FIXED, 0);
        stream.read_exact(&mut header[SIGNATURE.len()..]).await?;
        let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
        if length > V2_LONGEST {
            return Err(ProxyError::Malformed(format!("{length} bytes are more than {V2_LONGEST}")));
        }
        header.resize(V2_FIXED + length, 0);
        stream.read_exact(&mut header[V2_FIXED..]).await?;
        return version_2(&header);
    }
    if !header.starts_with(b"PROXY ") {
        return Err(ProxyError::Malformed("the connection starts with something else".to_owned()));
    }
    while header.last() != Some(&b'\n') {
        if header.len() == V1_LONGEST {
            return Err(ProxyError::Malformed(format!("no end of line within {V1_LONGEST} bytes")));
        }
        header.push(stream.read_u8().await?);
    }
    version_1(&header)
}

fn version_1(header: &[u8]) -> Result<Option<Announced>, ProxyError> {
    use ppp::v1::{Addresses, Header};
    let line = header.strip_suffix(b"\r\n").unwrap_or_default();
    // The parser takes a carriage return for a separator, and ports with a sign.
    if line.is_empty() || line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | b'+')) {
        return Err(ProxyError::Malformed("its line is malformed".to_owned()));
    }
    let header = Header::try_from(header).map_err(|error| ProxyError::Malformed(error.to_string()))?;
    Ok(match header.addresses {
        Addresses::Tcp4(it) => Some(Announced {
            source: (it.source_address, it.source_port).into(),
            destination: (it.destination_address, it.destination_port).into(),
        }),
        Addresses::Tcp6(it) => Some(Announced {
            source: (it.source_address, it.source_port).into(),
            destination: (it.destination_address, it.destination_port).into(),
        }),
        Addresses::Unknown => None,
    })
}

fn version_2(header: &[u8]) -> Result<Option<Announced>, ProxyError> {
    use ppp::v2::{Addresses, Command, Header, Protocol};
    let header = Header::try_from(header).map_err(|error| ProxyError::Malformed(error.to_string()))?;
    if header.command == Command::Local {
        return Ok(None);
    }
    match (header.protocol, header.addresses) {
        (Protocol::Stream, Addresses::IPv4(it)) => Ok(Some(Announced {
            source: (it.source_address, it.source_port).into(),
            destination: (it.destination_address, it.destination_port).into(),
        })),
        (Protocol::Stream, Addresses::IPv6(it)) => Ok(Some(Announced {
            source: (it.source_address, it.source_port).into(),
            destination: (it.destination_address, it.destination_port).into(),
        })),
        (Protocol::Datagram, _) => {
            Err(ProxyError::Malformed("it announces datagrams on a TCP connection".to_owned()))
        }
        // A Unix socket, or a family that the proxy does not name: true, but nothing that we could use.
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of `input`, and what is left of it.
    async fn parsed(mut input: &[u8]) -> Result<(Option<String>, Vec<u8>), ProxyError> {
        let announced = read(&mut input).await?;
        Ok((announced.map(|it| format!("{} {}", it.source, it.destination)), input.to_vec()))
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &length, rest].concat()
    }

    #[tokio::test]
    async fn headers_of_both_versions_are_read_to_their_end() {
        let v4 = [192, 0, 2, 1, 10, 0, 0, 1, 0x10, 0, 0, 80];
        let mut v6 = [0; 36];
        (v6[15], v6[31], v6[33], v6[35]) = (1, 2, 80, 81);
        let with_tlv = [&v4[..], &[4, 0, 2, 1, 1]].concat();
        for (header, expected) in [
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 4096 80\r\n".to_vec(), Some("192.0.2.1:4096 10.0.0.1:80")),
            (b"PROXY TCP6 ::1 ::2 80 81\r\n".to_vec(), Some("[::1]:80 [::2]:81")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ff::1 whatever\r\n".to_vec(), None),
            (v2(1, 0x11, &v4), Some("192.0.2.1:4096 10.0.0.1:80")),
            (v2(1, 0x11, &with_tlv), Some("192.0.2.1:4096 10.0.0.1:80")),
            (v2(1, 0x21, &v6), Some("[::1]:80 [::2]:81")),
            (v2(0, 0x00, &[]), None),
            (v2(0, 0x11, &v4), None),
            (v2(1, 0x31, &[0; 216]), None),
            (v2(1, 0x00, &[]), None),
        ] {
            let shown = String::from_utf8_lossy(&header).into_owned();
            let (announced, left) = parsed(&[&header[..], b"GET /"].concat()).await.expect(&shown);
            assert_eq!((announced.as_deref(), &left[..]), (expected, &b"GET /"[..]), "{shown}");
        }
    }

    #[tokio::test]
    async fn everything_else_is_refused() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        for header in [
            &b""[..],
            b"GET / HTTP/1.1\r\n\r\n",
            b"PROXY",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 4096 80\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 4096 80\r",
            b"PROXY TCP4\r192.0.2.1 10.0.0.1 4096 80\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 +4096 80\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 65536 80\r\n",
            b"PROXY TCP4 192.0.2.256 10.0.0.1 1 80\r\n",
            b"PROXY TCP4 ::1 ::2 1 80\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n",
            b"PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n",
            b"proxy TCP4 192.0.2.1 10.0.0.1 1 2\r\n",
            long.as_bytes(),
            &v2(1, 0x11, &[1, 2, 3]),
            &v2(1, 0x12, &[0; 12]),
            &v2(2, 0x11, &[0; 12]),
            &v2(1, 0x41, &[0; 12]),
            &v2(1, 0x11, &vec![0; V2_LONGEST + 1]),
            &v2(1, 0x11, &[0; 12])[..20],
        ] {
            let shown = String::from_utf8_lossy(header);
            assert!(parsed(header).await.is_err(), "{shown:?}");
        }
    }
}
