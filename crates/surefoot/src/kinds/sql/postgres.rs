//! PostgreSQL. An attempt runs as a task of its own, which is never dropped in the middle of a
//! transaction: a cancel asks the server to stop the statement and then waits for its answer.

use std::sync::{Arc, Mutex};
use std::time::Duration as Span;

use futures_util::TryStreamExt;
use reqwest::Url;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde_json::Value;
use surefoot_core::task_error::TaskError;
use surefoot_core::time::Duration;
use tokio::sync::Semaphore;
use tokio_postgres::config::SslMode;
use tokio_postgres::{CancelToken, Client, Config, NoTls, Transaction};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;

use super::marks::Statement;
use super::pg_value::{Bound, Cell};
use super::table::Table;
use super::{ONCE_TABLE, Work, error};
use crate::kinds::Context;
use crate::kinds::bounded::{cancelled, elapsed, joined, timed_out, within};

const CONNECT_TIMEOUT: Span = Span::from_secs(10);
/// How long a server may take to stop a statement before its connection is given up.
const CANCEL_GRACE: Span = Span::from_secs(5);
/// After this long, the server is asked again.
const CANCEL_REPEAT: Span = Span::from_millis(200);

pub(super) struct Postgres {
    config: Config,
    trust: Trust,
    idle: Mutex<Vec<Client>>,
    slots: Arc<Semaphore>,
}

/// Whose certificate is good, by libpq's `sslmode`.
enum Trust {
    /// `disable`
    NoTls,
    /// `prefer` (the default) and `require` encrypt, and believe any server.
    Anybody,
    /// `verify-ca` and `verify-full`: the system's roots, or those of `sslrootcert`. The name is
    /// checked in both.
    Roots(Option<String>),
}

impl Postgres {
    pub(super) fn new(url: &str, connections_max: usize) -> Result<Postgres, String> {
        let mut parsed = Url::parse(url).map_err(|it| format!("is no URL: {it}"))?;
        let value = |key: &str| {
            let mut pairs = parsed.query_pairs();
            pairs.find(|(name, _)| name == key).map(|(_, value)| value.into_owned())
        };
        let (mode, root) = (value("sslmode"), value("sslrootcert"));
        let rest: Vec<(String, String)> = parsed
            .query_pairs()
            .filter(|(name, _)| name != "sslmode" && name != "sslrootcert")
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        parsed.set_query(None);
        if !rest.is_empty() {
            parsed.query_pairs_mut().extend_pairs(rest);
        }
        let mut config: Config =
            parsed.as_str().parse().map_err(|it| format!("is refused: {it}"))?;
        let (ssl_mode, trust) = match mode.as_deref() {
            Some("disable") => (SslMode::Disable, Trust::NoTls),
            None | Some("allow" | "prefer") => (SslMode::Prefer, Trust::Anybody),
            Some("require") => (SslMode::Require, Trust::Anybody),
            Some("verify-ca" | "verify-full") => (SslMode::Require, Trust::Roots(root)),
            Some(other) => return Err(format!("has the unknown sslmode `{other}`")),
        };
        config.ssl_mode(ssl_mode).connect_timeout(CONNECT_TIMEOUT).application_name("surefoot");
        let slots = Arc::new(Semaphore::new(connections_max));
        Ok(Postgres { config, trust, idle: Mutex::default(), slots })
    }

    pub(super) async fn run(
        self: &Arc<Self>,
        context: &Context,
        timeout: Option<Duration>,
        work: Work,
    ) -> Result<Value, TaskError> {
        let slots = Arc::clone(&self.slots);
        let slot = within(context, timeout, async {
            Ok(slots.acquire_owned().await.expect("the semaphore is never closed"))
        })
        .await?;
        let abort = CancellationToken::new();
        let _abort_on_drop = abort.clone().drop_guard();
        let (this, inside) = (Arc::clone(self), abort.clone());
        let mut attempt = tokio::spawn(async move {
            let result = this.attempt(&work, &inside).await;
            drop(slot);
            result
        });
        let reason = tokio::select! {
            biased;
            done = &mut attempt => return joined(done),
            () = context.cancelled() => cancelled(),
            () = elapsed(timeout) => timed_out(timeout),
        };
        abort.cancel();
        // If the commit was faster, it counts.
        joined(attempt.await).map_err(|_| reason)
    }

    async fn attempt(&self, work: &Work, abort: &CancellationToken) -> Result<Value, TaskError> {
        let mut client = match self.idle_client() {
            Some(client) => client,
            None => tokio::select! {
                client = self.connect() => client?,
                () = abort.cancelled() => return Err(cancelled()),
            },
        };
        let token = client.cancel_token();
        let result = {
            let mut running = std::pin::pin!(execute(&mut client, work, abort));
            tokio::select! {
                biased;
                result = &mut running => Some(result),
                () = abort.cancelled() => tokio::time::timeout(CANCEL_GRACE, async {
                    // What counts is how the statement ends, not whether the message arrived. One
                    // that comes before the server has begun finds nothing to stop.
                    loop {
                        let _ = self.cancel(&token).await;
                        let ended = tokio::time::timeout(CANCEL_REPEAT, &mut running).await;
                        if let Ok(result) = ended {
                            break result;
                        }
                    }
                })
                .await
                .ok(),
            }
        };
        let Some(result) = result else { return Err(cancelled()) };
        // A server that ends a session says so before the connection is seen to be closed.
        let is_lost = result.as_ref().is_err_and(|it| it.kind == error::CONNECTION);
        if !is_lost && !client.is_closed() && work.leaves_no_trace() {
            self.idle.lock().expect("nobody panics while holding the lock").push(client);
        }
        result
    }

    fn idle_client(&self) -> Option<Client> {
        let mut idle = self.idle.lock().expect("nobody panics while holding the lock");
        idle.retain(|it| !it.is_closed());
        idle.pop()
    }

    async fn connect(&self) -> Result<Client, TaskError> {
        let fail = |it: tokio_postgres::Error| error::postgres(&it, None);
        // The connection lives as long as its client; its errors reach whoever waits for an answer.
        Ok(match self.tls()? {
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(fail)?;
                tokio::spawn(connection);
                client
            }
            Some(tls) => {
                let (client, connection) = self.config.connect(tls).await.map_err(fail)?;
                tokio::spawn(connection);
                client
            }
        })
    }

    async fn cancel(&self, token: &CancelToken) -> Result<(), TaskError> {
        let sent = match self.tls()? {
            None => token.cancel_query(NoTls).await,
            Some(tls) => token.cancel_query(tls).await,
        };
        sent.map_err(|it| error::postgres(&it, None))
    }

    fn tls(&self) -> Result<Option<MakeRustlsConnect>, TaskError> {
        let problem = |it: String| TaskError::fatal("tls", it);
        let builder = ClientConfig::builder();
        match &self.trust {
            Trust::NoTls => Ok(None),
            Trust::Anybody => {
                let verifier = Arc::new(AnyServer(Arc::clone(builder.crypto_provider())));
                let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
                Ok(Some(MakeRustlsConnect::new(builder.with_no_client_auth())))
            }
            Trust::Roots(Some(path)) => {
                let mut roots = RootCertStore::empty();
                let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
                let found: Vec<_> =
                    found.map_err(|it| problem(format!("`sslrootcert` {path}: {it}")))?;
                roots.add_parsable_certificates(found);
                let config = builder.with_root_certificates(roots).with_no_client_auth();
                Ok(Some(MakeRustlsConnect::new(config)))
            }
            Trust::Roots(None) => match MakeRustlsConnect::with_native_certs() {
                Ok((tls, _)) => Ok(Some(tls)),
                Err(_) => Err(problem(
                    "this system has no root certificates: give `sslrootcert`".to_owned(),
                )),
            },
        }
    }
}

async fn execute(
    client: &mut Client,
    work: &Work,
    abort: &CancellationToken,
) -> Result<Value, TaskError> {
    if !work.in_transaction {
        let mut tables = Vec::with_capacity(work.statements.len());
        for statement in &work.statements {
            tables.push(run_alone(client, statement, work.rows_max).await?);
        }
        return Ok(work.output(tables));
    }
    let fail = |it: tokio_postgres::Error| error::postgres(&it, None);
    if work.once.is_some() {
        make_once_table(client).await.map_err(fail)?;
    }
    // Dropping the transaction, as every `?` here does, rolls it back.
    let transaction = client.transaction().await.map_err(fail)?;
    if let Some(key) = &work.once {
        // A second attempt waits here until the first one has committed or rolled back.
        let claim = format!(
            "INSERT INTO {ONCE_TABLE} (key, output) VALUES ($1, '') ON CONFLICT DO NOTHING"
        );
        if transaction.execute(&claim, &[key]).await.map_err(fail)? == 0 {
            let select = format!("SELECT output FROM {ONCE_TABLE} WHERE key = $1");
            let row = transaction.query_one(&select, &[key]).await.map_err(fail)?;
            return kept_output(row.try_get(0).map_err(fail)?);
        }
    }
    let mut tables = Vec::with_capacity(work.statements.len());
    for statement in &work.statements {
        tables.push(run_inside(&transaction, statement, work.rows_max).await?);
    }
    let output = work.output(tables);
    if let Some(key) = &work.once {
        let keep = format!("UPDATE {ONCE_TABLE} SET output = $2 WHERE key = $1");
        transaction.execute(&keep, &[key, &output.to_string()]).await.map_err(fail)?;
    }
    if abort.is_cancelled() {
        return Err(cancelled());
    }
    transaction.commit().await.map_err(fail)?;
    Ok(output)
}

async fn make_once_table(client: &Client) -> Result<(), tokio_postgres::Error> {
    // Asked first, because a user who may not create tables may use one that is there.
    let exists = "SELECT to_regclass($1::text) IS NOT NULL";
    if client.query_one(exists, &[&ONCE_TABLE]).await?.try_get(0)? {
        return Ok(());
    }
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {ONCE_TABLE} (key text PRIMARY KEY, output text NOT NULL, \
         created_at timestamptz NOT NULL DEFAULT now())"
    );
    match client.batch_execute(&create).await {
        // Two sessions that create it at once: one loses, but the table is there.
        Err(error)
            if error.code().is_some_and(|it| matches!(it.code(), "23505" | "42P07" | "42710")) =>
        {
            Ok(())
        }
        result => result,
    }
}

/// Reads an output that an earlier attempt kept.
pub(super) fn kept_output(text: &str) -> Result<Value, TaskError> {
    serde_json::from_str(text).map_err(|it| {
        TaskError::fatal(
            "sql_corrupt",
            format!("the output kept in {ONCE_TABLE} is not JSON: {it}"),
        )
    })
}

/// Runs a statement by itself. One that gives no rows needs no transaction, and some (`VACUUM`)
/// refuse one.
async fn run_alone(
    client: &mut Client,
    statement: &Statement,
    rows_max: usize,
) -> Result<Table, TaskError> {
    let fail = |it: tokio_postgres::Error| error::postgres(&it, Some(statement));
    let prepared = client.prepare(&statement.sql).await.map_err(fail)?;
    check_marks(&prepared, statement)?;
    if !prepared.columns().is_empty() {
        let transaction = client.transaction().await.map_err(fail)?;
        let table = run_inside(&transaction, statement, rows_max).await?;
        transaction.commit().await.map_err(fail)?;
        return Ok(table);
    }
    let mut table = Table::new([], rows_max);
    let values = statement.values.iter().map(Bound);
    table.rows_affected = client.execute_raw(&prepared, values).await.map_err(fail)?;
    Ok(table)
}

async fn run_inside(
    transaction: &Transaction<'_>,
    statement: &Statement,
    rows_max: usize,
) -> Result<Table, TaskError> {
    let fail = |it: tokio_postgres::Error| error::postgres(&it, Some(statement));
    let prepared = transaction.prepare(&statement.sql).await.map_err(fail)?;
    check_marks(&prepared, statement)?;
    let mut table = Table::new(prepared.columns().iter().map(|it| it.name().to_owned()), rows_max);
    for (at, column) in prepared.columns().iter().enumerate() {
        table.set_type(at, column.type_().name());
    }
    let values = statement.values.iter().map(Bound);
    if prepared.columns().is_empty() {
        table.rows_affected = transaction.execute_raw(&prepared, values).await.map_err(fail)?;
        return Ok(table);
    }
    // A portal gives only as many rows as are asked for; one more shows that there are more.
    let portal = transaction.bind_raw(&prepared, values).await.map_err(fail)?;
    let limit = i32::try_from(rows_max.saturating_add(1)).unwrap_or(i32::MAX);
    let stream = transaction.query_portal_raw(&portal, limit).await.map_err(fail)?;
    let mut stream = std::pin::pin!(stream);
    while let Some(row) = stream.try_next().await.map_err(fail)? {
        let cells = (0..row.len()).map(|at| row.try_get::<_, Cell>(at).map(|it| it.0));
        let cells = cells.collect::<Result<Vec<_>, _>>().map_err(fail)?;
        table.push(cells);
    }
    table.rows_affected = stream.rows_affected().unwrap_or(table.len() as u64);
    Ok(table)
}

fn check_marks(
    prepared: &tokio_postgres::Statement,
    statement: &Statement,
) -> Result<(), TaskError> {
    let (wanted, given) = (prepared.params().len(), statement.values.len());
    if wanted == given { Ok(()) } else { Err(error::wrong_marks(wanted, given)) }
}

/// Believes any certificate, as libpq does unless told to verify: the line is encrypted, the peer
/// is not proved.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
