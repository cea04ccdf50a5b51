//! The next item of a stream, without a library of combinators.

use futures_core::Stream;
use std::ops::DerefMut;
use std::pin::Pin;

/// The next item; `None` at the end. May be dropped and called again.
pub async fn next<P>(stream: &mut Pin<P>) -> Option<<P::Target as Stream>::Item>
where
    P: DerefMut,
    P::Target: Stream,
{
    std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await
}
