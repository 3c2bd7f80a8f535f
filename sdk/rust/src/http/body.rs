use super::{Cause, Error};
use crate::time;
use futures::future::{Either, select};
use std::fmt;
use std::pin::pin;
use std::time::Duration;
use wasip3::http::types::{ErrorCode, Trailers};
use wasip3::wit_bindgen::{FutureReader, StreamReader, StreamResult};

const READ_SIZE: usize = 16 << 10;

/// The body of an answer. It can be kept between calls, for instance to watch something.
pub struct Body {
    authority: String,
    stream: StreamReader<u8>,
    /// Resolves once the stream has ended and then says whether it ended well.
    trailers: Option<FutureReader<Result<Option<Trailers>, ErrorCode>>>,
}

/// What reading brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// At least one byte.
    Bytes(Vec<u8>),
    /// Nothing came in time.
    Idle,
    /// The body is complete.
    End,
}

impl Body {
    pub(super) fn new(
        authority: String,
        stream: StreamReader<u8>,
        trailers: FutureReader<Result<Option<Trailers>, ErrorCode>>,
    ) -> Self {
        Self { authority, stream, trailers: Some(trailers) }
    }

    /// Reads what comes next, waiting at most `wait`. No byte is lost when the time is up.
    ///
    /// # Errors
    /// The body broke off.
    pub async fn read(&mut self, wait: Duration) -> Result<Chunk, Error> {
        let (result, bytes) = {
            let mut read = pin!(self.stream.read(Vec::with_capacity(READ_SIZE)));
            match select(read.as_mut(), pin!(time::sleep(wait))).await {
                Either::Left((done, _)) => done,
                // Dropping the read would lose bytes that arrived meanwhile; cancelling hands them over.
                Either::Right(_) => read.as_mut().cancel(),
            }
        };
        match result {
            _ if !bytes.is_empty() => Ok(Chunk::Bytes(bytes)),
            StreamResult::Dropped => self.end().await,
            StreamResult::Complete(_) | StreamResult::Cancelled => Ok(Chunk::Idle),
        }
    }

    /// Reads everything that is left.
    ///
    /// # Errors
    /// The body broke off, or is longer than `limit` bytes.
    pub async fn collect(mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut all = Vec::new();
        loop {
            let (result, bytes) = self.stream.read(Vec::with_capacity(READ_SIZE)).await;
            if all.len() + bytes.len() > limit {
                return Err(Error { authority: self.authority, cause: Cause::TooLarge(limit) });
            }
            all.extend_from_slice(&bytes);
            if result == StreamResult::Dropped {
                self.end().await?;
                return Ok(all);
            }
        }
    }

    /// The end of a stream says nothing about why; the trailers do.
    async fn end(&mut self) -> Result<Chunk, Error> {
        let Some(trailers) = self.trailers.take() else { return Ok(Chunk::End) };
        match trailers.await {
            Ok(_) => Ok(Chunk::End),
            Err(code) => Err(Error { authority: self.authority.clone(), cause: Cause::from(code) }),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("authority", &self.authority).finish_non_exhaustive()
    }
}
