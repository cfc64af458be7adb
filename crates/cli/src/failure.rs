//! What went wrong, as it is told on standard error: a code with a page, a sentence, and what to
//! do next.

use std::io::{ErrorKind, Write as _};

use anstream::ColorChoice;
use surefoot::core::run::Refusal;
use surefoot::core::source::{self, Suggestion};
use surefoot::inspect::{InspectError, ResolveError};
use surefoot::secrets::VaultError;
use surefoot::store;
use surefoot::{CommandError, OpenError, StartError};

use crate::exit::Exit;
use crate::output::{harmless, style};

#[derive(Debug)]
pub struct Failure {
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
    pub exit: Exit,
    /// Nobody reads any more: say nothing.
    is_silent: bool,
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), hint: None, exit, is_silent: false }
    }

    pub fn hint(self, hint: impl Into<String>) -> Failure {
        Failure { hint: Some(hint.into()), ..self }
    }

    /// What was said already; only the exit code is left.
    pub fn told(exit: Exit) -> Failure {
        Failure { is_silent: true, ..Failure::new(exit, "", "") }
    }

    pub fn print(&self, colour: ColorChoice) {
        if self.is_silent {
            return;
        }
        let mut err = anstream::AutoStream::new(std::io::stderr(), colour);
        let (error, plain) = (style::ERROR.render(), style::ERROR.render_reset());
        // Nothing can be done about a terminal that is gone.
        let _ =
            writeln!(err, "{error}error[{}]{plain}: {}", self.code, harmless::lines(&self.message));
        if let Some(hint) = &self.hint {
            for line in hint.lines() {
                let (help, plain) = (style::HELP.render(), style::HELP.render_reset());
                let _ = writeln!(err, "  {help}hint{plain}: {}", harmless::line(line));
            }
        }
    }
}

/// Says "did you mean", or lists what there is.
pub fn suggestion(name: &str, known: &[String], what: &str) -> Option<String> {
    match source::suggestion(name, known) {
        Suggestion::Near(near) => Some(format!("did you mean `{near}`?")),
        Suggestion::Listed(names) => Some(format!("{what}: {names}")),
        Suggestion::Nothing => None,
    }
}

/// Standard output is the only place that is written to without naming it.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        if error.kind() == ErrorKind::BrokenPipe {
            return Failure::told(Exit::Ok);
        }
        Failure::new(Exit::Bug, "SF5001", format!("standard output cannot be written: {error}"))
            .hint("Check the disk or the program that reads the output.")
    }
}

impl From<surefoot_client::Error> for Failure {
    fn from(error: surefoot_client::Error) -> Failure {
        use surefoot_client::Error;
        let message = error.to_string();
        match error {
            Error::Unreachable { .. } => Failure::new(Exit::Unreachable, "SF5093", message)
                .hint("Start one with `surefoot dev`, or name another with --server."),
            Error::Unexpected { .. } => Failure::new(Exit::Unreachable, "SF5094", message)
                .hint("Check the address and the version of the server: GET /healthz."),
            Error::Url(_) => Failure::new(Exit::Usage, "SF5022", message)
                .hint("See where it comes from with `surefoot config explain server_url`."),
            Error::Refused(problem) => {
                let exit = match problem.status {
                    401 | 403 => Exit::Auth,
                    404 => Exit::NotFound,
                    409 | 412 => Exit::Conflict,
                    422 if problem.code == "SF4022" => Exit::Rejected,
                    429 | 500.. => Exit::Unreachable,
                    _ => Exit::Usage,
                };
                let faults: String = problem
                    .errors
                    .iter()
                    .map(|it| {
                        format!("\n{}", harmless::line(&format!("{} {}", it.pointer, it.message)))
                    })
                    .collect();
                // The code is the server's own; its page is known here too.
                let code = surefoot::core::source::codes::find(&problem.code);
                let code = code.map_or("SF5094", |it| it.code);
                let failure =
                    Failure::new(exit, code, format!("{}{faults}", harmless::line(&message)));
                match problem.hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
        }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Failure {
        let message = error.to_string();
        let (exit, code, hint) = match error {
            store::Error::Locked { .. } => (
                Exit::Conflict,
                "SF5011",
                "One process at a time runs the runs of a store. Wait for it, stop it, or name another store with --store.".to_owned(),
            ),
            store::Error::Unusable { hint, .. } => (Exit::Unreachable, "SF5012", hint),
            store::Error::Unavailable { hint, .. } => (Exit::Unreachable, "SF5013", hint),
            store::Error::Forbidden { is_known: false, hint, .. } => (Exit::Auth, "SF4010", hint),
            store::Error::Forbidden { is_known: true, hint, .. } => (Exit::Auth, "SF4011", hint),
            store::Error::TooLarge { .. } => {
                (Exit::Usage, "SF5038", "Make it smaller, or do it in parts.".to_owned())
            }
            store::Error::Damaged { .. } => (
                Exit::Unreachable,
                "SF5014",
                "Run `surefoot store verify` for all that is wrong, then restore a backup.".to_owned(),
            ),
            store::Error::Unknown { .. } | store::Error::Fenced { .. } => (
                Exit::Unreachable,
                "SF5015",
                "Nothing is lost: run the same command again, the store is read afresh.".to_owned(),
            ),
        };
        Failure::new(exit, code, message).hint(hint)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        match error {
            OpenError::Store(error) => error.into(),
            OpenError::Secrets(VaultError::Kept(error)) => error.into(),
            OpenError::Url(_)
            | OpenError::Zero(_)
            | OpenError::Secrets(VaultError::File { .. })
            | OpenError::Rate { .. } => Failure::new(Exit::Usage, "SF5022", error.to_string())
                .hint("See where the value comes from with `surefoot config show`."),
        }
    }
}

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Failure {
        let message = error.to_string();
        match error {
            ResolveError::NotFound { .. } => Failure::new(Exit::NotFound, "SF5031", message)
                .hint("List runs with `surefoot ls`. An id may be shortened; @latest, @latest-failed and key:KEY work too."),
            ResolveError::Ambiguous { candidates, .. } => {
                let ids: Vec<String> = candidates.iter().map(ToString::to_string).collect();
                Failure::new(Exit::Usage, "SF5032", message)
                    .hint(format!("Write more of it. Matching: {}", ids.join(", ")))
            }
            ResolveError::Store(error) => error.into(),
        }
    }
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Failure {
        let message = error.to_string();
        match error {
            InspectError::NotFound(_) => Failure::new(Exit::NotFound, "SF5031", message)
                .hint("List runs with `surefoot ls`."),
            InspectError::Unreadable { .. } => Failure::new(Exit::Unreachable, "SF5014", message)
                .hint("Run `surefoot store verify` for all that is wrong."),
            InspectError::Store(error) => error.into(),
        }
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Failure {
        let message = error.to_string();
        match error {
            CommandError::Refused(refusal) => refusal.into(),
            CommandError::NotFound(run) => InspectError::NotFound(run).into(),
            CommandError::Store(error) => error.into(),
            CommandError::Unreadable { run, reason } => {
                InspectError::Unreadable { run, reason }.into()
            }
            CommandError::Stopping => {
                Failure::new(Exit::Conflict, "SF5033", message).hint("Run the command again.")
            }
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let message = refusal.to_string();
        match refusal {
            Refusal::Run { hint, .. } | Refusal::Task { hint, .. } => {
                let failure = Failure::new(Exit::Conflict, "SF5034", message);
                if hint.is_empty() { failure } else { failure.hint(hint) }
            }
            Refusal::NoTask { hint, .. } => {
                let failure = Failure::new(Exit::NotFound, "SF5035", message);
                if hint.is_empty() { failure } else { failure.hint(hint) }
            }
            Refusal::NotAvailable { name, available, .. } => {
                let failure = Failure::new(Exit::Conflict, "SF5036", message);
                match suggestion(&name, &available, "available now") {
                    Some(hint) => failure.hint(hint),
                    None => failure.hint("Nothing is waited for. See `surefoot show RUN --why`."),
                }
            }
            Refusal::Forbidden { .. } => Failure::new(Exit::Conflict, "SF5037", message)
                .hint("Say who decides with --as NAME and --group GROUP."),
            Refusal::Invalid { .. } | Refusal::Limit { .. } => {
                Failure::new(Exit::Usage, "SF5038", message)
                    .hint("Mend the data and send it again; nothing was changed.")
            }
            Refusal::Stale { .. } => Failure::new(Exit::Conflict, "SF5034", message),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        let message = error.to_string();
        match error {
            StartError::UnknownWorkflow { name, known } => {
                Failure::new(Exit::NotFound, "SF5041", message).hint(
                    suggestion(&name, &known, "there are").unwrap_or_else(|| {
                        "None was deployed to this store. Run a file first: `surefoot run FILE`."
                            .to_owned()
                    }),
                )
            }
            StartError::UnknownVersion { version, known, .. } => {
                Failure::new(Exit::NotFound, "SF5041", message)
                    .hint(suggestion(&version, &known, "there are").unwrap_or_default())
            }
            StartError::InvalidInput { .. } => Failure::new(Exit::Usage, "SF5042", message)
                .hint("Give fields with `-i name=value`, or all of it with `--input FILE`."),
            StartError::MissingHandlers { names, .. } => {
                Failure::new(Exit::Usage, "SF5043", message).hint(format!(
                    "Handlers live in programs that embed Surefoot. Try without: `--mock {}=null`.",
                    names.first().map_or("NAME", String::as_str)
                ))
            }
            StartError::KeyConflict { .. } => Failure::new(Exit::Conflict, "SF5044", message)
                .hint("Use another key, or look at the run that has it: `surefoot show key:KEY`."),
            StartError::Limit { .. } => Failure::new(Exit::Usage, "SF5038", message).hint(
                "Pass large data by reference, or raise the limit under [limits] in surefoot.toml.",
            ),
            StartError::ConcurrencyKey { .. } => Failure::new(Exit::Usage, "SF5042", message)
                .hint("The key is computed from the input; see `concurrency` in the definition."),
            StartError::Fork { .. } => Failure::new(Exit::Usage, "SF5035", message)
                .hint("See the tasks with `surefoot show RUN`."),
            StartError::Definition { .. } => Failure::new(Exit::Rejected, "SF5045", message)
                .hint("Deploy it again with this version of surefoot."),
            StartError::Store(error) => error.into(),
            StartError::Stopping => {
                Failure::new(Exit::Conflict, "SF5033", message).hint("Run the command again.")
            }
        }
    }
}
