//! A connection whose request lines are escaped as they come in.

use std::{
    io::{IoSlice, Result},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::escape::Escaper;

/// How much is read at a time while lines are looked at.
const READ_BYTES: usize = 8 * 1024;

/// Wraps a connection; see [`Escaper`].
#[derive(Debug)]
pub(super) struct Escaping<S> {
    inner: S,
    escaper: Escaper,
    /// What was escaped and not yet read.
    pending: Vec<u8>,
    /// How much of it was read.
    read: usize,
}

impl<S> Escaping<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, escaper: Escaper::new(), pending: Vec::new(), read: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Escaping<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.read == this.pending.len() {
            this.pending.clear();
            this.read = 0;
            let untouched = usize::try_from(this.escaper.untouched()).unwrap_or(usize::MAX);
            if untouched > 0 {
                let space = untouched.min(buf.remaining());
                let mut direct = ReadBuf::new(buf.initialize_unfilled_to(space));
                ready!(Pin::new(&mut this.inner).poll_read(cx, &mut direct))?;
                let bytes = direct.filled().len();
                this.escaper.passed(bytes as u64);
                buf.advance(bytes);
                return Poll::Ready(Ok(()));
            }
            let mut space = [0; READ_BYTES];
            let mut direct = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut direct))?;
            this.escaper.feed(direct.filled(), &mut this.pending);
        }
        let rest = &this.pending[this.read..];
        let bytes = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..bytes]);
        this.read += bytes;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Escaping<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
