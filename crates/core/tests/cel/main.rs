//! The expression language, by its rules: each module is a table and a `check`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::disallowed_methods, reason = "a test of depth needs a stack of known size")]

mod eval;
mod limits;
mod parse;
mod properties;
mod reference_implementation;
mod references;
mod template;
mod types;

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

/// The data that the tables evaluate against.
fn data() -> BTreeMap<String, Json> {
    let data = json!({
        "input": {
            "order": {"id": "A-7", "total": 120, "paid": true, "note": null, "tags": ["new", "b2b"]},
            "items": [{"sku": "x", "n": 2, "price": 1.5}, {"sku": "y", "n": 1, "price": 4}],
            "count": 3, "rate": 0.5, "whole": 2.0, "huge": 18_446_744_073_709_551_615_u64,
            "text": "Grüße aus Köln", "empty": [], "none": null, "with space": 1,
            "at": "2027-03-01T08:30:00Z"
        },
        "index": 1
    });
    data.as_object().unwrap().clone().into_iter().collect()
}
