//! `--mock`: tasks that are answered instead of executed.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use surefoot::core::plan::{Plan, WorkPlan};
use surefoot::{Context, EngineBuilder, Kind, TaskError};

use crate::exit::Exit;
use crate::failure::{Failure, Result, suggestion};
use crate::input;

/// Kinds that the engine decides itself: nothing is executed that could be answered instead.
const DECIDED: [&str; 7] = ["transform", "wait", "signal", "approval", "workflow", "log", "fail"];

/// Outputs by the path of a task, or by the name of a kind or handler.
#[derive(Clone, Default)]
pub struct Mocks(BTreeMap<String, Value>);

impl Mocks {
    pub fn read(all: &[String]) -> Result<Mocks> {
        let mut mocks = BTreeMap::new();
        for text in all {
            let (name, value) = input::pair(text, "--mock")?;
            mocks.insert(name.to_owned(), input::parse_or_text(value));
        }
        Ok(Mocks(mocks))
    }

    /// Puts the mocks in front of what they stand for.
    pub fn apply(
        &self,
        plan: &Plan,
        config: &surefoot::Config,
        mut builder: EngineBuilder,
    ) -> Result<EngineBuilder> {
        let paths = plan.paths();
        let kind = |it: &WorkPlan| match it {
            WorkPlan::Uses { kind, .. } => Some(kind.to_string()),
            WorkPlan::Nothing | WorkPlan::Composite(_) => None,
        };
        let kinds: Vec<Option<String>> = plan.nodes.iter().map(|it| kind(&it.work)).collect();
        let mut wanted = Vec::new();
        for name in self.0.keys() {
            let by_path = paths.iter().position(|it| it == name).and_then(|it| kinds[it].clone());
            let by_kind = kinds.iter().flatten().find(|it| *it == name).cloned();
            let Some(kind) = by_path.or(by_kind) else {
                let known: Vec<String> =
                    paths.iter().cloned().chain(kinds.iter().flatten().cloned()).collect();
                return Err(Failure::new(
                    Exit::Usage,
                    "SF5046",
                    format!("--mock: there is no task `{name}`"),
                )
                .hint(suggestion(name, &known, "there are").unwrap_or_default()));
            };
            if DECIDED.contains(&kind.as_str()) {
                let message =
                    format!("--mock: `{name}` uses `{kind}`, which the engine decides itself");
                return Err(Failure::new(Exit::Usage, "SF5046", message)
                    .hint("Answer it as it runs: `surefoot signal`, `surefoot task approve`, `surefoot set-result`."));
            }
            wanted.push(kind);
        }
        wanted.sort();
        wanted.dedup();
        for name in wanted {
            let real = surefoot::kinds::built_in(config).into_iter().find(|it| it.0 == name);
            let kind =
                Mocked { mocks: self.clone(), kind: name.clone(), real: real.map(|it| it.1) };
            builder = builder.kind(&name, Arc::new(kind));
        }
        Ok(builder)
    }
}

struct Mocked {
    mocks: Mocks,
    kind: String,
    real: Option<Arc<dyn Kind>>,
}

#[async_trait]
impl Kind for Mocked {
    async fn run(&self, context: &Context, with: Value) -> std::result::Result<Value, TaskError> {
        let task = context.task.as_str();
        // An item or a later visit is answered like the task: `reserve[3].take` as `reserve.take`.
        let names = task.split('.').map(|it| it.split(['[', '#']).next().unwrap_or(it));
        let bare = names.collect::<Vec<_>>().join(".");
        let answer = [task, &bare, &self.kind].into_iter().find_map(|it| self.mocks.0.get(it));
        match (answer, &self.real) {
            (Some(output), _) => Ok(output.clone()),
            (None, Some(real)) => real.run(context, with).await,
            (None, None) => {
                Err(TaskError::fatal("no_handler", format!("nothing here can run `{}`", self.kind)))
            }
        }
    }
}
