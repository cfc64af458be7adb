"""What the book says of the program that the program says better itself.

A page has a generated part between `<!-- generated: NAME -->` and `<!-- /generated -->`; the table
of contents has the list of error codes. `check_blocks.py` compares them, and writes them with
`--write`. What cannot be generated is compared: exit codes, metrics, the files below `ops/`.
"""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

BOOK = Path(__file__).resolve().parent
ROOT = BOOK.parent
SUMMARY = BOOK / "SUMMARY.md"
START_SECONDS_MAX = 20
DASHBOARD = "ops/grafana/surefoot.json"
ALERTS = "ops/alerts/surefoot.rules.yml"
ALERT_KEYS = ["expr", "for", "severity", "summary", "description", "runbook"]


def pages() -> list[str]:
    """Returns every page of the book, in the order of its table of contents."""
    return re.findall(r"\]\(([^)#]+\.md)\)", SUMMARY.read_text())


def check(program: Path, write: bool) -> list[str]:
    """Compares, or renews, everything that follows from the program. Returns what differs."""
    with Server(program) as server:
        generated = {
            "cli": lambda: cli(program),
            "routes": lambda: routes(server),
            "configuration": lambda: fenced("toml", printed(program, "server", "--print-config")),
            "settings": lambda: settings(program),
            "error-codes": error_codes,
            "limits": limits,
        }
        failures = [failure for path in sorted(BOOK.rglob("*.md"))
                    for failure in renew(path, generated, write)]
        failures += metrics(server)
    return failures + contents(write) + exit_codes() + journal() + ops()


def renew(path: Path, generated: dict, write: bool) -> list[str]:
    """Compares the generated parts of one page."""
    text = path.read_text()

    def part(match: re.Match) -> str:
        return f"<!-- generated: {match[1]} -->\n{generated[match[1]]().strip()}\n<!-- /generated -->"

    renewed = re.sub(r"<!-- generated: (\S+) -->\n.*?<!-- /generated -->", part, text, flags=re.DOTALL)
    return differing(path, text, renewed, write)


def differing(path: Path, text: str, renewed: str, write: bool) -> list[str]:
    if renewed == text:
        return []
    if write:
        path.write_text(renewed)
        return []
    return [f"{path.relative_to(ROOT)} is not what the program says; renew it with --write"]


def contents(write: bool) -> list[str]:
    """The table of contents names every page once, and only those that exist."""
    text = SUMMARY.read_text()
    lines = [line for line in text.splitlines() if "](errors/" not in line]
    at = next(i for i, line in enumerate(lines) if "](reference/errors.md)" in line)
    indent = " " * (len(lines[at]) - len(lines[at].lstrip()) + 2)
    lines[at + 1:at + 1] = [f"{indent}- [{code}](errors/{code}.md)" for code, _ in titles()]
    failures = differing(SUMMARY, text, "\n".join(lines) + "\n", write)

    named = pages()
    there = {str(path.relative_to(BOOK)) for path in BOOK.rglob("*.md")} - {"SUMMARY.md"}
    failures += [f"docs/SUMMARY.md does not name {page}" for page in sorted(there - set(named))]
    failures += [f"docs/SUMMARY.md names {page}, which is not there" for page in named
                 if page not in there]
    failures += [f"docs/SUMMARY.md names {page} twice" for page in sorted(set(named))
                 if named.count(page) > 1]
    return failures


class Server:
    """A server with an empty store, to be asked what it has."""

    def __init__(self, program: Path):
        self.program = program

    def __enter__(self) -> "Server":
        self.home = tempfile.TemporaryDirectory(prefix="surefoot-book-")
        environment = {"HOME": self.home.name, "PATH": os.environ["PATH"], "NO_COLOR": "1"}
        # It ends with what it has printed, so nothing waits in a pipe.
        output = Path(self.home.name) / "output"
        with open(output, "wb") as file:
            self.process = subprocess.Popen(
                [self.program, "--store", "memory:", "server", "--listen", "127.0.0.1:0"],
                cwd=self.home.name, env=environment, stdout=file, stderr=file)
        deadline = time.monotonic() + START_SECONDS_MAX
        while not (found := re.search(r"http://[\d.]+:\d+", output.read_text())):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the server did not start:\n{output.read_text()}")
            time.sleep(0.05)
        self.url = found[0]
        return self

    def get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(self.url + path, timeout=START_SECONDS_MAX) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def __exit__(self, *_) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(START_SECONDS_MAX)
        self.home.cleanup()


def printed(program: Path, *arguments: str) -> str:
    """Returns what a command prints in an empty directory, without the settings of this machine."""
    with tempfile.TemporaryDirectory(prefix="surefoot-book-") as home:
        environment = {"HOME": home, "PATH": os.environ["PATH"], "NO_COLOR": "1"}
        command = [program, *arguments]
        return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True,
                              check=True).stdout.replace(f"{os.path.realpath(home)}/", "")


def fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```"


def cli(program: Path) -> str:
    """One section for each command: its help, without the options that all have."""
    whole = printed(program, "--help")
    shared = re.search(r"^Global options:\n.*?(?=^\S)", whole, re.MULTILINE | re.DOTALL)
    parts = ["Every command takes these:", fenced("text", shared[0] if shared else "")]
    for words in commands(program, []):
        text = printed(program, *words, "--help")
        text = re.sub(r"^Global options:\n.*?(?=^\S|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
        text = re.sub(r"^ +-h, --help\n +Print help.*\n?", "", text, flags=re.MULTILINE)
        text = re.sub(r"^ +-h, --help +Print help.*\n?", "", text, flags=re.MULTILINE)
        text = re.sub(r"^Options:\n\s*(?=^\S|\Z)", "", text, flags=re.MULTILINE)
        text = re.sub(r"\n{3,}", "\n\n", re.sub(r" +$", "", text, flags=re.MULTILINE))
        parts += [f"## surefoot {' '.join(words)}", fenced("text", text)]
    return "\n\n".join(parts)


def commands(program: Path, words: list[str]) -> list[list[str]]:
    """Returns every command below one, those that have further ones included."""
    text = printed(program, *words, "--help")
    listed = re.search(r"^Commands:\n((?: .*\n|\n(?= ))*)", text, re.MULTILINE)
    names = re.findall(r"^  (\S+)", listed[1], re.MULTILINE) if listed else []
    below = [[*words, name] for name in names if name != "help"]
    return [it for command in below for it in [command, *commands(program, command)]]


def routes(server: Server) -> str:
    """The routes by tag, with what they do and who may call them."""
    document = json.loads(server.get("/openapi.json"))
    tables: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            about = operation.get("description", "")
            access = re.search(r"Needs the role (\w+)\.", about)
            summary = one_line(operation.get("summary", ""))
            row = f"| `{method.upper()} {path}` | {summary} | {access[1] if access else 'anybody'} |"
            tables.setdefault(operation["tags"][0], []).append(row)
    order = ["workflows", "runs", "tasks", "schedules", "events", "workers", "service"]
    rank = {tag: at for at, tag in enumerate(order)}
    head = "| | | needs |\n|---|---|---|"
    return "\n\n".join(f"### {tag.capitalize()}\n\n{head}\n" + "\n".join(tables[tag])
                       for tag in sorted(tables, key=lambda it: (rank.get(it, len(order)), it)))


def settings(program: Path) -> str:
    """Every key with its default."""
    rows = ["| key | default |", "|---|---|"]
    for line in printed(program, "config", "show").splitlines()[1:]:
        key, value = re.split(r"\s{2,}", line.strip())[:2]
        rows.append(f"| `{key}` | {'' if value in ('null', 'default') else f'`{value}`'} |")
    return "\n".join(rows)


def titles() -> list[tuple[str, str]]:
    """Returns the code and title of each page of an error."""
    heads = [path.read_text().split("\n", 1)[0] for path in sorted(BOOK.glob("errors/SF*.md"))]
    return [tuple(head.removeprefix("# ").split(": ", 1)) for head in heads]


ERROR_GROUPS = {
    "10": "Reading a definition",
    "11": "Names, types and graphs",
    "12": "Machines",
    "13": "Nets and BPMN",
    "21": "Flow", "22": "Conditions and data", "23": "Waiting for each other",
    "24": "Effects", "25": "Other workflows", "26": "Versions",
    "40": "The service", "41": "The service",
    "50": "The command line",
}


def error_codes() -> str:
    """The index of codes, by hundreds."""
    text, group = "", None
    for code, title in titles():
        name = ERROR_GROUPS.get(code[2:4], f"SF{code[2:4]}")
        if name != group:
            group = name
            text += f"\n### {name}\n\n| | |\n|---|---|\n"
        text += f"| [{code}](../errors/{code}.md) | {title} |\n"
    return text


def limits() -> str:
    """The constants and settings of `crates/core/src/limits.rs`, with their comments."""
    source = (ROOT / "crates/core/src/limits.rs").read_text()
    fixed = re.findall(r"((?:^ *///.*\n)+)pub const \w+: \w+ = (.*?);", source, re.MULTILINE)
    named = re.findall(r"((?:^ *///.*\n)+) +pub (\w+): \w+,", source, re.MULTILINE)
    rows = ["| may be set in `surefoot.toml` | default | setting |", "|---|---|---|"]
    for about, field in named:
        default = re.search(rf"^ +{field}: (.*?),$", source, re.MULTILINE)
        rows.append(f"| {sentence(about)} | {amount(about, default[1])} | `limits.{field}` |")
    rows += ["", "| fixed | |", "|---|---|"]
    rows += [f"| {sentence(about)} | {amount(about, value)} |" for about, value in fixed]
    return "\n".join(rows)


def sentence(comment: str) -> str:
    return one_line(re.sub(r"^ *///", "", comment, flags=re.MULTILINE))


def one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def amount(about: str, expression: str) -> str:
    """Returns a product such as `16 * 1024` as people read it."""
    value = 1
    for factor in expression.split("*"):
        value *= int(factor.strip().replace("_", ""))
    if "bytes" in about.lower():
        for unit, size in (("MiB", 1024 * 1024), ("KiB", 1024)):
            if value % size == 0:
                return f"{value // size:,} {unit}"
    return f"{value:,}"


def exit_codes() -> list[str]:
    """The page of exit codes has the codes of the program, and no others."""
    page = BOOK / "reference/exit-codes.md"
    listed = set(re.findall(r"^\| (\d+) \|", page.read_text(), re.MULTILINE))
    source = (ROOT / "crates/cli/src/exit.rs").read_text()
    known = set(re.findall(r"^    \w+ = (\d+),", source, re.MULTILINE))
    return [f"docs/reference/exit-codes.md: {code} is on one side only" for code in listed ^ known]


def journal() -> list[str]:
    """The page of events has those that a history can show, and no others."""
    page = (BOOK / "reference/journal.md").read_text()
    heads = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    listed = {name for head in heads for name in re.findall(r"`([a-z ]+)`", head)}
    source = (ROOT / "crates/core/src/run/explain.rs").read_text()
    describe = re.search(r"^    pub fn describe\(.*?^    }", source, re.MULTILINE | re.DOTALL)[0]
    # The word comes first: alone in an arm, or chosen between two.
    known = set(re.findall(r'\("([a-z ]+)",', describe))
    known |= {word for pair in re.findall(r'if \*redo { "(\w+)" } else { "(\w+)" }', describe)
              for word in pair}
    return [f"docs/reference/journal.md: `{name}` is on one side only"
            for name in sorted(known ^ listed - {"detail"})]


def listed_metrics() -> set[str]:
    page = (BOOK / "reference/metrics.md").read_text()
    return set(re.findall(r"^\| `(surefoot_\w+)", page, re.MULTILINE))


def metrics(server: Server) -> list[str]:
    """The page of metrics has those of the program, and no others."""
    text = server.get("/metrics")
    if text is None:
        print("left out: the metrics, which this server does not have")
        return []
    kinds = re.findall(r"^# TYPE (surefoot_\w+) (\w+)", text, re.MULTILINE)
    known = {name + "_total" if kind == "counter" else name for name, kind in kinds}
    # What has counted nothing yet is not shown.
    source = (ROOT / "crates/server/src/metrics.rs").read_text()
    for name in listed_metrics() - known:
        base = re.sub(r"_(total|seconds)$", "", name.removeprefix("surefoot_"))
        known |= {name} if f'"{base}"' in source else set()
    return [f"docs/reference/metrics.md: {name} is on one side only"
            for name in sorted(known ^ listed_metrics())]


def ops() -> list[str]:
    """The dashboard and the alerts are well formed and use metrics that there are."""
    failures = []
    dashboard = json.loads((ROOT / DASHBOARD).read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(ids) != len(set(ids)):
        failures.append(f"{DASHBOARD}: two panels have one id")
    rules = (ROOT / ALERTS).read_text()
    for alert in re.split(r"^ *- alert: ", rules, flags=re.MULTILINE)[1:]:
        lacking = [key for key in ALERT_KEYS if f"{key}:" not in alert]
        failures += [f"{ALERTS}: {alert.split()[0]} has no {key}" for key in lacking]
    for file, text in {DASHBOARD: json.dumps(dashboard), ALERTS: rules}.items():
        names = {re.sub(r"_(bucket|sum|count)$", "", it) for it in re.findall(r"\bsurefoot_\w+", text)}
        failures += [f"{file}: {name} is not in docs/reference/metrics.md"
                     for name in sorted(names - listed_metrics())]
    return failures
