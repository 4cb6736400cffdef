//! The server: a hub behind HTTP.

mod body;
mod escape;
mod io;
mod options;
mod pull;
mod push;
mod reply;
mod serve;
mod stage;
mod stock;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, header::ALLOW},
    response::Response,
    routing::{MethodRouter, get, post},
};
use synckit_core::{Hub, Transport as _};
use synckit_wire::{query_pairs, read_greeting, write_peer};

use self::reply::{Failure, Reply};
pub use self::{
    options::{ServerOptions, ServerOptionsBuilder},
    serve::serve,
};

/// What every handler needs.
#[derive(Debug)]
struct Shared {
    hub: Hub,
    options: ServerOptions,
    stage: stage::Stage,
}

/// The routes of a hub: `POST /push`, `POST /stage`, `GET /pull`, `POST /pull-cursor` and `GET /latest-version`, each with
/// `/sync` before it and without.
///
/// They can be nested under any path and wrapped in any layer. A layer that looks into pushes has to look into what is
/// staged, too: a node sends the body of its next push there while the hub stores the one before, and its push then names it.
/// What is staged changes nothing, and is forgotten after half a minute; a hub keeps at most 8 pushes and 16 MiB of it. Everything else is answered with 404, another method with
/// 405. An answer of 200 to a push is given only when its events are durable.
///
/// Stock clients put JSON into their queries unescaped, which HTTP does not allow; [`serve`] lets them.
pub fn router(hub: Hub, options: ServerOptions) -> Router {
    let shared = Arc::new(Shared { hub, options, stage: stage::Stage::default() });
    let mut router = Router::new();
    for prefix in ["", "/sync"] {
        router = router
            .route(&format!("{prefix}/push"), only(post(answer_push), "POST"))
            .route(&format!("{prefix}/stage"), only(post(answer_stage), "POST"))
            .route(&format!("{prefix}/pull"), only(get(answer_pull), "GET, HEAD"))
            .route(&format!("{prefix}/pull-cursor"), only(post(answer_pull_cursor), "POST"))
            .route(&format!("{prefix}/latest-version"), only(get(answer_latest), "GET, HEAD"));
    }
    router.fallback(not_found).with_state(shared)
}

fn only(route: MethodRouter<Arc<Shared>>, allowed: &'static str) -> MethodRouter<Arc<Shared>> {
    route.fallback(move || async move {
        let mut response = reply::plain(405, "method not allowed");
        response.headers_mut().insert(ALLOW, axum::http::HeaderValue::from_static(allowed));
        response
    })
}

async fn not_found() -> Response {
    reply::plain(404, "not found")
}

async fn answer_push(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let headers = request.headers().clone();
    shared.answer("push", &headers, shared.push(request)).await
}

async fn answer_stage(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let headers = request.headers().clone();
    shared.answer("push", &headers, shared.stage(request)).await
}

async fn answer_pull(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let pairs = query_pairs(parts.uri.query().unwrap_or_default());
    shared.answer("pull", &parts.headers, shared.pull(&pairs, &parts.headers)).await
}

async fn answer_pull_cursor(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let headers = request.headers().clone();
    shared.answer("pull", &headers, shared.pull_cursor(request)).await
}

async fn answer_latest(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let pairs = query_pairs(parts.uri.query().unwrap_or_default());
    shared.answer("greet", &parts.headers, shared.latest(&pairs)).await
}

impl Shared {
    /// Runs a handler within the time allowed, and writes its answer the way the caller accepts it.
    async fn answer(
        &self,
        operation: &'static str,
        headers: &HeaderMap,
        handler: impl Future<Output = Result<Reply, Failure>>,
    ) -> Response {
        let outcome = tokio::time::timeout(self.options.request_timeout, handler).await;
        let reply = match outcome {
            Ok(Ok(reply)) => reply,
            Ok(Err(failure)) => failure.reply(operation),
            Err(_) => {
                Failure::new("TIMEOUT", "the request took longer than this hub allows").reply(operation)
            }
        };
        reply.respond(headers, &self.options).await
    }

    async fn latest(&self, pairs: &[(String, String)]) -> Result<Reply, Failure> {
        match read_greeting(pairs)? {
            Some(greeting) => Ok(Reply::ok(write_peer(&self.hub.greet(greeting).await?)?)),
            None => Ok(Reply::ok(format!("\"{}\"", self.hub.store().head().await?.position))),
        }
    }
}
