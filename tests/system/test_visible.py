"""The one door to the terminal: hostile text in every command, option, file name, log and fault; nothing is obeyed."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from denet_tui.system.visible import as_json, markdown, visible, write
from tests.forked import each
from tests.real import REPOSITORY, environment
from tests.watch.helpers import DENET

HOSTILE = os.fsencode("e\x1b]0;title\x07\x1b[2J\x9b31m\u202ev\x7f\r\n\ti\u2028l[bold]") + b"\xff\x9b"
"""Sets the title, clears the screen, colours (by C1, too), reverses, deletes, forges a line; and is no UTF-8."""
SHOWN = r"e\x1b]0;title\x07\x1b[2J\x9b31m\u202ev\x7f\r\n\ti\u2028l[bold]\xff\x9b"


def unfit(text: str) -> set[str]:
    """What a terminal could obey, or could be misled by."""
    return {sign for sign in text if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


@given(st.text(), st.sampled_from(["", "\n", "\n\t"]))
@example("\u202e\u2066\x85\x9b\x7f\x00\ud800\udc80", "")
def test_nothing_is_left_that_a_terminal_obeys(text: str, keep: str) -> None:
    shown = visible(text, keep)
    assert unfit(shown) <= set(keep)
    assert visible(shown, keep) == shown
    if text.isprintable():
        assert shown == text


def test_what_is_shown_in_its_place() -> None:
    assert visible(os.fsdecode(HOSTILE)) == SHOWN
    assert visible("é 漢 🙂 \\x1b", keep="\n") == "é 漢 🙂 \\x1b"
    assert visible("a\n\tb\x1b", keep="\n\t") == "a\n\tb\\x1b"


@settings(max_examples=300)
@given(st.text("ab1 \\`*_~[]()<>#|&;!:/-\n\x1b", min_size=1) | st.text())
@example("__init__ _a_ a_b ~~c~~ `d` [e](f) <g> &lt; # h \\| **i**")
def test_nothing_counts_as_markdown(text: str) -> None:
    shown = markdown(text)
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for page in (f"### a {shown} .", f"- a {shown} .", f"| a | b |\n|---|---|\n| {shown} | . |"):
        inline = [token for token in reader.parse(page) if token.type == "inline"]
        words = [token for each in inline for token in each.children or ()]
        assert {token.type for token in words} <= {"text"}, page
        assert visible(text.strip()) in "".join(token.content for token in words).replace("\u200b", ""), page
    assert not [token for token in reader.parse(shown) if token.type in ("heading_open", "blockquote_open")]


LINKED = ("@torvalds", "a @a/team,", "https://example.org/x", "ftp://h", "www.example.org", "(WWW.example.org",
          "me@example.org", "#1", "a/b#12", "see #3", "GH-4", "~~x~~", "&lt;", "_@a_", "`@a`")  # fmt: skip


@pytest.mark.parametrize("text", LINKED)
def test_github_links_nothing_and_tells_nobody(text: str) -> None:
    """GitHub looks for names and issues in what is left of the markup as text: `&#8203;` is a space there."""
    reader = MarkdownIt("commonmark", {"linkify": True}).enable(["table", "strikethrough", "linkify"])
    for page in (f"- {markdown(text)} .", f"| a | b |\n|---|---|\n| {markdown(text)} | . |"):
        words = [token for each in reader.parse(page) if each.type == "inline" for token in each.children or ()]
        assert {token.type for token in words} == {"text"}
        shown = "".join(token.content for token in words)
        assert not re.search(r"@\w|#\d|GH-\d|://|www\.", shown, re.IGNORECASE)
        assert text in shown.replace("\u200b", "")


@given(st.text(), st.sampled_from(["ascii", "utf-8", "latin-1"]))
def test_a_terminal_of_any_encoding_can_be_written_to(text: str, encoding: str) -> None:
    bytes_there = io.BytesIO()
    stream = io.TextIOWrapper(bytes_there, encoding=encoding, newline="")
    write(text, stream)
    assert unfit(bytes_there.getvalue().decode(encoding)) <= {"\n", "\t", "\xad"}


@settings(max_examples=50)
@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
@example("\x7f\x1b\x9b")
def test_json_has_no_control_character(value: object) -> None:
    assert not unfit(as_json(value))
    assert unfit(as_json(value, lines=True)) <= {"\n"}
    assert json.loads(as_json(value)) == json.loads(as_json(value, lines=True)) == json.loads(json.dumps(value))


# Every command


def output(*words: str | bytes | Path, keep: str = "\n", **env: str | bytes) -> tuple[int, str]:
    done = subprocess.run(
        [*DENET, *words],
        env={**environment(), **env},
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    text = (done.stdout + done.stderr).decode()  # strict: all of it is UTF-8
    assert unfit(text) <= set(keep), repr(text)
    assert "Traceback" not in text
    return done.returncode, text


def shown_on_one_line(cases: list[tuple[list[str | bytes], int]]) -> None:
    for (words, status), done in zip(cases, each(words for words, _ in cases), strict=True):
        text = done.stdout + done.stderr
        assert not unfit(text) - {"\n"}, words  # a byte that is no UTF-8 would be a surrogate: unfit as well
        assert (done.returncode, text.count("\n")) == (status, 1), text
        assert text.startswith("denet-tui: "), text
        assert "title" in text or "TITLE" in text


WRONG: list[tuple[list[str | bytes], int]] = [
    ([HOSTILE], 125),
    ([b"--" + HOSTILE], 125),
    (["run", b"--" + HOSTILE, "--", "true"], 125),
    (["run", "--interval", HOSTILE, "--", "true"], 125),
    (["run", "--way", HOSTILE, "--", "true"], 125),
    (["run", "--rows", HOSTILE, "--", "true"], 125),
    (["run", "--on-quit", HOSTILE, "--", "true"], 125),
    (["attach", HOSTILE], 125),
    (["diag", HOSTILE], 64),
    (["diag", "--only", HOSTILE], 64),
    (["diag", "--only", "KERN-003", "--report", b"/none/" + HOSTILE], 64),
    (["diag", "--only", "KERN-003", "--log-file", b"/none/" + HOSTILE], 64),
    (["setup", b"--" + HOSTILE], 64),
    (["setup", "--plan", "--only", HOSTILE], 64),
    (["setup", "--plan", "--log-file", b"/none/" + HOSTILE], 64),
    (["settings", HOSTILE], 125),
]


def test_wrong_words_are_shown_as_they_are_on_one_line() -> None:
    shown_on_one_line(WRONG)


def test_the_programs_own_name_is_ours(tmp_path: Path) -> None:
    program = tmp_path / os.fsdecode(HOSTILE)
    program.symlink_to(DENET[-1])
    for words in (["--help"], ["run"], ["diag", "--help"]):
        done = subprocess.run([program, *words], env=environment(), capture_output=True, timeout=60)
        assert unfit((done.stdout + done.stderr).decode()) <= {"\n"}
        assert b"denet-tui" in done.stdout + done.stderr


def test_a_closed_output_is_no_mistake() -> None:
    command = " ".join([*DENET, "explain", "EPERM"])
    done = subprocess.run(["sh", "-c", f"{command} >&-"], env=environment(), capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_wrong_variable_is_shown_as_it_is() -> None:
    assert r"\x1b]0;title" in output("run", "--", "true", DENET_DEBUG=HOSTILE)[1]


REFUSED: list[tuple[list[str | bytes], int]] = [
    (["run", "--no-tui", "--", HOSTILE], 127),
    (["run", "--no-tui", "--", b"./" + HOSTILE], 127),
    (["run", "--no-tui", "--user", HOSTILE, "--", "true"], 125),
    (["run", "--no-tui", "--syscalls", HOSTILE, "--", "true"], 125),
    (["run", "--no-tui", "-o", b"/none/" + HOSTILE, "--", "true"], 125),
    (["run", "--no-tui", "--summary", b"/none/" + HOSTILE, "--", "true"], 125),
    (["run", "--no-tui", "--output", b"/none/" + HOSTILE, "--", "true"], 125),
    (["run", "--no-tui", "--log-file", b"/none/" + HOSTILE, "--", "true"], 125),
    (["selftest", "--syscall", HOSTILE], 125),
]


@pytest.mark.slow
@pytest.mark.root
def test_what_cannot_be_done_is_shown_as_it_is_on_one_line() -> None:
    shown_on_one_line(REFUSED)


@pytest.mark.root
def test_a_run_of_a_hostile_program_is_shown_as_it_is(tmp_path: Path) -> None:
    """In the table, in the log on standard error, in recordings on standard output, and in files for `cat`."""
    program = tmp_path / os.fsdecode(HOSTILE)
    program.write_text("#!/bin/sh\nsleep 0.1 &\nprintf '\\033]0;t' > /proc/self/comm; cat /nowhere 2> /dev/null\n")
    program.chmod(0o755)
    log, recording, summary = tmp_path / "log", tmp_path / "recording", tmp_path / "summary"
    for words, keep in ((["run", "--no-tui"], "\n"), (["run", "--no-tui", "--debug"], "\n\t")):
        assert SHOWN in "".join(output(*words, "--", program, keep=keep)[1].split()), "wrapped in the table"
    assert "title" in output("run", "--json", "--", program)[1]
    files = ["--log-file", log, "-o", recording, "--summary", summary]
    assert output("run", "--no-tui", "--debug", *files, "--", program)[0] == 1
    for file in (log, recording, summary):
        assert unfit(file.read_text()) <= {"\n", "\t"}, file
        assert "title" in file.read_text(), file


def test_a_report_and_its_name_are_shown_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(HOSTILE)
    assert SHOWN in output("diag", "--only", "KERN-003", "--report", path)[1]
    assert unfit(path.read_text()) <= {"\n", "\t"}
    text = output("diag", "--only", "KERN-003", "--report", "-", "--no-redact", "--log-file", path.with_name("log"))[1]
    assert text.startswith("# denet-tui diagnostic report, not redacted")


# The log, and the last resort


def script(body: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", body, *words],
        env=environment() | env,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


BROKEN = """
import sys
from denet_tui.commands import run as watching
def start(*_):
    raise RuntimeError("boom \\x1b]0;t\\x07\\nforged")
watching.start = start
from denet_tui.cli import main
sys.argv[0] = "denet-tui"
main()
"""


def test_a_mistake_of_our_own_is_one_line_and_its_traceback_for_debug_alone() -> None:
    done = script(BROKEN, "run", "--", "true")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == (
        "denet-tui: this is a mistake in denet-tui (RuntimeError: boom \\x1b]0;t\\x07\\nforged); "
        "please report it with what --debug says\n"
    )
    for done in (script(BROKEN, "run", "--debug", "--", "true"), script(BROKEN, "run", "true", DENET_LOG="debug")):
        assert "    Traceback (most recent call last):" in done.stderr
        assert unfit(done.stderr) <= {"\n"}
        assert done.returncode == 125


def test_a_mistake_in_a_thread_is_one_line() -> None:
    done = script(
        "import threading\nfrom denet_tui.system import debug\ndebug.take_last_resort()\n"
        "def work(): raise ValueError('x\\x1b[2J')\nthreading.Thread(target=work).start()"
    )
    assert done.stderr.startswith("denet-tui: this is a mistake in denet-tui (ValueError: x\\x1b[2J)")
    assert done.stderr.count("\n") == 1


def test_no_message_can_pass_for_another(tmp_path: Path) -> None:
    body = (
        "import logging, sys\nfrom pathlib import Path\nfrom denet_tui.system import debug\n"
        "log = logging.getLogger('denet_tui')\nlog.addHandler(debug.Handler(Path(sys.argv[1])))\n"
        "log.warning('a\\n2000-01-01 00:00:00,000 INFO forged \\x1b[2J')"
    )
    done = script(body, str(tmp_path / "log"))
    assert done.stderr == ""
    first, second = (tmp_path / "log").read_text().splitlines()
    assert first.endswith("WARNING a")
    assert second == "    2000-01-01 00:00:00,000 INFO forged \\x1b[2J"


def test_a_log_on_a_full_disk_is_one_line_and_no_end() -> None:
    for words in (["diag", "--only", "KERN-003"], ["setup", "--plan", "--only", "KERN-003"]):
        done = subprocess.run(
            [*DENET, *words, "--log-file", "/dev/full"], env=environment(), capture_output=True, text=True, timeout=60
        )
        assert done.stderr.startswith("denet-tui: the log is cut off: No space left on device (free some space")
        assert done.stderr.count("\n") == 1
        assert done.stdout


# No new way to the terminal beside it

PACKAGE = REPOSITORY / "denet_tui"
DOORS = {"visible.py", "debug.py", "__main__.py"}
CAPTURED = {"bpf/compiled.py", "bpf/loader.py", "bpf/prober.py", "bpf/process.py"}
"""What they print is read by the process that started them."""


def beside_the_door(source: str) -> list[int]:
    """Lines that write to a terminal by themselves."""
    names = {"print", "echo", "secho", "StreamHandler", "FileHandler", "print_exc", "print_exception", "excepthook"}
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called.rpartition(".")[2] in names or called in ("sys.stdout.write", "sys.stderr.write"):
                found.append(node.lineno)
    return sorted(found)


def test_the_look_for_other_ways_finds_some() -> None:
    assert beside_the_door("print(x)\nsys.stderr.write(x)\nclick.echo(x)\nlogging.StreamHandler()\nwrite(x)") == [
        1, 2, 3, 4
    ]  # fmt: skip


def test_nothing_is_written_to_a_terminal_but_through_the_door() -> None:
    found = {
        str(path.relative_to(PACKAGE)) for path in sorted(PACKAGE.rglob("*.py")) if beside_the_door(path.read_text())
    }
    assert found - DOORS - CAPTURED == set()
