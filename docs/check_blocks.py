#!/usr/bin/env python3
"""Executes what the book tells its readers to type, and holds its generated parts to the program.

    python3 docs/check_blocks.py --bin target/debug/surefoot             checks everything
    python3 docs/check_blocks.py --bin target/debug/surefoot --write     renews what is generated
    python3 docs/check_blocks.py --bin target/debug/surefoot --page how-to/sagas.md

What a fence says of its block:

    ```sh                              executed by one bash for the whole page, in an empty directory
    ```sh,ignore reason="needs Rust"   not executed; the reason is counted
    ```yaml title="a.surefoot.yaml"    written to that file (any language)
    ```yaml,broken                     a definition that is meant to be refused
    ```rust,ignore from="PATH"         a piece of that file of the repository, checked to be in it
    ```text                            after a block that is executed or written: lines that are then
                                       printed, in this order, among others; `…` is anything

Inside of `sh`, `# -> text` is a line that is printed. A definition in `yaml`, a whole one, must pass
`surefoot check --strict`. `<!-- needs: httpx -->` on a page leaves its commands out where that is
not installed (with SUREFOOT_REQUIRE_ALL=1 it fails). Servers that a page starts end with it; they
listen on a free port wherever the page says 7070.
"""

import argparse
import collections
import importlib.util
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

# What is written beside these files would become a part of the book.
sys.dont_write_bytecode = True

import reference_pages  # noqa: E402
from reference_pages import BOOK, ROOT  # noqa: E402

BLOCK_SECONDS_MAX = 120
# What a server in the background says comes when it comes.
OUTPUT_SECONDS_MAX = 20
# Pages that show on purpose what is refused. `cargo test` tries their examples.
BROKEN_ON_PURPOSE = "errors/"
DEFAULT_PORT = "7070"
SETTINGS = "surefoot.toml"
# Languages of programs: their blocks are files of a page, or pieces of files of the repository.
PROGRAMS = ("rust", "python", "ts")


class Problem(Exception):
    """Something that the book says is not so."""


@dataclass
class Block:
    """A fenced piece of a page."""

    line: int
    language: str
    flags: list[str]
    attributes: dict[str, str]
    text: str

    def is_executed(self) -> bool:
        return self.language == "sh" and "ignore" not in self.flags and not self.is_written()

    def is_written(self) -> bool:
        return "title" in self.attributes


def blocks_of(text: str) -> list[Block]:
    """Returns the fenced blocks of a page."""
    blocks, opened, lines = [], None, []
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"^( *)```(.*)$", line)
        if fence and opened is None:
            kind, _, rest = fence[2].strip().partition(" ")
            language, *flags = kind.split(",")
            opened = Block(number, language, flags, dict(re.findall(r'([a-z]+)="([^"]*)"', rest)), "")
            indent, lines = len(fence[1]), []
        elif fence:
            opened.text = "\n".join(lines) + "\n"
            blocks.append(opened)
            opened = None
        elif opened is not None:
            lines.append(line[indent:])
    if opened is not None:
        raise Problem(f"line {opened.line}: a fence is not closed")
    return blocks


class Shell:
    """One bash for a page, which is given one block after the other."""

    DRIVER = """
        set -euo pipefail
        while IFS= read -r job <&{jobs}; do
            source "$job" {jobs}<&- {ended}>&-
            echo >&{ended}
        done
    """

    def __init__(self, home: Path, environment: dict[str, str]):
        self.jobs_written, self.output = 0, home / "output"
        self.scripts = home / "scripts"
        self.scripts.mkdir()
        work = home / "work"
        work.mkdir()
        jobs, self.jobs = os.pipe()
        self.ended, ended = os.pipe()
        with open(self.output, "wb", buffering=0) as output:
            self.process = subprocess.Popen(
                ["bash", "--norc", "-c", self.DRIVER.format(jobs=jobs, ended=ended)],
                cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, pass_fds=(jobs, ended), start_new_session=True,
            )
        os.close(jobs)
        os.close(ended)

    def run(self, script: str) -> int:
        """Executes a script to its end. Returns where its output begins."""
        begin = self.output.stat().st_size
        self.jobs_written += 1
        path = self.scripts / str(self.jobs_written)
        path.write_text(script)
        os.write(self.jobs, f"{path}\n".encode())
        readable, _, _ = select.select([self.ended], [], [], BLOCK_SECONDS_MAX)
        if not readable:
            raise Problem(f"has not ended after {BLOCK_SECONDS_MAX} s\n{self.printed(begin)}")
        if not os.read(self.ended, 1):
            raise Problem(f"exited with {self.process.wait()}\n{self.printed(begin)}")
        return begin

    def expect(self, begin: int, expected: list[str]) -> None:
        """Waits until the lines have been printed since `begin`, in their order."""
        deadline = time.monotonic() + OUTPUT_SECONDS_MAX
        while (missing := first_missing(expected, self.printed(begin))) is not None:
            if time.monotonic() > deadline:
                raise Problem(f"did not print: {missing}\nprinted:\n{self.printed(begin)}")
            time.sleep(0.05)

    def printed(self, begin: int) -> str:
        return self.output.read_bytes()[begin:].decode(errors="replace")

    def close(self) -> None:
        """Ends bash and everything that it left in the background."""
        os.close(self.jobs)
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, how)
            except ProcessLookupError:
                break
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline and group_lives(self.process):
                time.sleep(0.02)
        self.process.wait()
        os.close(self.ended)


def group_lives(process: subprocess.Popen) -> bool:
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def first_missing(expected: list[str], printed: str) -> str | None:
    """Returns the first expected line that is not there after those before it."""
    lines = iter(" ".join(line.split()) for line in printed.splitlines())
    for wanted in expected:
        parts = [re.escape(part) for part in " ".join(wanted.split()).split("…")]
        pattern = re.compile(".*".join(parts))
        if not any(pattern.search(line) for line in lines):
            return wanted
    return None


class Book:
    """The pages, the program that they speak of, and what was left out on the way."""

    def __init__(self, program: Path):
        self.program = program
        self.left_out: collections.Counter[str] = collections.Counter()

    def check_page(self, page: str) -> str:
        """Checks one page. Returns what was done, in words."""
        text = (BOOK / page).read_text()
        blocks = blocks_of(text)
        if page.startswith(BROKEN_ON_PURPOSE):
            self.left_out["pages of errors show what is refused"] += len(blocks)
            return f"{len(blocks)} left out"
        for block in blocks:
            if block.language in PROGRAMS and not block.attributes:
                self.left_out[f"{block.language} that only shows how it looks"] += 1
        counts = {
            "definitions": sum(self.check_definition(block, blocks) for block in blocks),
            "executed": self.execute(text, blocks),
            "quoted": sum(check_quote(block) for block in blocks),
        }
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "-"

    def execute(self, text: str, blocks: list[Block]) -> int:
        """Executes the commands of a page in order. Returns how many blocks that were."""
        for block in blocks:
            if block.language == "sh" and "ignore" in block.flags:
                reason = block.attributes.get("reason")
                if reason is None:
                    raise Problem(f'line {block.line}: say why it is ignored: reason="…"')
                self.left_out[reason] += 1
        executed = [block for block in blocks if block.is_executed()]
        lacking = missing_needs(text)
        if lacking and executed:
            if os.environ.get("SUREFOOT_REQUIRE_ALL") == "1":
                raise Problem(f"needs {lacking}")
            self.left_out[f"{lacking} is not installed"] += len(executed)
            return 0
        if executed:
            self.execute_all(blocks)
        return len(executed)

    def execute_all(self, blocks: list[Block]) -> None:
        with tempfile.TemporaryDirectory(prefix="surefoot-book-") as home:
            port = free_port()
            shell = Shell(Path(home), self.environment(home, port))
            try:
                for block, following in zip(blocks, [*blocks[1:], None]):
                    try:
                        execute_block(shell, Path(home), block, following, port)
                    except Problem as problem:
                        raise Problem(f"line {block.line}: {problem}") from None
            finally:
                shell.close()

    def environment(self, home: str, port: str) -> dict[str, str]:
        """What a reader's terminal has, and nothing of this machine's settings."""
        kept = {name: value for name, value in os.environ.items()
                if name in ("LANG", "LC_ALL", "TZ", "CARGO_HOME", "RUSTUP_HOME")}
        programs = Path(home) / "bin"
        programs.mkdir()
        (programs / "surefoot").symlink_to(self.program)
        python = ROOT / "sdk/python/src"
        return kept | {
            "PATH": f"{programs}:{os.environ['PATH']}", "HOME": home, "USER": "ada",
            "NO_COLOR": "1", "PYTHONPATH": str(python), "SUREFOOT_SERVER_LISTEN": f"127.0.0.1:{port}",
        }

    def check_definition(self, block: Block, blocks: list[Block]) -> bool:
        """Holds a whole definition to the check, with the settings of its page. Returns whether
        it was one."""
        is_whole = re.match(r"(# .*\n)*id: ", block.text) and re.search(
            r"^(tasks|states):", block.text, re.MULTILINE)
        if block.language != "yaml" or not is_whole or "broken" in block.flags:
            return False
        with tempfile.TemporaryDirectory(prefix="surefoot-book-") as home:
            (Path(home) / "it.surefoot.yaml").write_text(block.text)
            for other in blocks:
                if other.attributes.get("title") == SETTINGS:
                    (Path(home) / SETTINGS).write_text(other.text)
            command = [self.program, "check", "--strict", "it.surefoot.yaml"]
            check = subprocess.run(command, cwd=home, capture_output=True, text=True)
        if check.returncode != 0:
            raise Problem(f"line {block.line}: is not accepted\n{check.stdout}{check.stderr}")
        return True


def execute_block(shell: Shell, home: Path, block: Block, following: Block | None, port: str) -> None:
    """Writes the file of a block, or executes it, and waits for what is printed then."""
    text = block.text.replace(DEFAULT_PORT, port)
    if block.is_written():
        file = block.attributes["title"]
        source = home / f"file-{block.line}"
        source.write_text(text)
        begin = shell.run(f"mkdir -p \"$(dirname '{file}')\" && cp '{source}' '{file}'")
    elif block.is_executed():
        # Only `dev` takes its port from nothing but its option.
        begin = shell.run(re.sub(r"surefoot dev\b(?!.*--port)", f"surefoot dev --port {port}", text))
    else:
        return
    expected = re.findall(r"^ *# -> (.*)$", text, re.MULTILINE) if block.is_executed() else []
    if following is not None and following.language == "text":
        expected += [line for line in following.text.replace(DEFAULT_PORT, port).splitlines()
                     if line.strip(" …")]
    shell.expect(begin, expected)


def check_quote(block: Block) -> bool:
    """Sees that a piece of a file is in it, line by line, whatever its indent."""
    if "from" not in block.attributes:
        return False
    path = block.attributes["from"]
    # Examples in comments of a module are tried by `cargo test`, too.
    source = [re.sub(r"^ *(//! *)?", "", line).rstrip()
              for line in (ROOT / path).read_text().splitlines()]
    for piece in re.split(r"^ *(?:// |# )?…\n", block.text, flags=re.MULTILINE):
        wanted = [line.strip() for line in piece.strip().splitlines()]
        if not any(source[at:at + len(wanted)] == wanted for at in range(len(source))):
            raise Problem(f"line {block.line}: this is not in {path}:\n{piece}")
    return True


def missing_needs(text: str) -> str | None:
    """Returns what a page needs and this machine has not."""
    for needs in re.findall(r"<!-- needs: (.*?) -->", text):
        for name in needs.split():
            if shutil.which(name) is None and importlib.util.find_spec(name) is None:
                return name
    return None


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def main() -> int:
    about, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=about, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=Path, help="the surefoot to try")
    parser.add_argument("--write", action="store_true", help="renew the generated parts")
    parser.add_argument("--page", action="append", help="only this page, below docs/")
    arguments = parser.parse_args()
    program = arguments.bin.resolve()
    if not os.access(program, os.X_OK):
        parser.error(f"{program} cannot be executed")

    failures = reference_pages.check(program, write=arguments.write)
    book = Book(program)
    pages = arguments.page or reference_pages.pages()
    for page in pages:
        if not (BOOK / page).is_file():
            parser.error(f"there is no page {page}")
        try:
            result = book.check_page(page)
        except Problem as problem:
            result = "FAILED"
            failures.append(f"{page}: {problem}")
        if result == "FAILED" or not page.startswith(BROKEN_ON_PURPOSE):
            print(f"{page:40} {result}", flush=True)
    for reason, count in book.left_out.most_common():
        print(f"left out: {count:4}  {reason}")
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    print(f"{len(pages)} pages, {len(failures)} problems")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
