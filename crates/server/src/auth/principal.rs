//! A caller whose identity is known.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use surefoot::By;
pub(crate) use surefoot::core::ids::namespace;
pub use surefoot_client::wire::Role;

use crate::api::Access;
use crate::problem::Problem;

fn allows(role: Role, access: Access) -> bool {
    match access {
        Access::Public => true,
        Access::Read => role >= Role::Viewer,
        Access::Operate => role >= Role::Operator,
        Access::Deploy => role >= Role::Deployer,
        Access::Admin => role == Role::Admin,
        Access::Worker => matches!(role, Role::Worker | Role::Admin),
        Access::Attend => role == Role::Worker || role >= Role::Operator,
    }
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Worker => "worker",
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Deployer => "deployer",
        Role::Admin => "admin",
    }
}

/// Who asks, and what they may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// As the history and the audit log name them.
    pub actor: String,
    pub role: Role,
    /// All, if nothing is said.
    pub namespaces: Option<BTreeSet<String>>,
    /// Groups whose approvals they may decide; nothing means that they may say so themselves,
    /// which is so only where nobody is authenticated.
    pub groups: Option<Vec<String>>,
    /// What a worker may offer; all, if nothing is said.
    pub capabilities: Option<BTreeSet<String>>,
    /// Why they do what they do with this request, for the audit log.
    pub(crate) said: Arc<OnceLock<String>>,
}

impl Principal {
    /// Whoever calls where nothing is protected: somebody on this machine.
    pub fn local() -> Principal {
        Principal {
            actor: "local".to_owned(),
            role: Role::Admin,
            namespaces: None,
            groups: None,
            capabilities: None,
            said: Arc::default(),
        }
    }

    /// Refuses what the role does not include.
    pub(crate) fn require(&self, access: Access) -> Result<(), Problem> {
        if allows(self.role, access) {
            return Ok(());
        }
        let needed = match access {
            Access::Public | Access::Read => Role::Viewer,
            Access::Operate | Access::Attend => Role::Operator,
            Access::Deploy => Role::Deployer,
            Access::Admin => Role::Admin,
            Access::Worker => Role::Worker,
        };
        let (needed, own) = (name(needed), name(self.role));
        Err(self
            .forbidden(&format!("it needs the role {needed}, yours is {own}"))
            .hint("Ask an admin for a token of that role."))
    }

    /// Says that the caller may not do what they asked for, and why.
    pub(crate) fn forbidden(&self, why: &str) -> Problem {
        let title = format!("`{}` may not do this", self.actor);
        Problem::new(StatusCode::FORBIDDEN, "SF4011", title).detail(why)
    }

    /// Whether the caller may know of a workflow. Its namespace is what stands before the first dot
    /// of its id.
    pub fn sees(&self, workflow: &str) -> bool {
        let namespace = namespace(workflow);
        self.namespaces.as_ref().is_none_or(|it| it.contains(namespace))
    }

    /// Refuses a workflow of a foreign namespace as if it did not exist.
    pub(crate) fn must_see(&self, workflow: &str) -> Result<(), Problem> {
        match self.sees(workflow) {
            true => Ok(()),
            false => Err(Problem::not_found("workflow", workflow)),
        }
    }

    /// Returns how the history names them.
    pub(crate) fn by(&self, reason: Option<String>) -> By {
        if let Some(reason) = &reason {
            // The first reason of a request stays.
            let _ = self.said.set(reason.clone());
        }
        By { actor: self.actor.clone(), reason }
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Principal, Problem> {
        let principal = parts.extensions.get::<Principal>().cloned();
        principal.ok_or_else(|| Problem::internal("a public route asked who is calling"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_include_those_before_them() {
        let table = [
            (Role::Worker, [true, false, false, false, false, true, true]),
            (Role::Viewer, [true, true, false, false, false, false, false]),
            (Role::Operator, [true, true, true, false, false, false, true]),
            (Role::Deployer, [true, true, true, true, false, false, true]),
            (Role::Admin, [true, true, true, true, true, true, true]),
        ];
        let accesses = [
            Access::Public,
            Access::Read,
            Access::Operate,
            Access::Deploy,
            Access::Admin,
            Access::Worker,
            Access::Attend,
        ];
        for (role, expected) in table {
            assert_eq!(accesses.map(|it| allows(role, it)), expected, "{role:?}");
        }
    }

    #[test]
    fn a_namespace_is_what_stands_before_the_first_dot() {
        let namespaces = Some(["billing".to_owned()].into());
        let principal = Principal { namespaces, ..Principal::local() };
        assert!(principal.sees("billing.invoice"));
        assert!(!principal.sees("billingx.invoice"));
        assert!(!principal.sees("billing"), "it is in `default`");
        assert!(Principal::local().sees("anything"));
    }
}
