//! The kind `sql`: statements with bound parameters against configured databases. Values never
//! become part of a statement's text.

mod error;
mod marks;
mod pg_value;
mod postgres;
mod sqlite;
mod table;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use surefoot_core::task_error::TaskError;

use self::marks::{Dialect, Statement};
use self::postgres::Postgres;
use self::sqlite::Sqlite;
use self::table::Table;
use super::parameters::{bad, duration, parse};
use super::{Context, Kind, tls};

const ROWS_MAX_DEFAULT: usize = 1000;

/// The table that remembers what `exactly_once` tasks did, in the user's own database.
const ONCE_TABLE: &str = "surefoot_once";

/// `[databases.<name>]` in surefoot.toml. Neither `Debug` nor `Serialize` show a password.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST/DATABASE` with libpq's `sslmode` and
    /// `sslrootcert`.
    #[serde(serialize_with = "redacted")]
    pub url: String,
    /// Connections that tasks may use at once.
    #[serde(default = "eight")]
    pub max_connections: usize,
}

/// Every database, by the name that tasks use.
pub type SqlConfig = BTreeMap<String, DatabaseConfig>;

pub struct SqlKind {
    databases: BTreeMap<String, Database>,
}

enum Database {
    Sqlite(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
    /// A URL that cannot be used. Only tasks that use the database fail.
    Invalid(String),
}

/// `with` of a `sql` task. Its schema is `surefoot_core::kind_schema::sql`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct With {
    database: String,
    query: Option<String>,
    statements: Option<Vec<Value>>,
    params: Option<Value>,
    #[serde(default = "yes")]
    transaction: bool,
    #[serde(default)]
    exactly_once: bool,
    max_rows: Option<usize>,
    timeout: Option<String>,
}

/// What one attempt does to its database.
struct Work {
    statements: Vec<Statement>,
    /// One `query` gives one result; `statements` give a list, also if there is one.
    is_list: bool,
    /// Whether the statements need a transaction around them: one statement is one by itself.
    in_transaction: bool,
    /// The key under which the output is kept, for `exactly_once`.
    once: Option<String>,
    rows_max: usize,
}

impl SqlKind {
    pub fn new(config: SqlConfig) -> SqlKind {
        tls::install_provider();
        let open = |(name, it): (String, DatabaseConfig)| (name, Database::new(&it));
        SqlKind { databases: config.into_iter().map(open).collect() }
    }
}

#[async_trait]
impl Kind for SqlKind {
    async fn run(&self, context: &Context, with: Value) -> Result<Value, TaskError> {
        let with: With = parse("sql", with)?;
        let timeout = duration("timeout", with.timeout.as_deref())?;
        let Some(database) = self.databases.get(&with.database) else {
            let known: Vec<&str> = self.databases.keys().map(String::as_str).collect();
            let message = format!(
                "there is no database `{}`; [databases] in surefoot.toml has: {}",
                with.database,
                known.join(", ")
            );
            return Err(TaskError::fatal("sql_database", message));
        };
        match database {
            Database::Sqlite(it) => {
                it.run(context, timeout, Work::new(&with, Dialect::Sqlite, context)?).await
            }
            Database::Postgres(it) => {
                it.run(context, timeout, Work::new(&with, Dialect::Postgres, context)?).await
            }
            Database::Invalid(problem) => {
                let message = format!("`url` of [databases.{}] {problem}", with.database);
                Err(TaskError::fatal("sql_database", message))
            }
        }
    }
}

impl Database {
    fn new(config: &DatabaseConfig) -> Database {
        let connections_max = config.max_connections.max(1);
        if let Some(path) = config.url.strip_prefix("sqlite:") {
            return Database::Sqlite(Arc::new(Sqlite::new(path.into(), connections_max)));
        }
        if config.url.starts_with("postgres://") || config.url.starts_with("postgresql://") {
            return match Postgres::new(&config.url, connections_max) {
                Ok(it) => Database::Postgres(Arc::new(it)),
                Err(problem) => Database::Invalid(problem),
            };
        }
        Database::Invalid("starts with neither sqlite: nor postgres://".to_owned())
    }
}

impl Work {
    fn new(with: &With, dialect: Dialect, context: &Context) -> Result<Work, TaskError> {
        let statements = match (&with.query, &with.statements) {
            (Some(query), None) => {
                vec![Statement::new(query, with.params.as_ref(), false, dialect)?]
            }
            (None, Some(list)) => list
                .iter()
                .map(|it| statement(it, with.params.as_ref(), dialect))
                .collect::<Result<_, _>>()?,
            _ => return Err(bad("sql: give one of `query` and `statements`")),
        };
        if with.exactly_once && !with.transaction {
            return Err(bad(
                "sql: `exactly_once` needs the transaction that `transaction: false` refuses",
            ));
        }
        Ok(Work {
            in_transaction: with.transaction && (statements.len() > 1 || with.exactly_once),
            statements,
            is_list: with.statements.is_some(),
            once: with.exactly_once.then(|| context.idempotency_key.clone()),
            rows_max: with.max_rows.unwrap_or(ROWS_MAX_DEFAULT),
        })
    }

    fn output(&self, tables: Vec<Table>) -> Value {
        let mut results: Vec<Value> = tables.into_iter().map(Table::into_output).collect();
        if self.is_list { Value::Array(results) } else { results.pop().unwrap_or_default() }
    }

    /// Whether the session is as it was: a `SET` or a temporary table would meet the next task.
    fn leaves_no_trace(&self) -> bool {
        const PLAIN: [&str; 7] =
            ["select", "insert", "update", "delete", "merge", "with", "values"];
        self.statements.iter().all(|it| PLAIN.contains(&it.keyword.as_str()))
    }
}

/// Reads one of `statements`: a text, which shares the task's params, or {query, params}.
fn statement(
    value: &Value,
    shared: Option<&Value>,
    dialect: Dialect,
) -> Result<Statement, TaskError> {
    match (value.as_str(), value.get("query").and_then(Value::as_str)) {
        (Some(text), _) => Statement::new(text, shared, true, dialect),
        (None, Some(text)) => match value.get("params") {
            Some(own) => Statement::new(text, Some(own), false, dialect),
            None => Statement::new(text, shared, true, dialect),
        },
        (None, None) => Err(bad("sql: an entry of `statements` has no `query`")),
    }
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseConfig")
            .field("url", &without_password(&self.url))
            .field("max_connections", &self.max_connections)
            .finish()
    }
}

fn redacted<S: Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&without_password(url))
}

/// A password stands before the last `@`, or in the query as `password=`.
fn without_password(url: &str) -> String {
    if url.starts_with("sqlite:") {
        return url.to_owned();
    }
    let hidden = "***".to_owned();
    let Ok(mut parsed) = reqwest::Url::parse(url) else { return hidden };
    if parsed.password().is_some() && parsed.set_password(Some("***")).is_err() {
        return hidden;
    }
    let shown = |(name, value): (Cow<'_, str>, Cow<'_, str>)| match &*name {
        "password" => "password=***".to_owned(),
        _ => format!("{name}={value}"),
    };
    let query: Vec<String> = parsed.query_pairs().map(shown).collect();
    parsed.set_query((!query.is_empty()).then(|| query.join("&")).as_deref());
    parsed.to_string()
}

fn eight() -> usize {
    8
}

fn yes() -> bool {
    true
}
