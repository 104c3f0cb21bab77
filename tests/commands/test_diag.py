"""`denet-tui diag` for real: on this machine as root, as nobody, under sudo; its files, statuses and log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from denet_tui.checks import catalogue
from denet_tui.commands import diag as commands_diag
from denet_tui.commands.diag import DiagError
from denet_tui.helper.check_runner import logged
from tests.checks.fake import FakeHost
from tests.forked import each
from tests.real import DENET, REPOSITORY, WITH_TRACEFS, environment

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--ambient-caps=-all"]
SCHEMA = json.loads(resources.files("denet_tui.report").joinpath("diag.schema.json").read_text())
CHEAP = ("--only", "KERN-003,KERN-004")


def diag(*words: str, before: tuple[str, ...] = (), **changed: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*before, *DENET, "diag", *words],
        env=environment() | changed,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


def parsed(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(result)
    return result


def states(result: dict[str, Any]) -> dict[str, str]:
    return {finding["id"]: finding["state"] for finding in result["findings"]}


@pytest.mark.root
def test_this_machine_is_ready() -> None:
    result = parsed(diag("--json", before=("unshare", "--mount", "sh", "-c", WITH_TRACEFS, "sh")))
    assert result["ways"]["raw"] == {"verdict": "ready", "ids": []}
    assert result["ready"] is True
    found = states(result)
    assert list(found) == [check.id for check in catalogue.ALL]
    assert "crash" not in found.values()
    assert not [each for each in result["findings"] if each["state"] == "fail" and "raw" in each["required_for"]]
    assert result["next"]["command"][-4:] == ["denet-tui", "run", "--", "CMD"]
    assert result["checked_as"] == {"uid": 0, "for": "root"}


@pytest.mark.root
def test_a_ready_machine_without_tracefs_shows_nothing_red() -> None:
    before = ("unshare", "--mount", "sh", "-c", 'umount -q /sys/kernel/tracing; exec "$@"', "sh")
    done = diag("--json", before=before)
    result = parsed(done)
    assert (done.returncode, result["ways"]["tracefs"]["verdict"]) == (0, "blocked")
    found = {each["id"]: each for each in result["findings"]}
    assert (found["FS-001"]["state"], found["E2E-001"]["state"]) == ("optional", "pass")
    assert "fail" not in {each["state"] for each in result["findings"] if each["required_for"]}
    assert found["E2E-001"]["title"].startswith("1,000 known calls were made, and 1,000 counted, by raw tracepoints;")
    assert found["E2E-001"]["evidence"][0]["value"] == "1,000 calls made, 1,000 counted"
    assert "\N{WHITE CIRCLE} optional FS-001" in diag("--only", "FS-001", before=before).stdout


@pytest.mark.root
def test_as_nobody_every_check_that_can_answer_does() -> None:
    done = diag("--json", before=tuple(NOBODY))
    result = parsed(done)
    assert done.returncode == 1
    assert result["ready"] is False
    found = states(result)
    assert "crash" not in found.values()
    assert found["PRIV-001"] == "fail"
    assert found["KERN-001"] == "pass"
    assert "PRIV-001" in result["ways"]["raw"]["ids"]
    assert found["OTHER-001"] == "unknown", "only root can see it"


@pytest.mark.root
def test_as_nobody_the_text_says_so_and_what_to_do() -> None:
    done = diag(before=tuple(NOBODY))
    assert done.returncode == 1
    assert done.stdout.startswith(f"denet-tui diag: {len(catalogue.ALL)} checks as nobody\n")
    assert "needs root" in done.stdout
    assert "method  raw: blocked by PRIV-001" in done.stdout
    assert done.stdout.rstrip().endswith("diag")


def test_text_is_plain_where_nobody_looks_at_a_terminal() -> None:
    done = diag(*CHEAP)
    assert "\x1b" not in done.stdout
    assert "\N{CHECK MARK} pass" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("term", "no_color", "coloured"), [("xterm", "", True), ("dumb", "", False), ("xterm", "1", False)]
)
def test_colour_on_a_terminal_unless_told_not_to(term: str, no_color: str, coloured: bool) -> None:
    import pty

    leader, follower = pty.openpty()
    words = [*DENET, "diag", *CHEAP]
    settings = environment() | {"TERM": term, "NO_COLOR": no_color}
    with subprocess.Popen(words, stdout=follower, stdin=follower, env=settings, cwd=REPOSITORY) as process:
        process.wait(timeout=30)
    shown = os.read(leader, 65536)
    os.close(leader)
    os.close(follower)
    assert (b"\x1b[" in shown) == coloured
    assert b"pass" in shown


def test_only_some() -> None:
    result = parsed(diag("--json", "--only", "kern-003", "--only", "KERN-001,FS-004"))
    assert set(states(result)) == {"KERN-001", "KERN-003", "FS-004"}


def test_wrong_words_are_one_line_and_64() -> None:
    wrong = [
        ["--only", "NONE-001"],
        ["--nonsense"],
        ["x"],
        [*CHEAP, "--report", "/nowhere/at/all"],
        [*CHEAP, "--report", "/dev/null"],
        [*CHEAP, "--log-file", "/nowhere/at/all"],
        [*CHEAP, "--json", "--report", "-"],
    ]
    empty = [["diag", "--only", ""], ["setup", "--plan", "--only", " , "]]
    for done in each([*empty, *(["diag", *words] for words in wrong)]):
        assert (done.returncode, done.stdout) == (64, ""), done.args
        assert done.stderr.startswith("denet-tui: ")
        assert done.stderr.count("\n") == 1, done.stderr


def statuses(body: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Diag with another catalogue: the checks that these lines make, named `checks`."""
    script = (
        "import sys\nfrom denet_tui.checks import catalogue\n"
        "from denet_tui.checks.model import *\n"
        "def check(id, state):\n"
        "    return Check(id, 'proof', id, lambda host: Finding(id, state, 'title', required_for=BOTH))\n"
        f"{body}\ncatalogue.ALL = checks\ncatalogue.by_id = {{each.id: each for each in checks}}\n"
        "sys.argv = ['denet-tui', 'diag', *sys.argv[1:]]\nfrom denet_tui.cli import main; main()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *words], env=environment(), cwd=REPOSITORY, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("checks", "words", "status"),
    [
        ("check('E2E-001', State.PASS),", [], 0),
        ("check('E2E-001', State.FAIL),", [], 1),
        ("check('E2E-001', State.PASS), check('A-001', State.WARN)", ["--strict"], 2),
        ("check('E2E-001', State.PASS), check('A-001', State.WARN)", [], 0),
        ("check('E2E-001', State.PASS), Check('A-001', 'kernel', 'a', lambda host: 1 / 0)", [], 70),
    ],
)
def test_exit_statuses(checks: str, words: list[str], status: int) -> None:
    done = statuses(f"checks = ({checks})", *words)
    assert (done.returncode, done.stderr) == (status, "")


def test_a_terminal_that_knows_ascii_alone_gets_nothing_else() -> None:
    done = statuses("checks = (check('E2E-001', State.PASS),)\nsys.stdout.reconfigure(encoding='ascii')")
    assert "pass     E2E-001" in done.stdout
    assert done.stdout.isascii()


def test_a_crash_is_shown_and_the_rest_go_on() -> None:
    done = statuses("checks = (Check('A-001', 'kernel', 'a', lambda host: 1 / 0), check('E2E-001', State.PASS))")
    assert "# crash    A-001       a: the check itself broke (ZeroDivisionError)" in done.stdout
    assert "pass     E2E-001" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_where_diag_itself_breaks_the_status_is_70() -> None:
    done = statuses("checks = ()\nfrom denet_tui.checks import verdict\nverdict.methods = None")
    assert done.returncode == 70
    assert done.stderr.startswith("denet-tui: diag itself broke (TypeError")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_goes_away_is_no_mistake() -> None:
    script = f"{' '.join(DENET)} diag --json --only KERN-003 | true"
    done = subprocess.run(["sh", "-c", script], env=environment(), cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stderr == ""


def test_textual_is_never_imported() -> None:
    script = (
        "import sys; sys.argv = ['denet-tui', 'diag', '--json']\n"
        "from denet_tui.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    loaded = set(done.stderr.split())
    assert "denet_tui.report.report" in loaded
    assert not {name.partition(".")[0] for name in loaded} & {"textual", "rich", "plotext", "bcc"}


# The report


def test_the_report_is_written_and_redacted(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    done = diag(*CHEAP, "--report", str(path))
    complete = path.read_text()
    assert f"report  {path}" in done.stdout
    assert complete.startswith("# denet-tui diagnostic report")
    assert path.stat().st_mode & 0o777 == 0o600
    name = Path("/proc/sys/kernel/hostname").read_text().strip()
    if len(name) > 4:
        assert name not in complete
    assert str(tmp_path) not in complete
    diag(*CHEAP, "--report", str(path), "--no-redact")
    assert str(path) in path.read_text()
    assert path.read_text().count("# denet-tui diagnostic report") == 1


def test_the_report_can_go_to_stdout() -> None:
    assert diag(*CHEAP, "--report", "-").stdout.startswith("# denet-tui diagnostic report")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may write to; pytest's own are root's alone, and those above them too."""
    with tempfile.TemporaryDirectory(prefix="denet-tui-diag-") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.mark.root
def test_what_is_not_the_askers_own_is_not_overwritten(open_folder: Path) -> None:
    """Somebody else's file, a link that somebody planted to a file of the asker's, a second name of one, a fifo."""
    roots, own, twice = files = [open_folder / name for name in ("roots", "own", "twice")]
    for file in files:
        file.write_text("as it was")
        file.chmod(0o666)
        os.chown(file, 0 if file == roots else 65534, -1)
    (open_folder / "link").symlink_to(own)
    os.link(twice, open_folder / "hard")
    os.mkfifo(open_folder / "fifo", 0o666)
    (open_folder / "fifo").chmod(0o666)
    asked = {"SUDO_UID": "65534", "SUDO_GID": "65534"}
    for name in ("roots", "link", "hard", "fifo", "."):
        done = diag(*CHEAP, "--report", str(open_folder / name), **asked)
        assert (done.returncode, done.stdout) == (64, ""), name
        assert [file.read_text() for file in files] == ["as it was"] * 3
    assert diag(*CHEAP, "--report", str(own), **asked).returncode == 0
    assert own.read_text().startswith("# denet-tui")


@pytest.mark.root
def test_under_sudo_checks_are_roots_and_files_the_askers(open_folder: Path) -> None:
    path, log = open_folder / "report.md", open_folder / "log"
    asked = {"SUDO_UID": "65534", "SUDO_GID": "65534"}
    done = diag("--only", "PRIV-001", "--report", str(path), "--log-file", str(log), **asked)
    assert done.returncode == 0, done.stderr
    assert "as root, for nobody" in done.stdout
    assert "root may load" in done.stdout
    assert (path.stat().st_uid, log.stat().st_uid) == (65534, 65534)
    assert "host.status() = " in log.read_text()


# --debug


def test_debug_shows_all_that_was_looked_at() -> None:
    done = diag(*CHEAP, "--debug")
    assert "host.read('/proc/sys/kernel/unprivileged_bpf_disabled') = " in done.stderr
    assert "KERN-004: pass" in done.stderr
    assert "host." not in diag(*CHEAP).stderr


def test_a_host_that_is_looked_at_answers_as_the_real_one(caplog: pytest.LogCaptureFixture) -> None:
    host = logged(FakeHost({"/a": "x" * 1000}, uid=7))
    with caplog.at_level("DEBUG", "denet_tui"):
        assert host.read("/a") == "x" * 1000
        with pytest.raises(OSError, match="No such file"):
            host.read("/b")
    assert host.uid == 7
    assert "host.read('/b'): No such file or directory" in caplog.text
    assert len(caplog.messages[0]) < 500


def test_a_device_is_no_place_for_a_report() -> None:
    with pytest.raises(DiagError, match="is not a file of your own"):
        commands_diag._write(Path("/dev/full"), "text")
