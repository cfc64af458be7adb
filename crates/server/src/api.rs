//! How a route is declared. There is no way to add one without saying who may call it: [`Api`] is
//! the only thing here that has a router, and it asks for an [`Access`] with every route.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::audit::{self, Act};
use crate::auth::Principal;
use crate::idempotency;
use crate::parameters;
use crate::problem::Problem;
use crate::service::Service;

/// What a caller needs to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: health, and what carries a proof of its own.
    Public,
    /// To look.
    Read,
    /// To start and control runs, and to decide what waits for people.
    Operate,
    /// To change definitions and schedules.
    Deploy,
    /// Everything.
    Admin,
    /// To take tasks and report their results.
    Worker,
    /// To look after workers; a worker may look after itself.
    Attend,
}

/// A route and who may call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Such as `GET`.
    pub method: String,
    /// With its parameters in braces.
    pub path: String,
    pub access: Access,
}

/// Collects routes.
pub(crate) struct Api {
    service: Service,
    router: OpenApiRouter<Service>,
    declared: Vec<Declared>,
}

/// The name of the scheme in the document.
const BEARER: &str = "token";

impl Api {
    pub fn new(service: Service) -> Api {
        Api { service, router: OpenApiRouter::with_openapi(about()), declared: Vec::new() }
    }

    /// Adds the handlers of one path.
    pub fn route(mut self, access: Access, routes: UtoipaMethodRouter<Service>) -> Api {
        let (schemas, mut paths, methods) = routes;
        let mut queried = Vec::new();
        for (path, item) in &mut paths.paths {
            let operations = [
                ("GET", &mut item.get),
                ("PUT", &mut item.put),
                ("POST", &mut item.post),
                ("DELETE", &mut item.delete),
                ("PATCH", &mut item.patch),
            ];
            for (method, operation) in operations {
                if let Some(operation) = operation {
                    describe(operation, access);
                    if takes_query(operation) {
                        queried.push(method);
                    }
                    let (method, path) = (method.to_owned(), path.clone());
                    self.declared.push(Declared { method, path, access });
                }
            }
        }
        let guard = Guard { service: self.service.clone(), access, queried: queried.into() };
        let guard = from_fn_with_state(guard, admit);
        let methods = methods.route_layer(guard);
        Api { router: self.router.routes((schemas, paths, methods)), ..self }
    }

    /// Returns the router, the document, and who may call what.
    pub fn finish(self) -> (Router<Service>, OpenApi, Vec<Declared>) {
        let (router, document) = self.router.split_for_parts();
        (router, document, self.declared)
    }
}

/// What stands before the handlers of one path.
#[derive(Clone)]
struct Guard {
    service: Service,
    access: Access,
    /// Methods whose handlers read the query, and refuse what they do not know.
    queried: Arc<[&'static str]>,
}

impl Guard {
    /// Refuses parameters that no handler would look at: who sends them expects something of them.
    fn check_query(&self, request: &Request) -> Result<(), Problem> {
        let method = match request.method().as_str() {
            "HEAD" => "GET",
            method => method,
        };
        match request.uri().query() {
            Some(query) if !query.is_empty() && !self.queried.contains(&method) => {
                Err(parameters::none_known(query))
            }
            _ => Ok(()),
        }
    }
}

fn takes_query(operation: &Operation) -> bool {
    let known = operation.parameters.iter().flatten();
    known.into_iter().any(|it| matches!(it, RefOr::T(it) if it.parameter_in == ParameterIn::Query))
}

/// Lets a request through to its handler if its sender may.
async fn admit(
    State(guard): State<Guard>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (service, access) = (&guard.service, guard.access);
    if access == Access::Public {
        return Ok(next.run(request).await);
    }
    // Only this process can have said who asks: no header becomes an extension.
    let principal = match request.extensions().get::<Principal>() {
        Some(principal) => principal.clone(),
        None => {
            let from = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|it| it.0.ip());
            let now = service.now();
            let known = service.auth().authenticate(request.headers(), from, now).await;
            known.inspect_err(|problem| {
                // While an identity provider is away, nobody knows who is a stranger.
                if problem.status() != StatusCode::SERVICE_UNAVAILABLE {
                    let action = audit::action(&request);
                    service.audit().note_stranger(from, &action, now);
                }
            })?
        }
    };
    let act = Act::of(&request, access, &principal);
    let allowed = principal.require(access).and_then(|()| guard.check_query(&request));
    request.extensions_mut().insert(principal);
    let response = match allowed {
        Err(problem) => problem.into_response(),
        // What an admin is answered may be shown this once, such as a token: it is not kept.
        Ok(())
            if access != Access::Admin && request.headers().contains_key(idempotency::HEADER) =>
        {
            idempotency::once(service.clone(), request, next).await.into_response()
        }
        Ok(()) => next.run(request).await,
    };
    match act {
        Some(act) => Ok(service.audit().keep(act, response, service.now()).await),
        None => Ok(response),
    }
}

/// Adds what every operation has in common: the access, and how problems are told.
fn describe(operation: &mut Operation, access: Access) {
    let needs = match access {
        Access::Public => "Anybody may call this.",
        Access::Read => "Needs the role viewer.",
        Access::Operate => "Needs the role operator.",
        Access::Deploy => "Needs the role deployer.",
        Access::Admin => "Needs the role admin.",
        Access::Worker => "Needs the role worker.",
        Access::Attend => "Needs the role operator; a worker may do it to itself.",
    };
    let before = operation.description.take().map(|it| format!("{it}\n\n")).unwrap_or_default();
    operation.description = Some(format!("{before}{needs}"));
    if access != Access::Public {
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, [])]);
    }
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new()
        .description("A problem, as RFC 9457 has it")
        .content("application/problem+json", problem)
        .build();
    operation.responses.responses.insert("default".to_owned(), response.into());
}

fn about() -> OpenApi {
    use utoipa::OpenApi as _;
    #[derive(utoipa::OpenApi)]
    #[openapi(components(schemas(surefoot_client::wire::Problem)))]
    struct Components;
    let mut document = Components::openapi();
    document.info.title = "Surefoot".to_owned();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document.info.description = Some(
        "A durable workflow engine: definitions are proved before they run, every step is durable."
            .to_owned(),
    );
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    document
        .components
        .get_or_insert_default()
        .add_security_scheme(BEARER, SecurityScheme::Http(scheme));
    document
}
