//! Every example as data, with what its tasks answer where nothing real is at hand. Tests that
//! hold for any workflow run over this list.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use surefoot::testkit::{Mock, TestKit};

pub struct Example {
    /// The folder below `examples`.
    pub name: &'static str,
    pub source: String,
    pub input: Value,
    /// What the definition uses besides the built-in kinds.
    pub handlers: Vec<&'static str>,
    /// What a task that reaches outside answers, by its path. Others answer null.
    pub answers: Vec<(&'static str, Value)>,
    /// What people do meanwhile.
    people: fn(TestKit) -> TestKit,
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
            people: |kit| kit,
            output,
        }
    }

    /// Prepares a test of the example with its answers and its people.
    pub fn kit(&self) -> TestKit {
        let kit = TestKit::new(&self.source).input(self.input.clone());
        let kit = kit.mock_rest(Mock::output(Value::Null));
        let answers = self.answers.iter();
        let kit = answers.fold(kit, |kit, (task, it)| kit.mock(task, Mock::output(it.clone())));
        (self.people)(kit)
    }
}

/// So many hours after the start.
fn hours(count: u64) -> Duration {
    Duration::from_secs(3600 * count)
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
        json!({"order_id": "o-1", "shop_url": "http://mock", "total": 2500.0, "items": items});
    Example {
        handlers: vec!["validate_order"],
        answers: vec![("pay", answered(json!({"id": "ch_1"}))), ("reserve.take", affected(1))],
        people: |kit| kit.vote(hours(1), "fay", &["finance"], true),
        ..Example::new("order_processing", input, json!({"charge": "ch_1", "reserved": 2}))
    }
}

fn document_approval() -> Example {
    Example {
        handlers: vec!["prepare_document"],
        people: |kit| {
            let ready = json!({"data_ready": true});
            kit.signal(hours(1), "submit", ready.clone())
                .signal(hours(2), "reject", json!({}))
                .signal(hours(3), "submit", ready)
                .signal(hours(4), "approve", json!({}))
        },
        ..Example::new("document_approval", json!({}), json!({"approved": true, "rounds": 1}))
    }
}

fn loan_process() -> Example {
    let input = json!({"applicant": "bob", "income": 50_000.0, "amount": 9_000.0,
        "bank_url": "http://mock"});
    Example {
        answers: vec![("score", answered(json!({"score": 550})))],
        people: |kit| {
            kit.vote(hours(1), "eve", &["credit"], true).vote(hours(2), "finn", &["credit"], true)
        },
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
