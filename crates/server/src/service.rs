//! What all handlers share, and the router that they make together.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use surefoot::Engine;
use surefoot::core::time::Millis;
use surefoot::schedules::Schedules;
use surefoot::store::Store;
use surefoot::traces::{Counts, Exporter};
use surefoot::triggers::Triggers;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;

use crate::api::{Api, Declared};
use crate::audit::Audit;
use crate::auth::{Auth, AuthError, Principal};
use crate::config::ServerConfig;
use crate::events::Hub;
use crate::idempotency::UnderWay;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::subscriptions::Couriers;
use crate::workers::{Census, Pool};

/// The service over one engine. Cheap to clone; all clones are the same service.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    engine: Engine,
    config: ServerConfig,
    auth: Auth,
    schedules: Schedules,
    triggers: Triggers,
    /// `Idempotency-Key`s whose requests are under way.
    under_way: UnderWay,
    metrics: Arc<Metrics>,
    /// What became of spans.
    traces: Arc<Counts>,
    /// Requests that may still be taken on.
    room: Semaphore,
    workers: Pool,
    /// Cancelled when the service begins to stop.
    stopping: CancellationToken,
    hub: Hub,
    audit: Audit,
    couriers: Couriers,
    /// Ends what works beside the requests when the last clone is gone.
    _background: DropGuard,
}

/// Why a service cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0}")]
    Config(String),
    #[error(transparent)]
    Store(#[from] surefoot::store::Error),
    #[error(transparent)]
    Schedules(#[from] surefoot::schedules::ScheduleError),
    #[error(transparent)]
    Triggers(#[from] surefoot::triggers::DeliveryError),
}

impl From<AuthError> for OpenError {
    fn from(error: AuthError) -> OpenError {
        match error {
            AuthError::Config(reason) => OpenError::Config(reason),
            AuthError::Store(error) => OpenError::Store(error),
        }
    }
}

impl Service {
    /// Makes the service over an engine.
    pub async fn open(engine: Engine, config: ServerConfig) -> Result<Service, OpenError> {
        Service::with_metrics(engine, config, Arc::default()).await
    }

    /// As [`Service::open`], showing the metrics that the engine was given as its observer.
    pub async fn with_metrics(
        engine: Engine,
        config: ServerConfig,
        metrics: Arc<Metrics>,
    ) -> Result<Service, OpenError> {
        config.check().map_err(OpenError::Config)?;
        let background = CancellationToken::new();
        // It stops when it is told to, and when nobody has it any longer.
        let stopping = background.child_token();
        let hub = Hub::new(config.event_clients);
        tokio::spawn(hub.clone().run(engine.clone(), background.clone()));
        let traces = Arc::<Counts>::default();
        let exporter = Exporter::open(&engine, traces.clone()).await.map_err(OpenError::Config)?;
        if let Some(exporter) = exporter {
            tokio::spawn(exporter.run(stopping.clone()));
        }
        let secrets = |name: &str| engine.secret(name);
        let notified = crate::notify::receivers(&config.notify, config.smtp.as_ref(), &secrets)
            .map_err(OpenError::Config)?;
        let inner = Inner {
            audit: Audit::open(&engine, config.audit_kept_ms(), stopping.clone()).await?,
            couriers: Couriers::open(&engine, notified).await?,
            auth: Auth::open(&config, &**engine.store()).await?,
            schedules: Schedules::open(&engine).await?,
            triggers: Triggers::open(&engine).await?,
            under_way: UnderWay::default(),
            metrics,
            traces,
            room: Semaphore::new(config.requests),
            workers: Pool::default(),
            stopping,
            hub,
            _background: background.drop_guard(),
            engine,
            config,
        };
        Ok(Service(Arc::new(inner)))
    }

    /// Returns the routes, to be served or merged into another router.
    pub fn router(&self) -> Router {
        let (routes, document, _) = self.api().finish();
        let document = Arc::new(document);
        let room = from_fn_with_state(self.clone(), take_room);
        routes
            .with_state(self.clone())
            .layer(axum::Extension(document))
            .fallback(no_route)
            .method_not_allowed_fallback(no_method)
            .layer(room)
            .layer(CatchPanicLayer::custom(panicked))
    }

    /// Answers a request of this very process, which may do everything: without a socket and
    /// without a token.
    pub async fn ask(
        &self,
        actor: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, Vec<u8>) {
        let principal = Principal { actor: actor.to_owned(), ..Principal::local() };
        let content = body.map(|it| it.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .extension(principal)
            .body(Body::from(content));
        let request = match request {
            Ok(request) => request,
            Err(error) => return (StatusCode::BAD_REQUEST, error.to_string().into_bytes()),
        };
        let Ok(response) = self.router().oneshot(request).await;
        let status = response.status();
        // The body is of our own making, and in memory already.
        let content = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        (status, content.unwrap_or_default().into())
    }

    /// Returns every route with the access that it needs.
    pub fn declared(&self) -> Vec<Declared> {
        self.api().finish().2
    }

    /// Returns the OpenAPI document.
    pub fn document(&self) -> OpenApi {
        self.api().finish().1
    }

    fn api(&self) -> Api {
        let api = Api::new(self.clone());
        let api = crate::health::routes(api);
        let api = crate::metrics::routes(api);
        let api = crate::overview::routes(api);
        let api = crate::badge::routes(api);
        let api = crate::auth::routes(api);
        let api = crate::secrets::routes(api);
        let api = crate::workflows::routes(api);
        let api = crate::runs::routes(api);
        let api = crate::subscriptions::routes(api);
        let api = crate::audit::routes(api);
        let api = crate::bulk::routes(api);
        let api = crate::tasks::routes(api);
        let api = crate::events::routes(api);
        let api = crate::schedules::routes(api);
        let api = crate::hooks::routes(api);
        let api = crate::ingest::routes(api);
        crate::workers::routes(api)
    }

    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub fn config(&self) -> &ServerConfig {
        &self.0.config
    }

    /// Whether callers without a token may do everything.
    pub fn is_open(&self) -> bool {
        self.0.auth.is_open()
    }

    /// Returns how many streams of live events are open.
    pub fn event_clients(&self) -> usize {
        self.0.hub.open()
    }

    /// Returns how many workers are connected.
    pub fn worker_count(&self) -> usize {
        self.0.workers.count()
    }

    /// Counts the workers.
    pub(crate) fn census(&self) -> Census {
        self.0.workers.census(self.0.engine.remote().cloned().unwrap_or_default().lease)
    }

    /// Does what nobody asks for, until the service stops: starts what is scheduled, follows
    /// deployments. [`crate::serve`] does this; a program that mounts the router does it itself.
    pub async fn keep(&self) {
        if let Err(problem) = crate::bulk::resume(self).await {
            tracing::error!(?problem, "bulk jobs that were cut off cannot be read");
        }
        let stop = || self.stopping().clone();
        tokio::join!(self.schedules().keep(stop()), self.triggers().keep(stop()));
    }

    pub fn schedules(&self) -> &Schedules {
        &self.0.schedules
    }

    pub(crate) fn triggers(&self) -> &Triggers {
        &self.0.triggers
    }

    /// Tells long polls and streams to end. Requests that are under way end by themselves.
    pub fn begin_to_stop(&self) {
        self.0.stopping.cancel();
        self.0.couriers.stop();
    }

    /// Resolves when the service begins to stop.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &**self.0.engine.store()
    }

    pub(crate) fn audit(&self) -> &Audit {
        &self.0.audit
    }

    pub(crate) fn couriers(&self) -> &Couriers {
        &self.0.couriers
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// Returns the workers that are known.
    pub(crate) fn workers(&self) -> &Pool {
        &self.0.workers
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.0.auth
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn traces(&self) -> &Counts {
        &self.0.traces
    }

    pub(crate) fn under_way(&self) -> &UnderWay {
        &self.0.under_way
    }

    pub(crate) fn now(&self) -> Millis {
        self.0.engine.now()
    }

    /// Returns how long a caller is let wait who asks for so many seconds.
    pub(crate) fn patience(&self, seconds: u64) -> Duration {
        Duration::from_secs(seconds.min(self.0.config.wait_seconds))
    }
}

/// Takes a request on if there is room; a crowd is told to come back, which costs nothing.
async fn take_room(
    axum::extract::State(service): axum::extract::State<Service>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(_room) = service.0.room.try_acquire() else {
        return Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "SF4018",
            "too many requests at once",
        )
        .hint("Send it again in a second.")
        .retry_after(1)
        .into_response();
    };
    let mut response = next.run(request).await;
    // A browser takes nothing for what it is not said to be.
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
}

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

async fn no_route(request: Request) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "SF4005", "there is no such route")
        .detail(format!("nothing answers at {}", request.uri().path()))
        .hint("GET /openapi.json lists every route.")
}

async fn no_method(request: Request) -> Problem {
    let title = format!("{} is not allowed here", request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "SF4006", title)
        .hint("The `Allow` header has the methods that are.")
}

fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|it| (*it).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Problem::internal(format!("a handler panicked: {text}")).into_response()
}
