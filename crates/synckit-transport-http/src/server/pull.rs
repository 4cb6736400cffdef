//! `GET /pull` and `POST /pull-cursor`.

use axum::{extract::Request, http::HeaderMap};
use synckit_core::{
    AggregateId, Error, ErrorKind, EventType, Filter, Mark, Result as CoreResult, Transport as _,
    transport::PullRequest,
};
use synckit_wire::{PageText, query_value, read_pull, read_since, write_events};

use super::{
    Failure, Reply, Shared,
    stock::{PAGE_BYTES, Wanted},
};

/// Names the tenant whose events are wanted.
const TENANT_HEADER: &str = "x-synckit-tenant";
/// The most events that a stock client may ask for.
const MAX_LIMIT: usize = 1000;

impl Shared {
    /// A bare array, from a stock client's point of view.
    pub(super) async fn pull(
        &self,
        pairs: &[(String, String)],
        headers: &HeaderMap,
    ) -> Result<Reply, Failure> {
        let page = self.stock_page(wanted(pairs, headers)?).await?;
        let mut out = String::new();
        write_events(&mut out, &page.entries, PAGE_BYTES)?;
        Ok(Reply::ok(out))
    }

    pub(super) async fn pull_cursor(&self, request: Request) -> Result<Reply, Failure> {
        let body = self.body("pull", request, read_pull).await.map_err(Failure::into_bad_cursor)?;
        if body.kit {
            return Ok(Reply::ok(self.kit_page(body.request).await?));
        }
        let wanted = Wanted {
            after: body.request.after.position,
            missing_from: body.request.missing_from,
            limit: Some(body.request.limit),
            ..Wanted::default()
        };
        let page = self.stock_page(wanted).await?;
        let text = PageText::new(&page.entries, PAGE_BYTES)?;
        let next = text.written().checked_sub(1).and_then(|last| page.marks.get(last)).copied();
        let has_more = page.has_more || text.written() < page.entries.len();
        Ok(Reply::ok(text.finish(self.hub.store().identity().log, next, page.head, has_more)))
    }

    /// A page for a node of this kit. Stores count the bytes of data; what is around it may be more, and then the page is
    /// cut where it is full.
    async fn kit_page(&self, request: PullRequest) -> CoreResult<String> {
        let page = self.hub.pull(request).await?;
        let text = PageText::new(&page.entries, PAGE_BYTES)?;
        if text.written() == page.entries.len() {
            return Ok(text.finish(page.log, Some(page.next), page.head, page.has_more));
        }
        let position =
            text.written().checked_sub(1).and_then(|last| page.entries.get(last)).map_or(0, |e| e.position);
        let hash = self.hub.store().hashes(&[position]).await?.into_iter().next().flatten();
        let hash =
            hash.ok_or_else(|| Error::new(ErrorKind::Corrupt, "pull", format!("no hash at {position}")))?;
        Ok(text.finish(page.log, Some(Mark { position, hash }), page.head, true))
    }
}

/// Reads the query `since&limit&type&tenant&aggregate_id`. The tenant narrows what is given, and opens nothing.
fn wanted(pairs: &[(String, String)], headers: &HeaderMap) -> Result<Wanted, Failure> {
    let bad_cursor = |message: &str| Failure::new("INVALID_CURSOR", message);
    let since = query_value(pairs, "since").unwrap_or_default();
    let (after, missing_from) = read_since(since).map_err(|e| bad_cursor(e.message()))?;
    let limit = match query_value(pairs, "limit").map(str::parse::<i64>) {
        None => None,
        Some(Err(_)) => return Err(bad_cursor("invalid limit: must be integer")),
        Some(Ok(limit)) if limit <= 0 => return Err(bad_cursor("invalid limit: must be positive")),
        Some(Ok(limit)) => match usize::try_from(limit) {
            Ok(limit) if limit <= MAX_LIMIT => Some(limit),
            _ => return Err(bad_cursor("invalid limit: maximum is 1000")),
        },
    };
    let event_type = query_value(pairs, "type").map(EventType::new).transpose()?;
    let mut filter = Filter::everything();
    if let Some(aggregate) = query_value(pairs, "aggregate_id") {
        filter = filter.with_aggregate(AggregateId::new(aggregate)?);
    }
    if let Some(event_type) = &event_type {
        filter = filter.with_type(event_type.clone());
    }
    let named = headers.get(TENANT_HEADER).and_then(|v| v.to_str().ok()).filter(|t| !t.is_empty());
    if let Some(tenant) = named.or_else(|| query_value(pairs, "tenant")) {
        filter = filter.with_metadata("tenant", tenant);
    }
    Ok(Wanted { after, missing_from, limit, filter, event_type })
}
