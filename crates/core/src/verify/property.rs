//! What the verifier asks of a definition.

use serde::{Deserialize, Serialize};

/// A property, in the order in which proofs are listed. Its code has a page under `docs/errors/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Property {
    /// From every state that a run can get into, it can end.
    OptionToComplete,
    /// When a run has ended, nothing of it is left running.
    ProperCompletion,
    /// No task is started twice where once is meant.
    OnceOnly,
    /// Every task and state can run.
    Reachability,
    /// No loop goes on without a task, an event or a time.
    NoHotLoop,
    /// Every loop is bounded, or can be left.
    Termination,
    /// Everything that is waited for can come, or has a time-out.
    Liveness,
    /// No failure is hidden in a run that counts as completed.
    Failures,
    /// No join is constant.
    Joins,
    /// Some transition is open when the work of a state is done.
    Exhaustive,
    /// At most one guard of a list is true.
    Overlap,
    /// Every guard can be true, and can be false.
    Constant,
    /// No guard fails.
    GuardErrors,
    /// An output is read only where its task completed.
    Assigned,
    /// Tasks that may run in parallel do not use the same thing, one of them writing.
    Races,
    /// Nobody waits for a slot that its own holder waits behind.
    Locks,
    /// What is retried may be repeated.
    RetrySafety,
    /// What was done is undone when the run fails.
    Saga,
    /// What undoes a task has what it needs.
    Compensation,
    /// Time-outs can be reached before the ones around them.
    Deadlines,
    /// What a cancellation cuts off is cleaned up.
    Cancellation,
    /// No secret gets where it is kept or shown.
    Secrets,
    /// No workflow starts itself.
    Recursion,
    /// Runs of an older version can go on with this one.
    Upgrade,
}

impl Property {
    #[rustfmt::skip]
    const TABLE: [(Property, &'static str, &'static str); 24] = [
        (Property::OptionToComplete, "SF2101", "every run can end"),
        (Property::ProperCompletion, "SF2102", "nothing is left when a run has ended"),
        (Property::OnceOnly, "SF2103", "nothing is started twice"),
        (Property::Reachability, "SF2104", "every task and state can run"),
        (Property::NoHotLoop, "SF2105", "every loop waits for something"),
        (Property::Termination, "SF2106", "every loop ends, or can be left"),
        (Property::Liveness, "SF2107", "whatever is waited for comes, or times out"),
        (Property::Failures, "SF2108", "no failure is hidden"),
        (Property::Joins, "SF2109", "every join can go either way"),
        (Property::Exhaustive, "SF2201", "some transition is always open"),
        (Property::Overlap, "SF2202", "no two guards are true at once"),
        (Property::Constant, "SF2203", "no condition is constant"),
        (Property::GuardErrors, "SF2204", "no condition fails"),
        (Property::Assigned, "SF2205", "outputs are read only where there are some"),
        (Property::Races, "SF2206", "parallel tasks do not interfere"),
        (Property::Locks, "SF2301", "nobody waits for itself"),
        (Property::RetrySafety, "SF2401", "what is retried may be repeated"),
        (Property::Saga, "SF2402", "what was done is undone on failure"),
        (Property::Compensation, "SF2403", "what undoes a task has what it needs"),
        (Property::Deadlines, "SF2404", "time-outs fit into those around them"),
        (Property::Cancellation, "SF2405", "what is cut off is cleaned up"),
        (Property::Secrets, "SF2406", "no secret is kept or shown"),
        (Property::Recursion, "SF2502", "no workflow starts itself"),
        (Property::Upgrade, "SF2601", "running runs can follow"),
    ];

    /// All properties, in their order.
    pub fn all() -> impl Iterator<Item = Property> {
        Property::TABLE.iter().map(|it| it.0)
    }

    /// Such as `SF2205`.
    pub fn code(self) -> &'static str {
        Property::TABLE[self as usize].1
    }

    /// What holds where the property is proved.
    pub fn title(self) -> &'static str {
        Property::TABLE[self as usize].2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_properties() {
        for (at, (property, ..)) in Property::TABLE.iter().enumerate() {
            assert_eq!(*property as usize, at);
        }
    }
}
