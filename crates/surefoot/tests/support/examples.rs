//! Every example as data, with what its tasks answer where nothing real is at hand. Tests that
//! hold for any workflow run over this list.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use surefoot::kinds::{Context, Kind, TaskError};
use surefoot::{EngineBuilder, RunOutcome, StartRequest};

/// Kinds that reach outside of the process.
const EFFECTS: [&str; 5] = ["http", "sql", "file", "shell", "emit"];

pub struct Example {
    /// The folder below `examples`.
    pub name: &'static str,
    pub source: String,
    pub input: Value,
    /// Names that are neither built-in kinds nor in the list of [`EFFECTS`].
    pub handlers: Vec<&'static str>,
    /// What a task answers, by its id. Others answer null.
    pub answers: Vec<(&'static str, Value)>,
    /// What people say, in order, each once nothing else goes on.
    pub signals: Vec<(&'static str, Value)>,
    /// The output of a run in which nothing fails.
    pub output: Value,
}

/// Lists the examples.
pub fn all_examples() -> Vec<Example> {
    let mut all = vec![
        order_processing(),
        document_approval(),
        loan_process(),
        data_pipeline(),
        scheduled_backup(),
        fan_out(),
        saga(),
        capability_routing(),
        embedding(),
    ];
    for example in &mut all {
        example.source = source(example.name);
    }
    all
}

/// Reads the definition of an example.
pub fn source(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    std::fs::read_to_string(folder.join(format!("{name}.surefoot.yaml"))).unwrap()
}

impl Example {
    fn new(name: &'static str, input: Value, output: Value) -> Example {
        Example {
            name,
            source: String::new(),
            input,
            handlers: Vec::new(),
            answers: Vec::new(),
            signals: Vec::new(),
            output,
        }
    }

    /// Puts the answers in the place of every handler and of every kind that reaches outside.
    pub fn mock(&self, builder: EngineBuilder) -> EngineBuilder {
        let answers = Answers(self.answers.clone());
        let kind: Arc<dyn Kind> = Arc::new(answers);
        let names = EFFECTS.iter().chain(&self.handlers);
        names.fold(builder, |builder, name| builder.kind(name, kind.clone()))
    }

    /// Runs the example on an engine, to its end.
    pub async fn run(&self, engine: &surefoot::Engine) -> RunOutcome {
        let deployed = engine.deploy(&self.source).await.unwrap();
        let request = StartRequest::new(&deployed.workflow).input(self.input.clone());
        let run = engine.start(request).await.unwrap();
        for (name, data) in &self.signals {
            engine.idle().await;
            run.signal(name, data.clone()).await.unwrap();
        }
        run.wait().await.unwrap()
    }
}

/// Answers by the id of the task.
struct Answers(Vec<(&'static str, Value)>);

#[async_trait]
impl Kind for Answers {
    async fn run(&self, context: &Context, _: Value) -> Result<Value, TaskError> {
        let last = context.task.rsplit(['.', '/']).next().unwrap_or_default();
        let id = last.split('[').next().unwrap_or_default();
        let known = self.0.iter().find(|(name, _)| *name == id);
        Ok(known.map_or(Value::Null, |(_, answer)| answer.clone()))
    }
}

fn answered(value: Value) -> Value {
    json!({"status": 200, "headers": {}, "url": "http://mock/", "duration_ms": 1, "json": value})
}

fn affected(rows: u32) -> Value {
    json!({"rows": [], "columns": [], "rows_affected": rows, "truncated": false})
}

fn printed(lines: &[&str]) -> Value {
    json!({"exit_code": 0, "stdout": "", "stderr": "", "stdout_truncated": false,
        "stderr_truncated": false, "lines": lines})
}

fn order_processing() -> Example {
    let items = json!([{"sku": "tea", "n": 2}, {"sku": "cup", "n": 1}]);
    let input =
        json!({"order_id": "o-1", "shop_url": "http://mock", "total": 40.0, "items": items});
    Example {
        handlers: vec!["validate_order"],
        answers: vec![("pay", answered(json!({"id": "ch_1"}))), ("take", affected(1))],
        ..Example::new("order_processing", input, json!({"charge": "ch_1", "reserved": 2}))
    }
}

fn document_approval() -> Example {
    let ready = json!({"data_ready": true});
    Example {
        handlers: vec!["prepare_document"],
        signals: vec![
            ("submit", ready.clone()),
            ("reject", json!({})),
            ("submit", ready),
            ("approve", json!({})),
        ],
        ..Example::new("document_approval", json!({}), json!({"approved": true, "rounds": 1}))
    }
}

fn loan_process() -> Example {
    let input = json!({"applicant": "ada", "income": 50_000.0, "amount": 9_000.0,
        "bank_url": "http://mock"});
    Example {
        answers: vec![("score", answered(json!({"score": 720})))],
        ..Example::new("loan_process", input, json!({"granted": true}))
    }
}

fn data_pipeline() -> Example {
    let totals = json!([{"region": "north", "sales": 2, "amount": 30.0}]);
    let mut found = affected(0);
    found["rows"] = totals.clone();
    Example {
        answers: vec![
            ("promised", json!({"path": "a", "text": "cafe  sales.json\n"})),
            ("found", json!({"path": "a", "checksum": "cafe"})),
            ("read", json!({"path": "a", "json": []})),
            ("totals", found),
            ("report", json!({"path": "reports/sales.json"})),
        ],
        ..Example::new(
            "data_pipeline",
            json!({"file": "sales.json"}),
            json!({"totals": totals, "report": "reports/sales.json"}),
        )
    }
}

fn scheduled_backup() -> Example {
    let output = json!({"checksum": "cafe", "files": 2, "pruned": ["old.tar.gz"]});
    Example {
        answers: vec![
            ("verify", printed(&["data/", "data/a"])),
            ("checksum", json!({"path": "a", "checksum": "cafe"})),
            ("outdated", printed(&["old.tar.gz"])),
        ],
        ..Example::new("scheduled_backup", json!({"keep": 7}), output)
    }
}

fn fan_out() -> Example {
    Example {
        handlers: vec!["grade_reading"],
        answers: vec![("grade", json!({"grade": "high"}))],
        ..Example::new(
            "fan_out",
            json!({"readings": [1.0, 2.0, 3.0]}),
            json!({"readings": 3, "graded": 3, "high": 3}),
        )
    }
}

fn saga() -> Example {
    let input = json!({"trip": "t-1", "agency_url": "http://mock"});
    let booked = |id: &str| answered(json!({"id": id}));
    Example {
        answers: vec![("flight", booked("f1")), ("hotel", booked("h1")), ("car", booked("c1"))],
        ..Example::new("saga", input, json!({"flight": "f1", "hotel": "h1", "car": "c1"}))
    }
}

fn capability_routing() -> Example {
    let media = json!([{"name": "a.png", "kind": "image"}, {"name": "b.ogg", "kind": "audio"}]);
    Example {
        handlers: vec!["image_resize", "speech_to_text", "search_index"],
        ..Example::new("capability_routing", json!({"media": media}), json!({"files": 2}))
    }
}

fn embedding() -> Example {
    let lines = json!([{"sku": "tea", "n": 2, "price": 4.5}]);
    Example {
        handlers: vec!["price_order", "charge_card", "refund_card", "ship_parcel"],
        answers: vec![
            ("price", json!({"total": 9.0})),
            ("charge", json!({"charge": "ch_1"})),
            ("ship", json!({"parcel": "p1"})),
        ],
        ..Example::new(
            "embedding",
            json!({"order_id": "o-1", "lines": lines}),
            json!({"charge": "ch_1", "parcel": "p1"}),
        )
    }
}
