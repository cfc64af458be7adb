//! What may be typed about schedules.

use clap::{Args, Subcommand};

/// Runs that the clock starts: the triggers of definitions, and others.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  surefoot schedule next --cron '0 2 * * *' --tz Europe/London --from 2027-03-27"
)]
pub struct Schedule {
    #[command(subcommand)]
    pub action: ScheduleAction,
}

#[derive(Debug, Subcommand)]
pub enum ScheduleAction {
    /// Lists schedules.
    #[command(visible_alias = "list")]
    Ls {
        /// Only those of this workflow.
        #[arg(long, value_name = "ID")]
        workflow: Option<String>,
    },
    /// Makes a schedule, or changes it.
    Add(AddSchedule),
    /// Removes a schedule; runs that it started go on.
    Rm { id: String },
    /// Shows a schedule and what it has done.
    Show { id: String },
    /// Stops a schedule from starting anything.
    Pause { id: String },
    /// Goes on from now; what passed meanwhile is skipped.
    Resume { id: String },
    /// Starts a run now, whatever the calendar says.
    Trigger { id: String },
    /// Starts the runs of slots that have passed.
    Backfill {
        id: String,
        /// The first instant, such as 2027-01-01T00:00:00Z.
        #[arg(long, value_name = "INSTANT")]
        from: String,
        /// The instant after the last one.
        #[arg(long, value_name = "INSTANT")]
        to: String,
        /// Says which slots these are, and starts nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Says when runs start next. Needs no store and no server for a file or for --cron.
    Next(NextSlots),
}

#[derive(Debug, Args)]
pub struct AddSchedule {
    pub id: String,
    pub workflow: String,
    #[command(flatten)]
    pub when: When,
    /// Once, at an instant such as 2027-01-01T00:00:00Z.
    #[arg(long, value_name = "INSTANT", conflicts_with_all = ["cron", "every"])]
    pub at: Option<String>,
    /// What becomes of slots that were missed: none, latest or all.
    #[arg(long, value_name = "POLICY")]
    pub catch_up: Option<String>,
    /// Missed slots that are older are not caught up.
    #[arg(long, value_name = "DURATION")]
    pub window: Option<String>,
    /// What becomes of a slot while a run goes on: skip, queue, cancel_running or allow.
    #[arg(long, value_name = "POLICY")]
    pub overlap: Option<String>,
    /// Each slot is late by less than this, always by the same.
    #[arg(long, value_name = "DURATION")]
    pub jitter: Option<String>,
    /// JSON, @FILE, or - for standard input; with expressions over `event` inside.
    #[arg(long, value_name = "JSON")]
    pub input: Option<String>,
    /// Begins paused.
    #[arg(long)]
    pub paused: bool,
}

#[derive(Debug, Args)]
pub struct When {
    /// A cron expression of five fields, or six with seconds first.
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "every")]
    pub cron: Option<String>,
    /// The time zone of the cron expression; UTC if none is named.
    #[arg(long, visible_alias = "timezone", value_name = "ZONE", requires = "cron")]
    pub tz: Option<String>,
    /// A duration such as 10s.
    #[arg(long, value_name = "DURATION")]
    pub every: Option<String>,
}

#[derive(Debug, Args)]
pub struct NextSlots {
    /// A schedule, or a file whose triggers are meant.
    #[arg(required_unless_present_any = ["cron", "every"], conflicts_with_all = ["cron", "every"])]
    pub what: Option<String>,
    #[command(flatten)]
    pub when: When,
    /// How many.
    #[arg(short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub count: u16,
    /// Where to begin: an instant, or a day in the time zone; now if nothing is said.
    #[arg(long, value_name = "INSTANT")]
    pub from: Option<String>,
}
