//! Runs a workflow whose task is a function of this program. Kill it and start it again: the run
//! goes on where it was.

use serde::Deserialize;
use surefoot::{Context, Engine, StartRequest, TaskError};

#[derive(Deserialize)]
struct Person {
    name: String,
}

async fn greet(_: Context, person: Person) -> Result<String, TaskError> {
    Ok(format!("Hello, {}!", person.name))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::builder()
        .store("sqlite:.surefoot/store.db")
        .handler("greet", greet)
        .open()
        .await?;
    engine.deploy(include_str!("../greet.surefoot.yaml")).await?;
    let request = StartRequest::new("greet").input(serde_json::json!({"name": "Ada"}));
    println!("{}", engine.execute(request).await?.output);
    engine.stop(std::time::Duration::from_secs(5)).await?;
    Ok(())
}
