//! The codes of all problems, and the page that explains each. One entry a line.

/// What is known of a code.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Such as `SF1004`.
    pub code: &'static str,
    pub title: &'static str,
    /// Markdown.
    pub page: &'static str,
}

/// Returns the page of a code; lower case and a missing `SF` are forgiven.
pub fn page(code: &str) -> Option<&'static str> {
    find(code).map(|it| it.page)
}

/// Returns what is known of a code.
pub fn find(code: &str) -> Option<&'static Entry> {
    let digits = code.trim().trim_start_matches(['S', 's']).trim_start_matches(['F', 'f']);
    ENTRIES.iter().find(|it| it.code.strip_prefix("SF") == Some(digits))
}

#[rustfmt::skip]
pub const ENTRIES: &[Entry] = &[
    Entry { code: "SF1001", title: "the source is not UTF-8 text", page: include_str!("../../../../docs/errors/SF1001.md") },
    Entry { code: "SF1002", title: "the source is too large", page: include_str!("../../../../docs/errors/SF1002.md") },
    Entry { code: "SF1003", title: "nested too deep", page: include_str!("../../../../docs/errors/SF1003.md") },
    Entry { code: "SF1004", title: "broken YAML", page: include_str!("../../../../docs/errors/SF1004.md") },
    Entry { code: "SF1005", title: "broken JSON", page: include_str!("../../../../docs/errors/SF1005.md") },
    Entry { code: "SF1006", title: "a key occurs twice", page: include_str!("../../../../docs/errors/SF1006.md") },
    Entry { code: "SF1007", title: "a tag is not allowed", page: include_str!("../../../../docs/errors/SF1007.md") },
    Entry { code: "SF1008", title: "aliases that cannot be followed", page: include_str!("../../../../docs/errors/SF1008.md") },
    Entry { code: "SF1009", title: "merge keys are not supported", page: include_str!("../../../../docs/errors/SF1009.md") },
    Entry { code: "SF1010", title: "a number cannot be kept", page: include_str!("../../../../docs/errors/SF1010.md") },
    Entry { code: "SF1011", title: "a character is not allowed", page: include_str!("../../../../docs/errors/SF1011.md") },
    Entry { code: "SF1012", title: "a key is not a string", page: include_str!("../../../../docs/errors/SF1012.md") },
    Entry { code: "SF1013", title: "no workflow found", page: include_str!("../../../../docs/errors/SF1013.md") },
    Entry { code: "SF1020", title: "unknown key", page: include_str!("../../../../docs/errors/SF1020.md") },
    Entry { code: "SF1021", title: "wrong type", page: include_str!("../../../../docs/errors/SF1021.md") },
    Entry { code: "SF1022", title: "something is missing", page: include_str!("../../../../docs/errors/SF1022.md") },
    Entry { code: "SF1023", title: "keys that do not go together", page: include_str!("../../../../docs/errors/SF1023.md") },
    Entry { code: "SF1024", title: "out of range", page: include_str!("../../../../docs/errors/SF1024.md") },
    Entry { code: "SF1025", title: "not a duration", page: include_str!("../../../../docs/errors/SF1025.md") },
    Entry { code: "SF1026", title: "not a rate", page: include_str!("../../../../docs/errors/SF1026.md") },
    Entry { code: "SF1027", title: "not one of the choices", page: include_str!("../../../../docs/errors/SF1027.md") },
    Entry { code: "SF1028", title: "not an id", page: include_str!("../../../../docs/errors/SF1028.md") },
    Entry { code: "SF1030", title: "text without quotes", page: include_str!("../../../../docs/errors/SF1030.md") },
    Entry { code: "SF1031", title: "broken expression", page: include_str!("../../../../docs/errors/SF1031.md") },
    Entry { code: "SF1032", title: "expression too large", page: include_str!("../../../../docs/errors/SF1032.md") },
    Entry { code: "SF1034", title: "wrong number of cron fields", page: include_str!("../../../../docs/errors/SF1034.md") },
    Entry { code: "SF1035", title: "a cron field is out of range", page: include_str!("../../../../docs/errors/SF1035.md") },
    Entry { code: "SF1036", title: "a cron expression that never fires", page: include_str!("../../../../docs/errors/SF1036.md") },
    Entry { code: "SF1037", title: "unknown time zone", page: include_str!("../../../../docs/errors/SF1037.md") },
    Entry { code: "SF1038", title: "not an instant", page: include_str!("../../../../docs/errors/SF1038.md") },
    Entry { code: "SF1039", title: "a local time that clocks skip or repeat", page: include_str!("../../../../docs/errors/SF1039.md") },
    Entry { code: "SF1040", title: "a secret in plain text", page: include_str!("../../../../docs/errors/SF1040.md") },
    Entry { code: "SF1041", title: "an expression inside of SQL", page: include_str!("../../../../docs/errors/SF1041.md") },
    Entry { code: "SF1042", title: "too many", page: include_str!("../../../../docs/errors/SF1042.md") },
    Entry { code: "SF1043", title: "a task that does nothing", page: include_str!("../../../../docs/errors/SF1043.md") },
    Entry { code: "SF1044", title: "ids that differ in case only", page: include_str!("../../../../docs/errors/SF1044.md") },
    Entry { code: "SF1045", title: "nothing inside", page: include_str!("../../../../docs/errors/SF1045.md") },
    Entry { code: "SF1101", title: "an unknown need", page: include_str!("../../../../docs/errors/SF1101.md") },
    Entry { code: "SF1102", title: "tasks that wait for each other", page: include_str!("../../../../docs/errors/SF1102.md") },
    Entry { code: "SF1103", title: "an id that hides another", page: include_str!("../../../../docs/errors/SF1103.md") },
    Entry { code: "SF1104", title: "a need named twice", page: include_str!("../../../../docs/errors/SF1104.md") },
    Entry { code: "SF1105", title: "a join without needs", page: include_str!("../../../../docs/errors/SF1105.md") },
    Entry { code: "SF1106", title: "an unknown kind of work", page: include_str!("../../../../docs/errors/SF1106.md") },
    Entry { code: "SF1107", title: "wrong parameters", page: include_str!("../../../../docs/errors/SF1107.md") },
    Entry { code: "SF1108", title: "SQL marks and values that do not match", page: include_str!("../../../../docs/errors/SF1108.md") },
    Entry { code: "SF1109", title: "an unknown database", page: include_str!("../../../../docs/errors/SF1109.md") },
    Entry { code: "SF1110", title: "an input schema that is not valid", page: include_str!("../../../../docs/errors/SF1110.md") },
    Entry { code: "SF1111", title: "an unknown workflow", page: include_str!("../../../../docs/errors/SF1111.md") },
    Entry { code: "SF1112", title: "a workflow that starts itself", page: include_str!("../../../../docs/errors/SF1112.md") },
    Entry { code: "SF1113", title: "a compensation of nothing", page: include_str!("../../../../docs/errors/SF1113.md") },
    Entry { code: "SF1114", title: "an item that hides another", page: include_str!("../../../../docs/errors/SF1114.md") },
    Entry { code: "SF1120", title: "an unknown name in an expression", page: include_str!("../../../../docs/errors/SF1120.md") },
    Entry { code: "SF1121", title: "a task that is not upstream", page: include_str!("../../../../docs/errors/SF1121.md") },
    Entry { code: "SF1122", title: "a name that is not known here", page: include_str!("../../../../docs/errors/SF1122.md") },
    Entry { code: "SF1123", title: "a wrong type in an expression", page: include_str!("../../../../docs/errors/SF1123.md") },
    Entry { code: "SF1124", title: "a variable that nothing reads", page: include_str!("../../../../docs/errors/SF1124.md") },
    Entry { code: "SF1201", title: "an unknown initial state", page: include_str!("../../../../docs/errors/SF1201.md") },
    Entry { code: "SF1202", title: "a transition to an unknown state", page: include_str!("../../../../docs/errors/SF1202.md") },
    Entry { code: "SF1203", title: "a state without a way out", page: include_str!("../../../../docs/errors/SF1203.md") },
    Entry { code: "SF1204", title: "a state that nothing leads to", page: include_str!("../../../../docs/errors/SF1204.md") },
    Entry { code: "SF1205", title: "no end can be reached", page: include_str!("../../../../docs/errors/SF1205.md") },
    Entry { code: "SF1206", title: "a loop that never waits", page: include_str!("../../../../docs/errors/SF1206.md") },
    Entry { code: "SF1207", title: "an event of work that is not there", page: include_str!("../../../../docs/errors/SF1207.md") },
    Entry { code: "SF1209", title: "a transition that is never taken", page: include_str!("../../../../docs/errors/SF1209.md") },
    Entry { code: "SF1210", title: "`set` writes an unknown variable", page: include_str!("../../../../docs/errors/SF1210.md") },
    Entry { code: "SF1301", title: "broken XML", page: include_str!("../../../../docs/errors/SF1301.md") },
    Entry { code: "SF1302", title: "a document type", page: include_str!("../../../../docs/errors/SF1302.md") },
    Entry { code: "SF1303", title: "an XML file beyond the limits", page: include_str!("../../../../docs/errors/SF1303.md") },
    Entry { code: "SF1304", title: "neither BPMN nor PNML", page: include_str!("../../../../docs/errors/SF1304.md") },
    Entry { code: "SF1305", title: "an attribute is missing", page: include_str!("../../../../docs/errors/SF1305.md") },
    Entry { code: "SF1306", title: "an id is used twice", page: include_str!("../../../../docs/errors/SF1306.md") },
    Entry { code: "SF1307", title: "a reference to nothing", page: include_str!("../../../../docs/errors/SF1307.md") },
    Entry { code: "SF1308", title: "a net of another sort", page: include_str!("../../../../docs/errors/SF1308.md") },
    Entry { code: "SF1309", title: "an unknown element", page: include_str!("../../../../docs/errors/SF1309.md") },
    Entry { code: "SF1310", title: "an element that is not decided", page: include_str!("../../../../docs/errors/SF1310.md") },
    Entry { code: "SF1311", title: "a flow where none can be", page: include_str!("../../../../docs/errors/SF1311.md") },
    Entry { code: "SF1312", title: "nothing to check", page: include_str!("../../../../docs/errors/SF1312.md") },
    Entry { code: "SF1313", title: "not block-structured", page: include_str!("../../../../docs/errors/SF1313.md") },
    Entry { code: "SF1314", title: "the search was cut off", page: include_str!("../../../../docs/errors/SF1314.md") },
    Entry { code: "SF2100", title: "not a workflow net", page: include_str!("../../../../docs/errors/SF2100.md") },
    Entry { code: "SF2101", title: "a case can get stuck", page: include_str!("../../../../docs/errors/SF2101.md") },
    Entry { code: "SF2102", title: "an end while something is left", page: include_str!("../../../../docs/errors/SF2102.md") },
    Entry { code: "SF2103", title: "something is reached twice at once", page: include_str!("../../../../docs/errors/SF2103.md") },
    Entry { code: "SF2104", title: "a task that never runs", page: include_str!("../../../../docs/errors/SF2104.md") },
    Entry { code: "SF2105", title: "a loop that may never wait", page: include_str!("../../../../docs/errors/SF2105.md") },
    Entry { code: "SF2106", title: "a loop that cannot be left", page: include_str!("../../../../docs/errors/SF2106.md") },
    Entry { code: "SF2107", title: "waiting for what never comes", page: include_str!("../../../../docs/errors/SF2107.md") },
    Entry { code: "SF2108", title: "a failure that is hidden", page: include_str!("../../../../docs/errors/SF2108.md") },
    Entry { code: "SF2109", title: "a join that is never satisfied", page: include_str!("../../../../docs/errors/SF2109.md") },
    Entry { code: "SF2201", title: "no transition is open", page: include_str!("../../../../docs/errors/SF2201.md") },
    Entry { code: "SF2202", title: "guards that are true at once", page: include_str!("../../../../docs/errors/SF2202.md") },
    Entry { code: "SF2203", title: "a condition that is constant", page: include_str!("../../../../docs/errors/SF2203.md") },
    Entry { code: "SF2204", title: "a condition that fails", page: include_str!("../../../../docs/errors/SF2204.md") },
    Entry { code: "SF2205", title: "an output that may not be there", page: include_str!("../../../../docs/errors/SF2205.md") },
    Entry { code: "SF2206", title: "parallel tasks that interfere", page: include_str!("../../../../docs/errors/SF2206.md") },
    Entry { code: "SF2301", title: "a run that waits for itself", page: include_str!("../../../../docs/errors/SF2301.md") },
    Entry { code: "SF2401", title: "an effect that is repeated", page: include_str!("../../../../docs/errors/SF2401.md") },
    Entry { code: "SF2402", title: "an effect that is not undone", page: include_str!("../../../../docs/errors/SF2402.md") },
    Entry { code: "SF2403", title: "an undoing that cannot run", page: include_str!("../../../../docs/errors/SF2403.md") },
    Entry { code: "SF2404", title: "a time-out that is out of reach", page: include_str!("../../../../docs/errors/SF2404.md") },
    Entry { code: "SF2405", title: "an unsafe effect that is cut off", page: include_str!("../../../../docs/errors/SF2405.md") },
    Entry { code: "SF2406", title: "a secret that is shown", page: include_str!("../../../../docs/errors/SF2406.md") },
    Entry { code: "SF2502", title: "a workflow that may start itself", page: include_str!("../../../../docs/errors/SF2502.md") },
    Entry { code: "SF2601", title: "runs that cannot follow", page: include_str!("../../../../docs/errors/SF2601.md") },
    Entry { code: "SF4001", title: "the body is not JSON", page: include_str!("../../../../docs/errors/SF4001.md") },
    Entry { code: "SF4002", title: "the body is missing", page: include_str!("../../../../docs/errors/SF4002.md") },
    Entry { code: "SF4003", title: "the body is of the wrong kind", page: include_str!("../../../../docs/errors/SF4003.md") },
    Entry { code: "SF4004", title: "something is too large", page: include_str!("../../../../docs/errors/SF4004.md") },
    Entry { code: "SF4005", title: "no such route", page: include_str!("../../../../docs/errors/SF4005.md") },
    Entry { code: "SF4006", title: "the method is not allowed", page: include_str!("../../../../docs/errors/SF4006.md") },
    Entry { code: "SF4007", title: "a wrong parameter", page: include_str!("../../../../docs/errors/SF4007.md") },
    Entry { code: "SF4008", title: "a foreign cursor", page: include_str!("../../../../docs/errors/SF4008.md") },
    Entry { code: "SF4009", title: "not an id", page: include_str!("../../../../docs/errors/SF4009.md") },
    Entry { code: "SF4010", title: "not known", page: include_str!("../../../../docs/errors/SF4010.md") },
    Entry { code: "SF4011", title: "not allowed", page: include_str!("../../../../docs/errors/SF4011.md") },
    Entry { code: "SF4012", title: "no such thing", page: include_str!("../../../../docs/errors/SF4012.md") },
    Entry { code: "SF4013", title: "the key was used for another request", page: include_str!("../../../../docs/errors/SF4013.md") },
    Entry { code: "SF4014", title: "not an idempotency key", page: include_str!("../../../../docs/errors/SF4014.md") },
    Entry { code: "SF4015", title: "it has changed", page: include_str!("../../../../docs/errors/SF4015.md") },
    Entry { code: "SF4016", title: "the state does not allow it", page: include_str!("../../../../docs/errors/SF4016.md") },
    Entry { code: "SF4017", title: "the input does not fit", page: include_str!("../../../../docs/errors/SF4017.md") },
    Entry { code: "SF4018", title: "too many at once", page: include_str!("../../../../docs/errors/SF4018.md") },
    Entry { code: "SF4019", title: "not available now", page: include_str!("../../../../docs/errors/SF4019.md") },
    Entry { code: "SF4020", title: "a mistake of the server", page: include_str!("../../../../docs/errors/SF4020.md") },
    Entry { code: "SF4021", title: "the version exists", page: include_str!("../../../../docs/errors/SF4021.md") },
    Entry { code: "SF4022", title: "the definition is rejected", page: include_str!("../../../../docs/errors/SF4022.md") },
    Entry { code: "SF4023", title: "the body does not fit", page: include_str!("../../../../docs/errors/SF4023.md") },
    Entry { code: "SF4024", title: "the body took too long", page: include_str!("../../../../docs/errors/SF4024.md") },
    Entry { code: "SF4025", title: "nobody can run a task", page: include_str!("../../../../docs/errors/SF4025.md") },
    Entry { code: "SF4026", title: "the same request is under way", page: include_str!("../../../../docs/errors/SF4026.md") },
    Entry { code: "SF4030", title: "the identity provider does not answer", page: include_str!("../../../../docs/errors/SF4030.md") },
    Entry { code: "SF4031", title: "the secret cannot be kept", page: include_str!("../../../../docs/errors/SF4031.md") },
    Entry { code: "SF4040", title: "not a topic", page: include_str!("../../../../docs/errors/SF4040.md") },
    Entry { code: "SF4041", title: "too many streams of events", page: include_str!("../../../../docs/errors/SF4041.md") },
    Entry { code: "SF4042", title: "too many subscriptions", page: include_str!("../../../../docs/errors/SF4042.md") },
    Entry { code: "SF4043", title: "not a subscription", page: include_str!("../../../../docs/errors/SF4043.md") },
    Entry { code: "SF4060", title: "the worker cannot be registered", page: include_str!("../../../../docs/errors/SF4060.md") },
    Entry { code: "SF4061", title: "the token does not cover the capability", page: include_str!("../../../../docs/errors/SF4061.md") },
    Entry { code: "SF4062", title: "the worker protocol is of another version", page: include_str!("../../../../docs/errors/SF4062.md") },
    Entry { code: "SF4063", title: "there is no such worker", page: include_str!("../../../../docs/errors/SF4063.md") },
    Entry { code: "SF4064", title: "the poll cannot be read", page: include_str!("../../../../docs/errors/SF4064.md") },
    Entry { code: "SF4065", title: "there is no such lease", page: include_str!("../../../../docs/errors/SF4065.md") },
    Entry { code: "SF4066", title: "the lease has another result already", page: include_str!("../../../../docs/errors/SF4066.md") },
    Entry { code: "SF4067", title: "the lease is lost", page: include_str!("../../../../docs/errors/SF4067.md") },
    Entry { code: "SF4068", title: "the result cannot be kept", page: include_str!("../../../../docs/errors/SF4068.md") },
    Entry { code: "SF4069", title: "too many workers", page: include_str!("../../../../docs/errors/SF4069.md") },
    Entry { code: "SF4070", title: "workers are not served here", page: include_str!("../../../../docs/errors/SF4070.md") },
    Entry { code: "SF4090", title: "a schedule that never fires", page: include_str!("../../../../docs/errors/SF4090.md") },
    Entry { code: "SF4091", title: "a schedule in an unknown zone", page: include_str!("../../../../docs/errors/SF4091.md") },
    Entry { code: "SF4092", title: "a schedule that is too fast", page: include_str!("../../../../docs/errors/SF4092.md") },
    Entry { code: "SF4093", title: "a backfill of too many", page: include_str!("../../../../docs/errors/SF4093.md") },
    Entry { code: "SF4094", title: "a schedule of a definition", page: include_str!("../../../../docs/errors/SF4094.md") },
    Entry { code: "SF4095", title: "not an id of a schedule", page: include_str!("../../../../docs/errors/SF4095.md") },
    Entry { code: "SF4096", title: "a schedule that does not say when", page: include_str!("../../../../docs/errors/SF4096.md") },
    Entry { code: "SF4097", title: "a backfill of no time", page: include_str!("../../../../docs/errors/SF4097.md") },
    Entry { code: "SF4098", title: "the input of a schedule is broken", page: include_str!("../../../../docs/errors/SF4098.md") },
    Entry { code: "SF4100", title: "a webhook is not signed", page: include_str!("../../../../docs/errors/SF4100.md") },
    Entry { code: "SF4101", title: "a webhook of another time", page: include_str!("../../../../docs/errors/SF4101.md") },
    Entry { code: "SF4102", title: "a webhook without its headers", page: include_str!("../../../../docs/errors/SF4102.md") },
    Entry { code: "SF4103", title: "a webhook's secret is not set", page: include_str!("../../../../docs/errors/SF4103.md") },
    Entry { code: "SF4104", title: "not a CloudEvent", page: include_str!("../../../../docs/errors/SF4104.md") },
    Entry { code: "SF4105", title: "another delivery under the same id", page: include_str!("../../../../docs/errors/SF4105.md") },
    Entry { code: "SF4106", title: "a batch of too many events", page: include_str!("../../../../docs/errors/SF4106.md") },
    Entry { code: "SF5001", title: "standard output cannot be written", page: include_str!("../../../../docs/errors/SF5001.md") },
    Entry { code: "SF5002", title: "the definition is rejected", page: include_str!("../../../../docs/errors/SF5002.md") },
    Entry { code: "SF5003", title: "a file cannot be read", page: include_str!("../../../../docs/errors/SF5003.md") },
    Entry { code: "SF5004", title: "an argument cannot be understood", page: include_str!("../../../../docs/errors/SF5004.md") },
    Entry { code: "SF5005", title: "no single definition is meant", page: include_str!("../../../../docs/errors/SF5005.md") },
    Entry { code: "SF5006", title: "nothing was done", page: include_str!("../../../../docs/errors/SF5006.md") },
    Entry { code: "SF5007", title: "no thread can be started", page: include_str!("../../../../docs/errors/SF5007.md") },
    Entry { code: "SF5008", title: "no such page", page: include_str!("../../../../docs/errors/SF5008.md") },
    Entry { code: "SF5009", title: "completions cannot be installed", page: include_str!("../../../../docs/errors/SF5009.md") },
    Entry { code: "SF5010", title: "there is no store yet", page: include_str!("../../../../docs/errors/SF5010.md") },
    Entry { code: "SF5011", title: "the store is in use", page: include_str!("../../../../docs/errors/SF5011.md") },
    Entry { code: "SF5012", title: "the store cannot be opened", page: include_str!("../../../../docs/errors/SF5012.md") },
    Entry { code: "SF5013", title: "the store is not available", page: include_str!("../../../../docs/errors/SF5013.md") },
    Entry { code: "SF5014", title: "the store is damaged", page: include_str!("../../../../docs/errors/SF5014.md") },
    Entry { code: "SF5015", title: "the outcome of a write is unknown", page: include_str!("../../../../docs/errors/SF5015.md") },
    Entry { code: "SF5016", title: "the backup exists already", page: include_str!("../../../../docs/errors/SF5016.md") },
    Entry { code: "SF5017", title: "the owner of the store does not answer", page: include_str!("../../../../docs/errors/SF5017.md") },
    Entry { code: "SF5021", title: "unknown setting", page: include_str!("../../../../docs/errors/SF5021.md") },
    Entry { code: "SF5022", title: "a setting has a wrong value", page: include_str!("../../../../docs/errors/SF5022.md") },
    Entry { code: "SF5023", title: "unknown profile", page: include_str!("../../../../docs/errors/SF5023.md") },
    Entry { code: "SF5024", title: "a setting cannot be written", page: include_str!("../../../../docs/errors/SF5024.md") },
    Entry { code: "SF5031", title: "no such run", page: include_str!("../../../../docs/errors/SF5031.md") },
    Entry { code: "SF5032", title: "several runs are meant", page: include_str!("../../../../docs/errors/SF5032.md") },
    Entry { code: "SF5033", title: "the engine is stopping", page: include_str!("../../../../docs/errors/SF5033.md") },
    Entry { code: "SF5034", title: "the state does not allow it", page: include_str!("../../../../docs/errors/SF5034.md") },
    Entry { code: "SF5035", title: "no such task", page: include_str!("../../../../docs/errors/SF5035.md") },
    Entry { code: "SF5036", title: "nothing waits for it", page: include_str!("../../../../docs/errors/SF5036.md") },
    Entry { code: "SF5037", title: "not allowed to decide", page: include_str!("../../../../docs/errors/SF5037.md") },
    Entry { code: "SF5038", title: "the data is not valid", page: include_str!("../../../../docs/errors/SF5038.md") },
    Entry { code: "SF5041", title: "unknown workflow", page: include_str!("../../../../docs/errors/SF5041.md") },
    Entry { code: "SF5042", title: "the input is not valid", page: include_str!("../../../../docs/errors/SF5042.md") },
    Entry { code: "SF5043", title: "a handler is missing", page: include_str!("../../../../docs/errors/SF5043.md") },
    Entry { code: "SF5044", title: "the key was used for something else", page: include_str!("../../../../docs/errors/SF5044.md") },
    Entry { code: "SF5045", title: "a stored definition is rejected", page: include_str!("../../../../docs/errors/SF5045.md") },
    Entry { code: "SF5046", title: "a mock fits nothing", page: include_str!("../../../../docs/errors/SF5046.md") },
    Entry { code: "SF5047", title: "the run goes on", page: include_str!("../../../../docs/errors/SF5047.md") },
    Entry { code: "SF5048", title: "a test file cannot be read", page: include_str!("../../../../docs/errors/SF5048.md") },
    Entry { code: "SF5049", title: "a counterexample cannot be replayed", page: include_str!("../../../../docs/errors/SF5049.md") },
    Entry { code: "SF5050", title: "a certificate proves nothing", page: include_str!("../../../../docs/errors/SF5050.md") },
    Entry { code: "SF5051", title: "unknown template", page: include_str!("../../../../docs/errors/SF5051.md") },
    Entry { code: "SF5052", title: "a file exists already", page: include_str!("../../../../docs/errors/SF5052.md") },
    Entry { code: "SF5053", title: "a file cannot be written", page: include_str!("../../../../docs/errors/SF5053.md") },
    Entry { code: "SF5061", title: "the source cannot be converted", page: include_str!("../../../../docs/errors/SF5061.md") },
    Entry { code: "SF5071", title: "nothing can be measured", page: include_str!("../../../../docs/errors/SF5071.md") },
    Entry { code: "SF5081", title: "the shop of the demo cannot be opened", page: include_str!("../../../../docs/errors/SF5081.md") },
    Entry { code: "SF5082", title: "a part of the demo cannot be started", page: include_str!("../../../../docs/errors/SF5082.md") },
    Entry { code: "SF5083", title: "the demo did not prove its promise", page: include_str!("../../../../docs/errors/SF5083.md") },
    Entry { code: "SF5091", title: "it cannot listen", page: include_str!("../../../../docs/errors/SF5091.md") },
    Entry { code: "SF5092", title: "a directory cannot be watched", page: include_str!("../../../../docs/errors/SF5092.md") },
    Entry { code: "SF5093", title: "the server cannot be reached", page: include_str!("../../../../docs/errors/SF5093.md") },
    Entry { code: "SF5094", title: "the server answered something else", page: include_str!("../../../../docs/errors/SF5094.md") },
    Entry { code: "SF5095", title: "the server does not take the worker", page: include_str!("../../../../docs/errors/SF5095.md") },
    Entry { code: "SF5096", title: "the worker does not pass the conformance run", page: include_str!("../../../../docs/errors/SF5096.md") },
    Entry { code: "SF5097", title: "the audit log was changed", page: include_str!("../../../../docs/errors/SF5097.md") },
    Entry { code: "SF5101", title: "a secret cannot be opened", page: include_str!("../../../../docs/errors/SF5101.md") },
    Entry { code: "SF5102", title: "not a key", page: include_str!("../../../../docs/errors/SF5102.md") },
    Entry { code: "SF5103", title: "the secret cannot be used", page: include_str!("../../../../docs/errors/SF5103.md") },
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    #![allow(clippy::disallowed_methods, reason = "tests read the sources")]
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_page_is_found_by_its_code() {
        assert!(page("SF1004").unwrap().starts_with("# SF1004"));
        assert_eq!(page("sf1004"), page("1004"));
        assert_eq!(page("SF9999"), None);
        assert_eq!(page(""), None);
    }

    #[test]
    fn entries_are_sorted_and_pages_are_complete() {
        assert!(ENTRIES.is_sorted_by(|one, other| one.code < other.code));
        for entry in ENTRIES {
            let heading = format!("# {}: {}\n", entry.code, entry.title);
            assert!(entry.page.starts_with(&heading), "{heading}");
            assert!(entry.page.matches("```").count() >= 4, "{} lacks an example", entry.code);
        }
    }

    #[test]
    fn every_code_in_the_source_has_a_page_and_every_page_a_code() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut used = BTreeSet::new();
        codes_in(&root.join("src"), &mut used);
        // Those about nets are told by a crate that does not depend on this one.
        codes_in(&root.join("../net/src"), &mut used);
        // Codes from SF5000 on are those of the command line, which has this test for them.
        let known: BTreeSet<String> =
            ENTRIES.iter().map(|it| it.code.to_owned()).filter(|it| it.as_str() < "SF3").collect();
        assert_eq!(used, known);
    }

    /// Collects what looks like a code and stands in quotes, tests of unknown codes aside.
    fn codes_in(folder: &Path, into: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                codes_in(&path, into);
            } else if !path.ends_with("source/codes.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let quoted = text
                    .split('"')
                    .filter(|it| it.len() == 6 && (it.starts_with("SF1") || it.starts_with("SF2")));
                into.extend(quoted.map(str::to_owned));
            }
        }
    }
}
