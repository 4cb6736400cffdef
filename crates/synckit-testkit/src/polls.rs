//! Futures, one poll at a time.

use std::{future::poll_fn, pin::Pin, task::Poll};

/// Polls a future until it is ready or was polled `polls` times, and drops it then.
pub(crate) async fn dropped_after<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    poll_fn(|context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// As [`dropped_after`], but polls again whether or not the future asked for it, and lets everything else run between.
pub(crate) async fn dropped_after_urging<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Lets everything else run for a while, and fails if the future is ready before.
pub(crate) async fn assert_pending<F: Future>(future: &mut Pin<Box<F>>, what: &str) {
    for _ in 0..50 {
        let ready = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await;
        assert!(!ready, "{what}");
        tokio::task::yield_now().await;
    }
}

/// A future that may be of any type.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;
