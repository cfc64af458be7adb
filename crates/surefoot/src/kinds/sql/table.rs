//! The result of one statement, no larger than allowed.

use serde_json::{Map, Value, json};

/// Bytes of all rows together, about: what is beyond would not fit an output anyway.
const BYTES_MAX: usize = 16 * 1024 * 1024;

pub(super) struct Table {
    columns: Vec<(String, String)>,
    rows: Vec<Value>,
    rows_max: usize,
    bytes: usize,
    truncated: bool,
    pub(super) rows_affected: u64,
}

impl Table {
    /// Starts a result. Columns of the same name are told apart by a number: `id`, `id_2`.
    pub(super) fn new(names: impl IntoIterator<Item = String>, rows_max: usize) -> Table {
        let mut columns: Vec<(String, String)> = Vec::new();
        for name in names {
            let taken = |it: &str| columns.iter().any(|(other, _)| other == it);
            let fresh = (2..).map(|n| format!("{name}_{n}")).find(|it| !taken(it));
            let name = if taken(&name) { fresh.unwrap_or_default() } else { name };
            columns.push((name, "null".to_owned()));
        }
        Table { columns, rows: Vec::new(), rows_max, bytes: 0, truncated: false, rows_affected: 0 }
    }

    pub(super) fn set_type(&mut self, column: usize, name: &str) {
        self.columns[column].1 = name.to_owned();
    }

    /// Adds a row; false once there is no room for it.
    pub(super) fn push(&mut self, cells: Vec<Value>) -> bool {
        self.bytes += cells.iter().map(|it| it.as_str().map_or(16, str::len)).sum::<usize>();
        if self.rows.len() >= self.rows_max || self.bytes > BYTES_MAX {
            self.truncated = true;
            return false;
        }
        let names = self.columns.iter().map(|(name, _)| name.clone());
        self.rows.push(Value::Object(names.zip(cells).collect::<Map<_, _>>()));
        true
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn into_output(self) -> Value {
        let column = |(name, kind): (String, String)| json!({"name": name, "type": kind});
        json!({
            "columns": self.columns.into_iter().map(column).collect::<Vec<_>>(),
            "rows": self.rows,
            "rows_affected": self.rows_affected,
            "truncated": self.truncated,
        })
    }
}
