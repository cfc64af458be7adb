//! Approvals that nobody decides: further people are asked, one time after the other.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use serde_json::Value;
use support::lab::{Lab, Move};
use surefoot_core::run::{Command, RunStatus};

fn ask(lab: &mut Lab, command: Command) -> Result<(), String> {
    lab.make(&Move::Ask(command)).map(drop)
}

fn vote(group: &str) -> Command {
    let (data, groups) = (Value::Null, vec![group.to_owned()]);
    Command::Vote { task: None, approve: true, comment: None, data, groups }
}

fn started(source: &str) -> Lab {
    let mut lab = Lab::new(source, 9);
    ask(&mut lab, Command::Admit).unwrap();
    lab
}

#[test]
fn an_approval_that_nobody_decides_escalates() {
    let source = "
id: a
tasks:
  ask:
    uses: approval
    with:
      groups: [shift]
      escalate: [{after: 2h, users: [zoe]}, {after: 1h, groups: [plant]}]
      timeout: 3h
      on_timeout: reject
";
    let mut lab = started(source);
    let task = lab.run().find("ask").unwrap();
    let why = |lab: &Lab| lab.run().why(task, lab.state().last_at).why;
    assert_eq!(why(&lab), "waits for the approval of shift, plant in 1h, at most for another 3h");
    assert!(ask(&mut lab, vote("plant")).unwrap_err().contains("may not decide"));
    for expected in [
        "waits for the approval of shift, plant, zoe in 1h, at most for another 2h",
        "waits for the approval of zoe, shift, plant, at most for another 1h",
    ] {
        // Times of people go on while the run is paused.
        ask(&mut lab, Command::Pause).unwrap();
        lab.make(&Move::Time).unwrap();
        let state = lab.state().clone();
        ask(&mut lab, Command::Tick).unwrap();
        assert_eq!(lab.state(), &state, "once");
        ask(&mut lab, Command::Resume).unwrap();
        assert_eq!(why(&lab), expected);
        lab = lab.fork();
        assert_eq!(why(&lab), expected, "also after a reload");
    }
    let mut late = lab.fork();
    ask(&mut lab, vote("plant")).unwrap();
    assert_eq!(lab.status(), RunStatus::Completed);
    late.make(&Move::Time).unwrap();
    assert_eq!(late.status(), RunStatus::Failed, "the time-out stays where it was");
}

#[test]
fn an_escalation_of_what_is_for_everybody_shuts_nobody_out() {
    let source =
        "{id: a, tasks: {ask: {uses: approval, with: {escalate: [{after: 1h, users: [zoe]}]}}}}";
    let mut lab = started(source);
    lab.make(&Move::Time).unwrap();
    ask(&mut lab, vote("any")).unwrap();
    assert_eq!(lab.status(), RunStatus::Completed);
}
