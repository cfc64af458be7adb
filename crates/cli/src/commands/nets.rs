//! `surefoot check` and `surefoot convert` for what others draw: BPMN 2.0 and PNML.

use std::path::Path;

use surefoot::core::check::CheckedDocument;
use surefoot::core::source::{Problem, Span};
use surefoot_net::{Defect, File, Limits, Net, Part, Verdict, structure};

use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::input;
use crate::project::Source;

const ENDINGS: [&str; 2] = ["bpmn", "pnml"];
/// Steps of a run that are shown; of a longer one the last.
const STEPS_MAX: usize = 40;

/// A file that was checked, and what was proved of it.
pub struct Checked {
    pub source: Source,
    pub proved: Vec<String>,
}

/// Whether a file is for this module, by its name.
pub fn is_net(path: &Path) -> bool {
    path.extension().is_some_and(|it| ENDINGS.iter().any(|ending| it.eq_ignore_ascii_case(ending)))
}

/// Checks a file. What is wrong with it is drawn like the problems of a definition.
pub fn check(path: &Path) -> Result<Checked> {
    let bytes = input::read(path)?;
    let lines = Lines::of(&bytes);
    let (mut problems, mut proved) = (Vec::new(), Vec::new());
    match surefoot_net::read(&bytes) {
        Err(found) => problems.extend(found.iter().map(|it| lines.error(it))),
        Ok(file) => {
            problems.extend(file.warnings.iter().map(|it| lines.warning(it)));
            for part in &file.parts {
                check_part(part, &lines, &mut problems, &mut proved);
            }
        }
    }
    let document = CheckedDocument {
        definition: None,
        plan: None,
        draft: None,
        problems,
        proofs: None,
        hash: None,
    };
    let source = Source { path: path.to_owned(), bytes, documents: vec![document] };
    Ok(Checked { source, proved })
}

fn check_part(part: &Part, lines: &Lines, problems: &mut Vec<Problem>, proved: &mut Vec<String>) {
    let net = match &part.net {
        Ok(net) => net,
        Err(undecided) => return problems.push(lines.warning(undecided)),
    };
    match surefoot_net::check(net, &Limits::CHECK) {
        Verdict::Sound(_) => proved.push(format!(
            "`{}`: every case can end, ends as a whole, runs nothing twice at once, and leaves nothing unused",
            part.name
        )),
        Verdict::Unsound(defects) => {
            problems.extend(defects.iter().map(|it| defect(it, net, part, lines)));
        }
        Verdict::Unknown(reason) => {
            let message = format!("`{}` is not decided: {reason}", part.name);
            let help = "check its parts one by one, or remove what is not free-choice";
            problems.push(Problem::warning(reason.code(), lines.span(part.line), message).help(help));
        }
    }
}

/// A defect, with each step of its run at the line where it stands.
fn defect(defect: &Defect, net: &Net, part: &Part, lines: &Lines) -> Problem {
    let steps = defect.run().map_or(&[][..], |it| &it.transitions);
    let dead = match defect {
        Defect::DeadTransitions(dead) => dead.first(),
        _ => None,
    };
    let last = steps.last().or(dead).map_or(part.line, |it| net.transition(*it).line);
    let message = format!("in `{}`, {}", part.name, defect.message(net));
    let mut problem = Problem::error(defect.code(), lines.span(last), message);
    if steps.is_empty() {
        return problem;
    }
    problem = problem.label("the run ends here");
    let skipped = steps.len().saturating_sub(STEPS_MAX);
    for (at, step) in steps.iter().enumerate().skip(skipped) {
        let label = net.transition(*step);
        problem =
            problem.related(lines.span(label.line), format!("step {}: {}", at + 1, label.name));
    }
    problem.help(format!("the {} steps of a run that shows it are marked", steps.len()))
}

/// Converts the only process of a BPMN file.
pub fn convert(path: &Path) -> Result<structure::Converted> {
    let bytes = input::read(path)?;
    let shown = path.display();
    let told = |problems: &[surefoot_net::Problem]| {
        let lines: Vec<String> =
            problems.iter().map(|it| format!("{shown}:{it} [{}]", it.code)).collect();
        let help = problems.first().map_or_else(String::new, |it| format!("{}.", it.help));
        let message = format!("`{shown}` cannot be converted:\n  {}", lines.join("\n  "));
        Failure::new(Exit::Usage, "SF5061", message).hint(help)
    };
    let File { model, .. } = surefoot_net::read(&bytes).map_err(|problems| told(&problems))?;
    let Some(model) = model else {
        let message = format!("`{shown}` is a net, which has no tasks that a definition could run");
        return Err(Failure::new(Exit::Usage, "SF5061", message)
            .hint("Nets can be checked; BPMN can be converted too."));
    };
    structure::convert(&model).map_err(|problem| told(&[problem]))
}

/// Where the lines of a file begin.
struct Lines {
    starts: Vec<usize>,
    length: usize,
}

impl Lines {
    fn of(bytes: &[u8]) -> Lines {
        let breaks = bytes.iter().enumerate().filter(|(_, it)| **it == b'\n').map(|it| it.0 + 1);
        Lines { starts: std::iter::once(0).chain(breaks).collect(), length: bytes.len() }
    }

    /// The whole of a line.
    fn span(&self, line: u32) -> Span {
        let at = (line as usize).saturating_sub(1).min(self.starts.len() - 1);
        let end = self.starts.get(at + 1).map_or(self.length, |it| it - 1);
        Span { start: self.starts[at] as u32, end: end as u32 }
    }

    fn place(&self, problem: &surefoot_net::Problem) -> Span {
        let line = self.span(problem.line);
        let start = (line.start + problem.column.saturating_sub(1)).min(line.end);
        Span { start, end: line.end }
    }

    fn error(&self, problem: &surefoot_net::Problem) -> Problem {
        Problem::error(problem.code, self.place(problem), &*problem.message).help(&*problem.help)
    }

    fn warning(&self, problem: &surefoot_net::Problem) -> Problem {
        Problem::warning(problem.code, self.place(problem), &*problem.message).help(&*problem.help)
    }
}
