//! Carrying out writes: one transaction at a time.

use std::sync::Arc;

use sqlx::{Connection as _, PgConnection};
use synckit_core::{
    AggregateId, Error, ErrorKind, Result,
    plan::{Known, NodeState},
    store::{Write, Written},
};

use crate::{
    error::{from_sqlx, seen_from},
    lookup::{self, Origins},
    maintain::Step,
    notice, progress,
    queue::{self, Job},
    store::Inner,
    write::{self, Stored},
};

const OPERATION: &str = "write";

impl Inner {
    /// Writes what waits longest, and answers. Whoever comes after may find that his write was taken along.
    pub(crate) async fn write_next(self: Arc<Self>) {
        let _turn = self.queue.turn.lock().await;
        let jobs = self.queue.next();
        if jobs.is_empty() {
            return;
        }
        if jobs.len() == 1 {
            for job in jobs {
                // Whoever waits no more wants no answer.
                let _ = job.answer.send(self.write_one(job.write).await);
            }
            return;
        }
        match self.write_one(queue::together(&jobs)).await {
            Ok(written) => {
                let parts = queue::apart(&jobs, written);
                for (job, part) in jobs.into_iter().zip(parts) {
                    let _ = job.answer.send(Ok(part));
                }
            }
            Err(error) if error.is_retryable() || error.kind() == ErrorKind::Closed => {
                for job in jobs {
                    let _ = job.answer.send(Err(error.clone()));
                }
            }
            // Whatever is wrong with one of them is not the others' concern.
            Err(_) => {
                for Job { write, answer } in jobs {
                    let _ = answer.send(self.write_one(write).await);
                }
            }
        }
    }

    async fn write_one(&self, request: Write) -> Result<Written> {
        let failed = from_sqlx(OPERATION);
        let mut connection = self.writer.acquire().await.map_err(failed)?;
        let done = self.transact(&mut connection, request).await;
        match &done {
            Ok((_, before)) if self.head_is_news(before) => {
                if let Err(error) = self.tell(&mut connection).await {
                    tracing::debug!(%error, "cannot notify others");
                    connection.close_on_drop();
                }
            }
            Ok(_) => {}
            Err(_) if connection.ping().await.is_ok() => {}
            Err(_) => connection.close_on_drop(),
        }
        match done {
            Ok((written, _)) => Ok(written),
            Err(error) => Err(seen_from(&mut connection, error).await),
        }
    }

    /// Changes the store in one transaction, which comes to its end even if the caller goes away.
    pub(crate) async fn maintain(self: &Arc<Self>, step: Step) -> Result<()> {
        const OPERATION: &str = "maintain store";
        let store = Arc::clone(self);
        let task = tokio::spawn(async move {
            let _turn = store.queue.turn.lock().await;
            let failed = from_sqlx(OPERATION);
            let mut connection = store.writer.acquire().await.map_err(failed)?;
            let mut tx = connection.begin().await.map_err(failed)?;
            let done = step.run(&mut tx, store.tenant.number).await;
            let ended = if done.is_ok() { tx.commit().await } else { tx.rollback().await };
            if done.is_err() && ended.is_err() {
                connection.close_on_drop();
            }
            match done.and(ended.map_err(failed)) {
                Ok(()) => Ok(()),
                Err(error) => Err(seen_from(&mut connection, error).await),
            }
        });
        task.await.unwrap_or_else(|e| {
            Err(Error::new(ErrorKind::Internal, OPERATION, "the change did not end").with_source(e))
        })
    }

    fn head_is_news(&self, before: &NodeState) -> bool {
        *self.head.borrow() > before.head.position && self.queue.is_empty()
    }

    async fn tell(&self, connection: &mut PgConnection) -> Result<()> {
        let position = *self.head.borrow();
        notice::tell(connection, self.tenant.number, position).await
    }

    /// One transaction; gives the node before it, too.
    async fn transact(&self, connection: &mut PgConnection, request: Write) -> Result<(Written, NodeState)> {
        let (failed, tenant) = (from_sqlx(OPERATION), self.tenant.number);
        let mut tx = connection.begin().await.map_err(failed)?;
        let (before, standing) = lookup::lock(&mut tx, tenant).await?;
        standing.may_write()?;
        let around = self.config.settings.surroundings();
        let mut known = Known::of(before.clone());
        let mut origins = expected_origins(&request, &before);
        lookup::look_up(&mut tx, tenant, &request.lookup(&before), &mut known, &mut origins).await?;
        lookup::look_up(&mut tx, tenant, &request.lookup_again(&known), &mut known, &mut origins).await?;
        let wanted: Vec<AggregateId> = request.graphs(&known).into_iter().collect();
        known.graphs = lookup::vertices(&mut tx, tenant, &wanted).await?.into_iter().collect();
        let (changes, written) = request.plan(&mut known, &around)?;
        // Another process may have given the node a new id.
        let node = changes.node.clone().unwrap_or_else(|| before.clone());
        if changes.is_empty() {
            tx.rollback().await.map_err(failed)?;
        } else {
            let origins = progress::after(&mut tx, tenant, &changes, &mut known, &mut origins).await?;
            let stored = Stored { changes: &changes, node: &node, origins };
            write::store(&mut tx, tenant, stored).await?;
            // To free much takes time, which a commit has to spare.
            let (committed, ()) = tokio::join!(biased; tx.commit(), async { drop((changes, known)) });
            committed.map_err(failed)?;
        }
        self.is_now(node);
        self.saw(written.head.position);
        Ok((written, before))
    }
}

/// The origins whose stamps a write will most likely bring.
fn expected_origins(request: &Write, node: &NodeState) -> Origins {
    let mut origins = Origins::from([(node.node, None)]);
    if let Write::Apply(apply) = request {
        origins.extend(apply.entries.iter().filter_map(|e| e.stamp.as_ref()).map(|s| (s.origin, None)));
    }
    origins
}
