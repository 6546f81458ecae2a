//! Gathering: many small reads that arrive together share one statement.
//!
//! A batch is what queued up while the last one was on its way; nobody waits for company.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot};

use crate::store::{BATCH_MAX, StoreError};

/// How many asks may wait for one gathering task.
const QUEUE: usize = 4096;

type Waiting<Ask, Answer> = (Ask, oneshot::Sender<Result<Answer, StoreError>>);

/// The entrance to a gathering task; cheap to clone.
pub struct Gather<Ask, Answer> {
    queue: mpsc::Sender<Waiting<Ask, Answer>>,
}

impl<Ask, Answer> Clone for Gather<Ask, Answer> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<Ask: Clone + Send + Sync + 'static, Answer: Send + 'static> Gather<Ask, Answer> {
    /// Starts a task that answers batches by `run`, which returns as many answers as it got asks, in their order.
    ///
    /// The task ends when the last entrance is dropped. Must be called inside a tokio runtime.
    pub fn start<Run, Answering>(run: Run) -> Self
    where
        Run: Fn(Vec<Ask>) -> Answering + Send + Sync + 'static,
        Answering: Future<Output = Result<Vec<Answer>, StoreError>> + Send,
    {
        let (queue, mut waiting) = mpsc::channel::<Waiting<Ask, Answer>>(QUEUE);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH_MAX);
            while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
                let asks = batch.iter().map(|(ask, _)| ask.clone()).collect();
                // A panic leaves this batch without an answer, and the task alive.
                match AssertUnwindSafe(async { run(asks).await }).catch_unwind().await {
                    Err(_) => tracing::error!("a batch of reads panicked; the message stands above"),
                    Ok(Ok(answers)) => {
                        for ((_, reply), answer) in batch.drain(..).zip(answers) {
                            let _ = reply.send(Ok(answer));
                        }
                    }
                    Ok(Err(error)) => {
                        for (_, reply) in batch.drain(..) {
                            let _ = reply.send(Err(error.clone()));
                        }
                    }
                }
                batch.clear();
            }
        });
        Self { queue }
    }

    /// Asks and waits for the answer. `None` when too many are waiting already, or when answering panicked.
    pub async fn ask(&self, ask: Ask) -> Option<Result<Answer, StoreError>> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send((ask, reply)).ok()?;
        answer.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_fails_its_batch_and_nobody_else() {
        let gather = Gather::start(|asks: Vec<u32>| async move {
            assert!(!asks.contains(&13), "a panic for the test");
            Ok(asks)
        });
        assert!(matches!(gather.ask(7).await, Some(Ok(7))));
        assert!(gather.ask(13).await.is_none());
        assert!(matches!(gather.ask(8).await, Some(Ok(8))));
    }
}
