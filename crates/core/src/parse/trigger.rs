//! What starts a run by itself.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::cron::{CronMistake, cron};
use super::fields::{Field, Fields};
use super::id::Alphabet;
use super::{Parser, keys};
use crate::definition::{CatchUp, Overlap, Spanned, Trigger, TriggerPolicy};
use crate::schedule::EVERY_MIN;
use crate::source::{Content, Problem, Span, nearest};
use crate::time::{Duration, Millis};

const TRIGGERS_MAX: usize = 100;
/// Secrets that one webhook may be signed with: the new one, and that which it replaces.
const WEBHOOK_SECRETS_MAX: usize = 2;

impl Parser {
    pub fn triggers(&mut self, field: Field<'_>) -> Vec<Spanned<Trigger>> {
        let items = self.list_or_one(field);
        if items.len() > TRIGGERS_MAX {
            let message = format!("{} triggers; the limit is {TRIGGERS_MAX}", items.len());
            let help = "one cron expression may list several times, such as `0 9,12,17 * * *`";
            self.report(Problem::error("SF1042", field.node.span, message).help(help));
        }
        items.into_iter().take(TRIGGERS_MAX).filter_map(|it| self.trigger(it)).collect()
    }

    fn trigger(&mut self, field: Field<'_>) -> Option<Spanned<Trigger>> {
        let expected = "a mapping with `cron`, `every`, `at`, `webhook` or `event`";
        let fields = self.fields(field, keys::TRIGGER, expected)?;
        let kinds: Vec<_> =
            keys::TRIGGER_KINDS.iter().filter_map(|kind| fields.key(kind)).collect();
        let Some(kind) = kinds.first() else {
            self.missing(
                fields.span,
                "this trigger does not say what it waits for".to_owned(),
                "add one of `cron`, `every`, `at`, `webhook` and `event`",
            );
            return None;
        };
        if let Some(second) = kinds.get(1) {
            self.exclusive(kind, second, "write two triggers: `triggers` is a list");
            return None;
        }
        self.check_trigger_keys(&kind.name, &fields);
        let value = fields.get(&kind.name)?;
        let trigger = match kind.name.as_str() {
            "cron" => self.cron(value, &fields),
            "every" => self.every(value, &fields),
            "at" => self.at(value, &fields),
            "webhook" => self.webhook(value, &fields),
            _ => self.event(value, &fields),
        };
        trigger.map(|it| Spanned::new(it, fields.span))
    }

    /// A key that has no meaning for this kind of trigger is a mistake, not a decoration.
    fn check_trigger_keys(&mut self, kind: &str, fields: &Fields<'_>) {
        let foreign = match kind {
            "cron" | "at" => None,
            "every" => fields.first_of(&["timezone"]),
            _ => fields.first_of(&["timezone"]).or(fields.first_of(keys::TRIGGER_POLICY)),
        };
        if let Some(key) = foreign {
            let message = format!("`{}` has no meaning for `{kind}`", key.name);
            self.report(Problem::error("SF1023", key.span, message).help("remove it"));
        }
    }

    fn cron(&mut self, field: Field<'_>, fields: &Fields<'_>) -> Option<Trigger> {
        let expression = self.string(field)?;
        if let Err(mistake) = cron(&expression.value) {
            self.report(cron_problem(&mistake, &expression));
        }
        let timezone =
            fields.get("timezone").and_then(|it| self.timezone(it)).map(|(name, _)| name);
        Some(Trigger::Cron { expression, timezone, policy: self.trigger_policy(fields) })
    }

    fn every(&mut self, field: Field<'_>, fields: &Fields<'_>) -> Option<Trigger> {
        let period = self.duration(field, EVERY_MIN)?;
        Some(Trigger::Every { period, policy: self.trigger_policy(fields) })
    }

    fn at(&mut self, field: Field<'_>, fields: &Fields<'_>) -> Option<Trigger> {
        let zone = fields.get("timezone").map(|it| self.timezone(it));
        let text = self.string(field)?;
        let instant = match (text.value.parse::<jiff::Timestamp>(), zone) {
            (Ok(instant), None) => instant,
            (Ok(instant), Some(_)) => {
                if let (Some(at), Some(key)) = (fields.key("at"), fields.key("timezone")) {
                    self.exclusive(
                        at,
                        key,
                        "the time names its offset already; remove one of the two",
                    );
                }
                instant
            }
            (Err(_), zone) => {
                let Ok(local) = text.value.parse::<DateTime>() else {
                    let message = format!("`at`: `{}` is not a time", text.value);
                    let help = "write RFC 3339 such as 2027-01-01T09:00:00Z, or a local time with `timezone`";
                    self.report(Problem::error("SF1038", text.span, message).help(help));
                    return None;
                };
                let Some(zone) = zone else {
                    let message = "`at` has neither an offset nor a `timezone`";
                    let help = "add `Z` for UTC, or `timezone: Europe/London` beside it";
                    self.report(Problem::error("SF1038", text.span, message).help(help));
                    return None;
                };
                let (name, zone) = zone?;
                self.local_instant(local, &name.value, zone, text.span)?
            }
        };
        let Ok(ms) = Millis::try_from(instant.as_millisecond()) else {
            let help = "write a time after 1970";
            self.report(Problem::error("SF1038", text.span, "`at` lies before 1970").help(help));
            return None;
        };
        let instant = Spanned::new(ms, text.span);
        Some(Trigger::At { instant, policy: self.trigger_policy(fields) })
    }

    /// Finds the instant of a local time, and warns where clocks skip or repeat it.
    fn local_instant(
        &mut self,
        local: DateTime,
        name: &str,
        zone: TimeZone,
        span: Span,
    ) -> Option<jiff::Timestamp> {
        let ambiguous = zone.to_ambiguous_timestamp(local);
        let offset = ambiguous.offset();
        let Ok(instant) = ambiguous.compatible() else {
            let message = format!("`at`: {local} in {name} is out of range");
            self.report(Problem::error("SF1038", span, message).help("write a nearer time"));
            return None;
        };
        let shown = instant.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        let message = match offset {
            AmbiguousOffset::Unambiguous { .. } => return Some(instant),
            AmbiguousOffset::Gap { .. } => {
                format!("{local} does not exist in {name}: clocks skip it; {shown} is taken")
            }
            AmbiguousOffset::Fold { .. } => {
                format!("{local} occurs twice in {name}: the first, {shown}, is taken")
            }
        };
        let help = format!("write `at: {shown}` without `timezone` to say which instant you mean");
        self.report(Problem::warning("SF1039", span, message).help(help));
        Some(instant)
    }

    fn timezone(&mut self, field: Field<'_>) -> Option<(Spanned<String>, TimeZone)> {
        let name = self.string(field)?;
        match jiff::tz::db().get(&name.value) {
            Ok(zone) => Some((name, zone)),
            Err(_) => {
                let known: Vec<String> =
                    jiff::tz::db().available().map(|it| it.to_string()).collect();
                let message = format!("`{}` is not a time zone", name.value);
                let problem = Problem::error("SF1037", name.span, message);
                self.report(match nearest(&name.value, known.iter().map(String::as_str)) {
                    Some(zone) => problem.help(format!("did you mean `{zone}`?")),
                    None => problem
                        .help("write a name of the IANA database, such as Europe/London or UTC"),
                });
                None
            }
        }
    }

    fn trigger_policy(&mut self, fields: &Fields<'_>) -> TriggerPolicy {
        let catch_up = fields.get("catch_up").and_then(|it| self.choice(it, &CATCH_UPS));
        let overlap = fields.get("overlap").and_then(|it| self.choice(it, &OVERLAPS));
        let window = fields.get("window").and_then(|it| self.duration(it, Duration(1)));
        let jitter = fields.get("jitter").and_then(|it| self.duration(it, Duration(0)));
        TriggerPolicy {
            catch_up: catch_up.map(|it| it.value).unwrap_or_default(),
            overlap: overlap.map(|it| it.value).unwrap_or_default(),
            window: window.map(|it| it.value),
            jitter: jitter.map(|it| it.value),
            input: fields.get("input").and_then(|it| self.template(it)),
        }
    }

    /// Reads a path, or a mapping of path and secret.
    fn webhook(&mut self, field: Field<'_>, outer: &Fields<'_>) -> Option<Trigger> {
        let input = outer.get("input").and_then(|it| self.template(it));
        if matches!(field.node.content, Content::String(_)) {
            let path = self.webhook_path(field)?;
            return Some(Trigger::Webhook { path, secrets: Vec::new(), input });
        }
        let fields = self.fields(field, keys::WEBHOOK, "a path, or a mapping with `path`")?;
        let secrets = fields.get("secret").map(|it| self.secret_names(it)).unwrap_or_default();
        let Some(path) = fields.get("path") else {
            self.missing(
                fields.span,
                "this webhook has no `path`".to_owned(),
                "add `path: my-hook`",
            );
            return None;
        };
        Some(Trigger::Webhook { path: self.webhook_path(path)?, secrets, input })
    }

    fn webhook_path(&mut self, field: Field<'_>) -> Option<Spanned<String>> {
        let path = self.name(field)?;
        let name = path.value.strip_prefix('/').unwrap_or(&path.value).to_owned();
        self.check_id(&name, "path of a webhook", Alphabet::Dotted, path.span);
        Some(Spanned::new(name, path.span))
    }

    /// Reads the name of a secret, or those of the new one and of the one that it replaces.
    fn secret_names(&mut self, field: Field<'_>) -> Vec<Spanned<String>> {
        let is_list = matches!(field.node.content, Content::List(_));
        let names = self.list_or_one(field);
        if is_list && !(1..=WEBHOOK_SECRETS_MAX).contains(&names.len()) {
            self.wrong_type(field, "the name of a secret, or a list of the new and the old one");
            return Vec::new();
        }
        names.into_iter().filter_map(|it| self.secret_name(it)).collect()
    }

    /// Reads the name of a secret: `hook_key` or `${{ secrets.hook_key }}`.
    fn secret_name(&mut self, field: Field<'_>) -> Option<Spanned<String>> {
        let text = self.name(field)?;
        let inner = text.value.strip_prefix("${{").and_then(|it| it.strip_suffix("}}"));
        let name = inner.unwrap_or(&text.value).trim();
        let name = name.strip_prefix("secrets.").unwrap_or(name).to_owned();
        self.check_id(&name, "name of a secret", Alphabet::Word, text.span);
        Some(Spanned::new(name, text.span))
    }

    /// Reads the type of an event, or a mapping of type, source and condition.
    fn event(&mut self, field: Field<'_>, outer: &Fields<'_>) -> Option<Trigger> {
        let input = outer.get("input").and_then(|it| self.template(it));
        if matches!(field.node.content, Content::String(_)) {
            let kind = self.name(field)?;
            return Some(Trigger::Event { kind, source: None, condition: None, input });
        }
        let fields = self.fields(field, keys::EVENT, "a type, or a mapping with `type`")?;
        let source = fields.get("source").and_then(|it| self.name(it));
        let condition = fields.get("if").and_then(|it| self.condition(it));
        let Some(kind) = fields.get("type") else {
            self.missing(
                fields.span,
                "this event has no `type`".to_owned(),
                "add `type: order.paid`",
            );
            return None;
        };
        Some(Trigger::Event { kind: self.name(kind)?, source, condition, input })
    }
}

fn cron_problem(mistake: &CronMistake, expression: &Spanned<String>) -> Problem {
    let (code, help) = match mistake {
        CronMistake::Fields { .. } => (
            "SF1034",
            "write minute, hour, day of month, month and day of week, such as `0 9 * * MON-FRI`",
        ),
        CronMistake::Field(_) => (
            "SF1035",
            "minutes are 0-59, hours 0-23, days 1-31, months 1-12, days of the week 0-7 or SUN-SAT",
        ),
        CronMistake::Never => ("SF1036", "choose a day that exists in this month"),
    };
    Problem::error(code, expression.span, format!("`{}`: {mistake}", expression.value)).help(help)
}

const CATCH_UPS: [(&str, CatchUp); 3] =
    [("none", CatchUp::None), ("latest", CatchUp::Latest), ("all", CatchUp::All)];

const OVERLAPS: [(&str, Overlap); 4] = [
    ("skip", Overlap::Skip),
    ("queue", Overlap::Queue),
    ("cancel_running", Overlap::CancelRunning),
    ("allow", Overlap::Allow),
];
