//! `saga`: three bookings with an agency on a socket, given back in reverse when one fails.

use serde_json::json;
use surefoot::kinds::HttpConfig;
use surefoot::{Config, Engine, RunOutcome, RunStatus, StartRequest, TaskStatus};

use crate::GRACE;
use crate::support::examples::source;
use crate::support::http_server::{HttpServer, answer};
use crate::support::status_of;

/// Books everything but what is `sold_out`, and says what was asked, in order.
async fn book(sold_out: &'static str) -> (Engine, RunOutcome, Vec<String>) {
    let agency = HttpServer::start(move |request| match request.target.trim_start_matches('/') {
        what if what == sold_out => answer("409 Conflict", "text/plain", "", "sold out"),
        what => {
            let id = format!("{}1", &what[..1]);
            answer("200 OK", "application/json", "", &json!({"id": id}).to_string())
        }
    })
    .await;
    let http = HttpConfig { allow_private: true, ..HttpConfig::default() };
    let config = Config { http, ..Config::default() };
    let engine = Engine::builder().store("memory:").config(config).open().await.unwrap();
    engine.deploy(&source("saga")).await.unwrap();
    let input = json!({"trip": "t-1", "agency_url": agency.base});
    let outcome = engine.execute(StartRequest::new("saga").input(input)).await.unwrap();
    let seen = agency.seen.lock().unwrap();
    let asked = seen.iter().map(|it| format!("{} {}", it.method, it.target)).collect();
    (engine, outcome, asked)
}

#[tokio::test]
async fn a_trip_is_booked() {
    let (engine, outcome, asked) = book("nothing").await;
    assert_eq!(outcome.status, RunStatus::Completed, "{outcome:?}");
    assert_eq!(outcome.output, json!({"flight": "f1", "hotel": "h1", "car": "c1"}));
    assert_eq!(asked, ["POST /flights", "POST /hotels", "POST /cars"]);
    engine.stop(GRACE).await.unwrap();
}

#[tokio::test]
async fn without_a_car_hotel_and_flight_are_given_back_in_this_order() {
    let (engine, outcome, asked) = book("cars").await;
    assert_eq!(outcome.status, RunStatus::Failed);
    let error = outcome.error.unwrap();
    assert_eq!((error.task.as_deref(), error.error.status), (Some("car"), Some(409)));
    assert!(error.not_undone.is_empty());
    let undone = ["DELETE /hotels/h1", "DELETE /flights/f1", "POST /messages"];
    assert_eq!(asked, [&["POST /flights", "POST /hotels", "POST /cars"][..], &undone].concat());
    assert_eq!(status_of(&engine, outcome.run, "flight").await, TaskStatus::Compensated);
    engine.stop(GRACE).await.unwrap();
}
