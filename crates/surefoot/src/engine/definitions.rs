//! Deployed definitions and the plans made from them. A plan is made once for each content and
//! kept as long as the engine lives.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use surefoot_core::check::{self, CheckContext};
use surefoot_core::ids::Digest;
use surefoot_core::plan::Plan;
use surefoot_core::source::{Problem, Severity};
use surefoot_core::time::Millis;
use surefoot_store::{DefinitionRow, Expect, Item, ItemWrite, Store};
use tokio::sync::broadcast;

use super::request::StartError;

/// A definition that was accepted.
#[derive(Clone, Debug)]
pub struct Deployed {
    pub workflow: String,
    pub version: String,
    pub hash: Digest,
    pub plan: Arc<Plan>,
    /// Warnings and notes.
    pub problems: Vec<Problem>,
}

/// Why a definition was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeployError {
    #[error("the definition has {} problem(s), the first: {}", .0.len(), first(.0))]
    Rejected(Vec<Problem>),
    #[error("the source has {0} definitions; deploy them one by one")]
    Several(usize),
    #[error("version {version} of `{workflow}` exists with other content")]
    VersionExists { workflow: String, version: String, existing: Digest },
    #[error(transparent)]
    Store(#[from] surefoot_store::Error),
}

fn first(problems: &[Problem]) -> String {
    let errors = problems.iter().find(|it| it.severity == Severity::Error);
    errors
        .or(problems.first())
        .map_or_else(String::new, |it| format!("[{}] {}", it.code, it.message))
}

/// Where the active version is kept of a workflow whose newest one is not: its hash.
const ACTIVE: &str = "active";
/// Items that are read in one go.
const PAGE: u32 = 1000;

/// Returns the versions of a workflow (or of all) that a store has: first the active ones, which new
/// runs take, then the others, the newest first.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let engine = surefoot::Engine::builder().store("memory:").open().await.unwrap();
/// for version in ["1.0.0", "2.0.0"] {
///     let source = format!("{{id: a, version: {version}, tasks: {{t: {{uses: log}}}}}}");
///     engine.deploy(&source.replace("log", "log, with: {message: hello}")).await.unwrap();
/// }
/// engine.activate("a", "1.0.0").await.unwrap();
/// let versions = surefoot::versions(&**engine.store(), Some("a")).await.unwrap();
/// assert_eq!(versions.iter().map(|it| &*it.version).collect::<Vec<_>>(), ["1.0.0", "2.0.0"]);
/// # });
/// ```
pub async fn versions(
    store: &dyn Store,
    workflow: Option<&str>,
) -> Result<Vec<DefinitionRow>, surefoot_store::Error> {
    let mut rows = store.definitions(workflow).await?;
    let mut active: Vec<Item> = Vec::new();
    match workflow {
        Some(_) if rows.len() < 2 => {}
        Some(workflow) => active.extend(store.item(ACTIVE, workflow).await?),
        None => loop {
            let page = store.items(ACTIVE, active.last().map(|it| &*it.key), PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            active.extend(page);
            if is_last {
                break;
            }
        },
    }
    let active: HashMap<String, Vec<u8>> = active.into_iter().map(|it| (it.key, it.body)).collect();
    let is_active = |row: &DefinitionRow| {
        active.get(&row.workflow).is_some_and(|it| *it == row.hash.to_string().into_bytes())
    };
    // The order is kept among the others.
    rows.sort_by_key(|row| !is_active(row));
    Ok(rows)
}

pub(crate) struct Definitions {
    store: Arc<dyn Store>,
    context: CheckContext,
    plans: Mutex<HashMap<Digest, Arc<Plan>>>,
    /// The active version of each workflow, and each version by name.
    names: Mutex<HashMap<(String, Option<String>), Digest>>,
    /// Says the workflow of each deployment.
    deployments: broadcast::Sender<String>,
}

/// Deployments that a slow listener may be behind before it misses some.
const DEPLOYMENTS_MAX: usize = 1024;

impl Definitions {
    pub fn new(store: Arc<dyn Store>, context: CheckContext) -> Definitions {
        let deployments = broadcast::channel(DEPLOYMENTS_MAX).0;
        let (plans, names) = (Mutex::default(), Mutex::default());
        Definitions { store, context, plans, names, deployments }
    }

    pub fn deployments(&self) -> broadcast::Receiver<String> {
        self.deployments.subscribe()
    }

    pub async fn deploy(
        &self,
        source: &str,
        now: Millis,
        draft: bool,
    ) -> Result<Deployed, DeployError> {
        let mut documents = check::check_source(source.as_bytes(), &self.context);
        let count = documents.len();
        let document = documents.pop().filter(|_| count == 1).ok_or(DeployError::Several(count))?;
        let (Some(plan), Some(hash)) = (document.plan, document.hash) else {
            return Err(DeployError::Rejected(document.problems));
        };
        let mut row = DefinitionRow {
            hash,
            workflow: plan.workflow.clone(),
            version: plan.version.clone(),
            source: source.to_owned(),
            created_at: now,
            actor: String::new(),
        };
        if let Err(existing) = self.store.put_definition(&row).await? {
            let (workflow, version) = (row.workflow.clone(), row.version.clone());
            if !draft {
                return Err(DeployError::VersionExists { workflow, version, existing });
            }
            row.version = format!("{version}+{}", &hash.to_string()[..8]);
            if let Err(existing) = self.store.put_definition(&row).await? {
                let version = row.version;
                return Err(DeployError::VersionExists { workflow, version, existing });
            }
        }
        self.make_active(&row).await?;
        self.remember(&row, &plan);
        // Nobody may be listening.
        let _ = self.deployments.send(row.workflow.clone());
        let problems = document.problems;
        Ok(Deployed { workflow: row.workflow, version: row.version, hash, plan, problems })
    }

    /// Makes a version the one that new runs take.
    pub async fn activate(&self, workflow: &str, version: &str) -> Result<Arc<Plan>, StartError> {
        let plan = self.find(workflow, Some(version)).await?;
        let rows = self.store.definitions(Some(workflow)).await?;
        if let Some(row) = rows.iter().find(|it| it.version == version) {
            self.make_active(row).await?;
            self.remember(row, &plan);
            // Nobody may be listening.
            let _ = self.deployments.send(workflow.to_owned());
        }
        Ok(plan)
    }

    /// Keeps which version is active, where the order of the store does not say so.
    async fn make_active(&self, row: &DefinitionRow) -> Result<(), surefoot_store::Error> {
        let rows = versions(&*self.store, Some(&row.workflow)).await?;
        if rows.first().is_some_and(|it| it.hash == row.hash) {
            return Ok(());
        }
        let body = row.hash.to_string().into_bytes();
        let write = ItemWrite::put(ACTIVE, &row.workflow, Expect::Anything, body);
        self.store.write_items(vec![write]).await.map(drop)
    }

    fn remember(&self, row: &DefinitionRow, plan: &Arc<Plan>) {
        let mut names = self.names.lock().expect("nobody panics while holding the lock");
        names.insert((row.workflow.clone(), None), row.hash);
        names.insert((row.workflow.clone(), Some(row.version.clone())), row.hash);
        drop(names);
        self.keep(row.hash, plan);
    }

    fn keep(&self, hash: Digest, plan: &Arc<Plan>) {
        let mut plans = self.plans.lock().expect("nobody panics while holding the lock");
        plans.insert(hash, plan.clone());
    }

    /// Returns the plan of a version, or of the active one.
    pub async fn find(
        &self,
        workflow: &str,
        version: Option<&str>,
    ) -> Result<Arc<Plan>, StartError> {
        let name = (workflow.to_owned(), version.map(str::to_owned));
        let known =
            self.names.lock().expect("nobody panics while holding the lock").get(&name).copied();
        if let Some(hash) = known {
            return self.plan(hash, workflow).await;
        }
        let rows = versions(&*self.store, Some(workflow)).await?;
        if rows.is_empty() {
            let known = self.store.definitions(None).await?;
            let known = known.into_iter().map(|it| it.workflow).collect();
            return Err(StartError::UnknownWorkflow { name: workflow.to_owned(), known });
        }
        let row = match version {
            None => rows.first(),
            Some(version) => rows.iter().find(|it| it.version == version),
        };
        let Some(row) = row else {
            return Err(StartError::UnknownVersion {
                workflow: workflow.to_owned(),
                version: version.unwrap_or_default().to_owned(),
                known: rows.into_iter().map(|it| it.version).collect(),
            });
        };
        self.names.lock().expect("nobody panics while holding the lock").insert(name, row.hash);
        self.make(row)
    }

    /// Returns the plan of a content.
    pub async fn plan(&self, hash: Digest, workflow: &str) -> Result<Arc<Plan>, StartError> {
        let known =
            self.plans.lock().expect("nobody panics while holding the lock").get(&hash).cloned();
        if let Some(plan) = known {
            return Ok(plan);
        }
        let row = self.store.definition(hash).await?.ok_or_else(|| StartError::Definition {
            workflow: workflow.to_owned(),
            reason: format!("definition {hash} is not in the store"),
        })?;
        self.make(&row)
    }

    fn make(&self, row: &DefinitionRow) -> Result<Arc<Plan>, StartError> {
        let plan = plan_of(row)
            .map_err(|reason| StartError::Definition { workflow: row.workflow.clone(), reason })?;
        self.keep(row.hash, &plan);
        Ok(plan)
    }
}

/// Makes the plan of a stored definition again. It passed the check once, so sizes and names that
/// were allowed then are allowed now.
pub(crate) fn plan_of(row: &DefinitionRow) -> Result<Arc<Plan>, String> {
    let context = CheckContext { large: true, proved_before: true, ..CheckContext::default() };
    let mut documents = check::check_source(row.source.as_bytes(), &context);
    let document = documents.pop().ok_or("its source is empty")?;
    document.plan.ok_or_else(|| first(&document.problems))
}
