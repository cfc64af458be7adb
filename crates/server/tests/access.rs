//! Who may call what: every route with every kind of caller.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use serde_json::{Value, json};
use support::issuer::{Issuer, Key};
use support::{Server, answer};
use surefoot_server::{Access, ListenError, ServerConfig, Service};

/// Replaces the parameters of a path by values that are well-formed.
fn filled(path: &str) -> String {
    path.replace("/runs/{id}", "/runs/01JD8X3M7QK4S6T8V0W2Y4Z6B8")
        .replace("/tasks/{id}", "/tasks/01JD8X3M7QK4S6T8V0W2Y4Z6B8:ask")
        .replace("{code}", "SF4012")
        .split('/')
        .map(|it| if it.starts_with('{') { "x" } else { it })
        .collect::<Vec<_>>()
        .join("/")
}

/// Makes an admin, and then a token of each role.
async fn with_tokens() -> (Server, Vec<(&'static str, String)>) {
    let server = Server::open().await;
    let made = server.post("/v1/tokens", json!({"name": "root", "role": "admin"})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let root = made.body["token"].as_str().unwrap().to_owned();
    let mut tokens = Vec::new();
    for role in ["worker", "viewer", "operator", "deployer"] {
        let request = server.request("POST", "/v1/tokens").bearer_auth(&root);
        let made = answer(request.json(&json!({"name": role, "role": role}))).await;
        tokens.push((role, made.body["token"].as_str().unwrap().to_owned()));
    }
    tokens.push(("admin", root));
    (server, tokens)
}

fn allows(role: &str, access: Access) -> bool {
    let rank = ["viewer", "operator", "deployer", "admin"].iter().position(|it| *it == role);
    match access {
        Access::Public => true,
        Access::Read => rank.is_some(),
        Access::Operate => rank >= Some(1),
        Access::Deploy => rank >= Some(2),
        Access::Admin => rank == Some(3),
        Access::Worker => role == "worker" || role == "admin",
        Access::Attend => role == "worker" || rank >= Some(1),
    }
}

#[tokio::test]
async fn every_route_asks_who_is_calling_and_what_they_may() {
    let (server, tokens) = with_tokens().await;
    check_routes(&server, &tokens).await;
}

#[tokio::test]
async fn every_route_asks_people_of_an_identity_provider_too() {
    let key = Key::ed25519();
    let issuer = Issuer::open(vec![key.jwk("k1")]).await;
    let config = ServerConfig { oidc: Some(issuer.config()), ..ServerConfig::default() };
    let people = ["viewer", "operator", "deployer", "admin"]
        .map(|role| (role, key.token("k1", &issuer.claims(json!({"sub": role, "roles": [role]})))));
    check_routes(&Server::with(config).await, &people).await;
}

async fn check_routes(server: &Server, tokens: &[(&'static str, String)]) {
    let declared = server.service.declared();
    assert!(declared.len() > 30, "{}", declared.len());
    let mut findings = Vec::new();
    for route in &declared {
        let path = filled(&route.path);
        let send = |token: Option<&str>, path: &str| {
            let request = server.request(&route.method, path);
            let request = match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            async move {
                let response = request.send().await.unwrap();
                let status = response.status().as_u16();
                // A stream begins with its head; its end is not waited for.
                if status >= 400 && status != 503 {
                    let told: Value = response.json().await.unwrap_or_default();
                    assert!(told["hint"].as_str().is_some_and(|it| !it.is_empty()), "{told}");
                }
                status
            }
        };
        let is_public = route.access == Access::Public;
        let forged = [("a forger", Some("sf_0000")), ("a forger", Some("e30.e30.e30"))];
        for (who, token) in [("nobody", None)].into_iter().chain(forged) {
            let status = send(token, &path).await;
            // The forger's many tries are answered 429 after a while.
            if matches!(status, 401 | 429) == is_public {
                findings.push(format!("{} {} answers {who} {status}", route.method, route.path));
            }
        }
        for (role, token) in tokens {
            let status = send(Some(token), &path).await;
            if (status == 403) == allows(role, route.access)
                || status == 401
                || status >= 500 && status != 503
            {
                findings.push(format!("{} {} answers a {role} {status}", route.method, route.path));
            }
        }
        // Tricks with the path find no other way in.
        for trick in [
            format!("{path}/"),
            format!("/{path}"),
            path.replace("/v1/", "/v1%2f"),
            format!("{path};a"),
            format!("{path}%2f"),
        ] {
            let status = send(None, &trick).await;
            if !is_public && (200..300).contains(&status) {
                findings.push(format!("{} {trick} lets nobody in: {status}", route.method));
            }
        }
        // Neither does another method.
        for method in ["HEAD", "OPTIONS", "TRACE"] {
            let response = server.request(method, &path).send().await.unwrap();
            if !is_public && response.status().is_success() {
                findings.push(format!("{method} {path} lets nobody in: {}", response.status()));
            }
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[tokio::test]
async fn a_foreign_namespace_does_not_exist() {
    let (server, tokens) = with_tokens().await;
    let root = &tokens.last().unwrap().1;
    let make = server.request("POST", "/v1/tokens").bearer_auth(root);
    let asked = json!({"name": "clerk", "role": "deployer", "namespaces": ["billing"]});
    let clerk = answer(make.json(&asked)).await.body["token"].as_str().unwrap().to_owned();
    let source =
        |id: &str| format!("{{id: {id}, tasks: {{t: {{uses: log, with: {{message: m}}}}}}}}");
    let put = |token: &str, id: &str| {
        let request = server.request("PUT", &format!("/v1/workflows/{id}")).bearer_auth(token);
        answer(request.header("content-type", "application/yaml").body(source(id)))
    };
    for id in ["billing.invoice", "shop.order", "plain"] {
        assert_eq!(put(root, id).await.status, 201);
    }
    assert_eq!(put(&clerk, "billing.invoice").await.status, 200);
    assert_eq!(put(&clerk, "shop.order").await.status, 404);
    let start = |token: &str, id: &str| {
        let path = format!("/v1/workflows/{id}/runs");
        answer(server.request("POST", &path).bearer_auth(token).json(&json!({})))
    };
    let foreign = start(root, "shop.order").await.body["id"].as_str().unwrap().to_owned();
    let own = start(&clerk, "billing.invoice").await.body["id"].as_str().unwrap().to_owned();
    assert_eq!(start(&clerk, "plain").await.status, 404);
    let get = |path: String| answer(server.request("GET", &path).bearer_auth(&clerk));
    let (seen, unseen) =
        (get(format!("/v1/runs/{own}")).await, get(format!("/v1/runs/{foreign}")).await);
    assert_eq!((seen.status, unseen.status), (200, 404));
    let missing = get("/v1/runs/01JD8X3M7QK4S6T8V0W2Y4Z6B8".to_owned()).await;
    let same = |it: &str| it.replace(&foreign, "ID").replace("01JD8X3M7QK4S6T8V0W2Y4Z6B8", "ID");
    assert_eq!(same(&unseen.text), same(&missing.text), "it tells nothing of what is there");
    for list in ["/v1/runs", "/v1/workflows"] {
        let all = get(list.to_owned()).await;
        let items = all.body["items"].as_array().unwrap();
        assert_eq!(items.len(), 1, "{list}: {}", all.text);
        assert_eq!(items[0]["workflow"], "billing.invoice");
    }
}

#[tokio::test]
async fn an_admin_of_a_namespace_makes_nobody_an_admin_of_all() {
    let (server, tokens) = with_tokens().await;
    let make = async |token: &str, name: &str, namespaces: Value| {
        let asked = json!({"name": name, "role": "admin", "namespaces": namespaces});
        answer(server.request("POST", "/v1/tokens").bearer_auth(token).json(&asked)).await
    };
    let root = &tokens.last().unwrap().1;
    let made = make(root, "clerk", json!(["billing"])).await;
    let clerk = made.body["token"].as_str().unwrap().to_owned();
    for namespaces in [Value::Null, json!(["shop"]), json!(["billing", "shop"])] {
        let found = make(&clerk, "more", namespaces).await;
        assert_eq!((found.status, found.code()), (403, "SF4011"), "{}", found.text);
    }
    assert_eq!(make(&clerk, "heir", json!(["billing"])).await.status, 201);
    let list = answer(server.request("GET", "/v1/tokens").bearer_auth(&clerk)).await;
    let names: Vec<_> =
        list.body["items"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["clerk", "heir"]);
    let revoke = async |name: &str| {
        let path = format!("/v1/tokens/{name}");
        answer(server.request("DELETE", &path).bearer_auth(&clerk)).await
    };
    let (foreign, missing) = (revoke("root").await, revoke("nobody").await);
    assert_eq!((foreign.status, missing.status), (404, 404));
    assert_eq!(foreign.text.replace("root", "nobody"), missing.text, "it tells nothing of others");
    assert_eq!(revoke("heir").await.status, 204);
}

#[tokio::test]
async fn a_token_ends_when_it_is_revoked_or_its_time_is_over() {
    let (server, tokens) = with_tokens().await;
    let root = &tokens.last().unwrap().1;
    let viewer = tokens.iter().find(|it| it.0 == "viewer").unwrap().1.clone();
    let look = |token: String| answer(server.request("GET", "/v1/runs").bearer_auth(token));
    assert_eq!(look(viewer.clone()).await.status, 200);
    let revoke = server.request("DELETE", "/v1/tokens/viewer").bearer_auth(root);
    assert_eq!(answer(revoke).await.status, 204);
    assert_eq!(look(viewer).await.status, 401);
    let make = server.request("POST", "/v1/tokens").bearer_auth(root);
    let asked = json!({"name": "late", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z"});
    let late = answer(make.json(&asked)).await.body["token"].as_str().unwrap().to_owned();
    let told = look(late).await;
    assert_eq!((told.status, told.code()), (401, "SF4010"), "{}", told.text);
    assert!(told.body["hint"].as_str().is_some_and(|it| !it.is_empty()), "{}", told.text);
    let list = answer(server.request("GET", "/v1/tokens").bearer_auth(root)).await;
    assert!(!list.text.contains(root.as_str()), "no text of a token is ever shown again");
}

#[tokio::test]
async fn who_guesses_tokens_is_not_listened_to() {
    let (server, tokens) = with_tokens().await;
    let root = tokens.last().unwrap().1.clone();
    let look = |token: String| answer(server.request("GET", "/v1/runs").bearer_auth(token));
    let mut refused = 0;
    for at in 0..40 {
        let told = look(format!("sf_{at}")).await;
        assert!(matches!(told.status, 401 | 429), "{}", told.text);
        refused += u32::from(told.status == 429);
    }
    assert_eq!(refused, 20);
    assert!(!look("sf_x".to_owned()).await.header("retry-after").is_empty());
    assert_eq!(look(root).await.status, 200, "a good token is heard all the same");
}

#[tokio::test]
async fn it_listens_to_the_world_only_with_tokens() {
    assert_eq!(ServerConfig::default().listen, "127.0.0.1:7070");
    let engine = surefoot::Engine::builder().open().await.unwrap();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let config = ServerConfig { listen: listen.to_owned(), ..ServerConfig::default() };
        let service = Service::open(engine.clone(), config).await.unwrap();
        let error = service.bind().await.unwrap_err();
        assert!(matches!(error, ListenError::Open(_)), "{listen}: {error}");
    }
    let token = surefoot_server::TokenConfig {
        name: "a".to_owned(),
        hash: surefoot_server::hash_for_config("sf_x"),
        role: surefoot_server::Role::Admin,
        namespaces: None,
        groups: Vec::new(),
        capabilities: None,
    };
    let config = ServerConfig {
        listen: "0.0.0.0:0".to_owned(),
        tokens: vec![token],
        ..ServerConfig::default()
    };
    let service = Service::open(engine, config).await.unwrap();
    assert!(service.may_listen().is_ok());
}
