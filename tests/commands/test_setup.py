"""`denet-tui setup` without a screen: what it prints, when it asks, what it leaves, and how it exits."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from denet_tui.checks import catalogue
from denet_tui.checks.model import BOTH, Check, Finding, Fix, SetValue, State
from denet_tui.commands import setup as commands_setup
from denet_tui.commands.setup import Setup, SetupError, SetupRequest
from denet_tui.repair.plan import PlanError
from denet_tui.repair.runner import CancelledError
from denet_tui.repair.steps import Settings
from tests.checks.fake import FakeHost
from tests.commands.test_setup_schema import parsed
from tests.real import environment
from tests.watch.helpers import DENET, denet

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it changes what only root can"),
]

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--ambient-caps=-all"]
MOUNTS = "grep tracefs /proc/self/mountinfo | cut -d' ' -f5-"


def alone(script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in a mount namespace of its own, with no tracefs and an empty state folder."""
    prepare = "umount -a -t tracefs; mount -t tmpfs -o mode=755 tmpfs /var/lib; "
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", prepare + script, "sh", *DENET],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
@pytest.mark.early
@pytest.mark.usefixtures("steady_tracefs")
def test_tracefs_is_mounted_proven_mounted_no_second_time_and_unmounted(proven: str) -> None:
    """The real fix, the real probe: FS-001."""
    done = alone(
        f"""{MOUNTS} > /var/lib/before
        "$@" setup --yes --only FS-001 --json > /var/lib/1; echo "applied $?"
        {MOUNTS} > /var/lib/mounted
        {proven} "$@" setup --yes --only FS-001.mount --json > /var/lib/2; echo "again $?"
        {MOUNTS} | cmp - /var/lib/mounted && ls /var/lib/denet-tui
        "$@" setup --undo --json > /var/lib/3; echo "undone $?"
        {MOUNTS} | cmp - /var/lib/before && ls -A /var/lib/denet-tui 2>&1
        cd /var/lib; for each in 1 2 3 mounted; do cat $each; echo '###'; done"""
    )
    head, _, rest = done.stdout.partition("{")
    assert head.splitlines()[0] == "applied 0"
    assert "again 0" in head
    assert "undone 0" in head
    assert "journal.jsonl" in head
    assert "journal.jsonl" not in head.partition("undone 0")[2]
    applied, again, undone, mounted, _ = ("{" + rest).split("###")
    found = parsed(applied)
    assert found["applied"] == [{"id": "FS-001.mount", "changed": True, "undo": found["plan"][0]["undo"]}]
    mount = "-t tracefs -o nosuid,nodev,noexec tracefs /sys/kernel/tracing"
    assert found["plan"][0]["commands"][0][1:] == mount.split()
    states = {each["id"]: each["state"] for each in found["verified"]}
    assert (states["FS-001"], states["FS-002"], states["E2E-001"]) == ("pass", "pass", "pass")
    assert found["ready"] is True
    assert (parsed(again)["plan"], parsed(again)["applied"]) == ([], [])
    assert parsed(undone)["undone"] == [{"id": "FS-001.mount", "left": []}]
    assert "/sys/kernel/tracing" in mounted


LEFT = r"""
mkdir /mnt/u /mnt/w; mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/u,workdir=/mnt/w /etc || exit 97
mkdir -p /etc/systemd/system /etc/udev/rules.d
printf '[Service]\nType=oneshot\nExecStart=/bin/chmod -R g+rwx /sys/kernel/tracing\n' \
    > /etc/systemd/system/tracefs-permissions.service
printf 'SUBSYSTEM=="tracefs", GROUP="tracing"\n' > /etc/udev/rules.d/99-tracefs.rules
"""


@pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="needs a machine that systemd does not run")
@pytest.mark.slow
def test_leftovers_go_where_systemd_does_not_run_and_what_only_lasts_until_reboot_says_so(proven: str) -> None:
    done = alone(
        f"""{proven} mount -t tmpfs tmpfs /mnt; {LEFT}
        "$@" setup --yes --only LEFT-001; echo "applied $?"; ls /etc/udev/rules.d /etc/systemd/system
        "$@" setup --undo; echo "undone $?"; ls -A /var/lib/denet-tui; ls /etc/udev/rules.d /etc/systemd/system
        "$@" setup --plan --permanent --only FS-001"""
    )
    _, _, after = done.stdout.partition("applied 0\n")
    assert "undone 0\n" in after, done.stdout
    assert "PID 1" not in done.stdout + done.stderr, "systemctl was not asked"
    removed, _, given_back = after.partition("undone 0\n")
    for name in ("99-tracefs.rules", "tracefs-permissions.service"):
        assert name not in removed.partition("undone")[0].partition("undo")[0]
        assert name in given_back
    assert "journal.jsonl" not in given_back
    assert "--permanent: nothing that lasts is known" in given_back


def test_a_plan_changes_nothing(proven: str) -> None:
    done = alone(
        f"""{proven} "$@" setup --plan; echo "exit $?"; "$@" setup --plan --only FS-001; echo "exit $?"
        "$@" setup --only FS-001
        echo "exit $?"; ls -A /var/lib/denet-tui; {MOUNTS}"""
    )
    assert "Nothing to do: watching works here." in done.stdout, "raw tracepoints need no tracefs"
    assert "FS-001.mount: mount tracefs" in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("exit")] == ["exit 0", "exit 1", "exit 1"]
    assert "Nothing was changed. To apply it add --yes" in done.stdout
    assert "mount -t tracefs -o nosuid,nodev,noexec tracefs /sys/kernel/tracing" in done.stdout
    assert done.stdout.endswith("exit 1\n"), "no journal, no mount"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("answer", "status", "mounted"), [(b"y\n", 0, True), (b"\n", 1, False), (b"\x04", 1, False)])
def test_at_a_terminal_it_asks_once(answer: bytes, status: int, mounted: bool, proven: str) -> None:
    nothing = f"umount -a -t tracefs; mount -t tmpfs -o mode=755 tmpfs /var/lib; {proven}"
    script = f'{nothing} "$@" setup --only FS-001; x=$?; {MOUNTS}'
    pid, terminal = pty.fork()
    if pid == 0:
        argv = ["unshare", "--mount", "sh", "-c", f"{script}; exit $x", "sh", *DENET]
        os.execvpe(argv[0], argv, environment())
    said, answered, deadline = b"", False, time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                said += os.read(terminal, 65536)
            except OSError:
                break
        if not answered and b"Apply this? [y/N]" in said:
            os.write(terminal, answer)
            answered = True
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status, said.decode()
    os.close(terminal)
    assert said.count(b"Apply this?") == 1
    assert (b"- tracefs tracefs" in said.partition(b"Apply this?")[2]) == mounted


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--nonsense"], "No such option '--nonsense'; see `denet-tui setup --help`"),
        (["--plan", "--yes"], "--plan changes nothing, --yes applies: choose one"),
        (["--plan", "--undo"], "--plan changes nothing, --undo does: choose one"),
        (["--undo", "--permanent"], "--permanent is for applying"),
        (["--plan", "--log-file", "/nonexistent/x"], "cannot write the log to /nonexistent/x"),
    ],
)
def test_words_that_make_no_sense(words: list[str], says: str) -> None:
    done = denet("setup", *words)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("denet-tui: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["--yes"], ["--undo"], ["--yes", "--json"]])
def test_without_root_one_line_says_how(words: list[str]) -> None:
    command = " ".join([*DENET, "setup", *words])
    done = subprocess.run(
        [*NOBODY, "bash", "-c", command], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "denet-tui: this changes the machine, which only root can; sudo does not let you run it"
    )
    assert "ask an administrator of this machine" in done.stderr
    assert done.stderr.count("\n") == 1
    assert ("--yes" if "--yes" in words else "--undo") in done.stderr


def test_without_root_there_is_still_a_plan() -> None:
    command = " ".join([*DENET, "setup", "--plan"])
    done = subprocess.run(
        [*NOBODY, "bash", "-c", command], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "For you to do (PRIV-001" in done.stdout
    assert "ask an administrator" in done.stdout, "no rule of sudo names this user"


def test_no_screen_is_loaded(proven: str) -> None:
    look = "import sys; sys.argv = ['denet-tui', 'setup', '--plan']\nfrom denet_tui.cli import main\n"
    look += (
        "try: main()\nfinally: print(sorted(set(sys.modules) & {'textual', 'rich', 'plotext', 'bcc'}), file=sys.stderr)"
    )
    words = ["unshare", "--mount", "sh", "-c", f'{proven} exec "$@"', "sh", sys.executable, "-c", look]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"


class Bench:
    """Setup on a machine of two checks: A-001 wants a value of 2, which brings to light that B-001 wants its own."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        for name in "ab":
            (root / name).write_text("3\n")
        checks = (
            Check("A-001", "kernel", "a", lambda host: self.find("A-001", "a")),
            Check("B-001", "kernel", "b", lambda host: self.find("B-001", "b" if self.value("a") == "2" else "")),
            Check("E2E-001", "proof", "proof", lambda host: self.proof()),
        )
        monkeypatch.setattr(catalogue, "ALL", checks)
        self.settings = Settings(state=str(root / "state"), values=(f"{root}/",))
        self.works = True

    def value(self, name: str) -> str:
        return (self.root / name).read_text().strip()

    def find(self, identity: str, name: str) -> Finding:
        if not name or self.value(name) == "2":
            return Finding(identity, State.PASS, "good")
        change = SetValue(f"{self.root}/{name}", "2")
        fix = Fix(f"{identity}.set", f"set {name}", (change,), "until-reboot", "set it back")
        return Finding(identity, State.FAIL, f"{name} is wrong", required_for=BOTH, fixes=(fix,))

    def proof(self) -> Finding:
        good = self.works and self.value("a") == self.value("b") == "2"
        return Finding("E2E-001", State.PASS if good else State.FAIL, "proof", required_for=BOTH)

    def setup(self, **options: Any) -> Setup:
        host = FakeHost(files={"/proc/sys/kernel/random/boot_id": "1", f"{self.root}/a": self.value("a")})
        return Setup(SetupRequest(**options), lambda: host, settings=self.settings)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_what_comes_to_light_is_repaired_too(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    setup = bench.setup(yes=True)
    assert setup.run() == 0
    assert [each["id"] for each in setup.result.applied] == ["A-001.set", "B-001.set"]
    said = capsys.readouterr().out
    assert f"    set    {bench.root}/a: 3 -> 2" in said
    assert said.rstrip().endswith("Ready.")
    assert bench.setup(yes=True).run() == 0
    undo = bench.setup(undo=True)
    assert undo.run() == 0
    assert [each["id"] for each in undo.result.undone] == ["B-001.set", "A-001.set"]
    assert (bench.value("a"), bench.value("b")) == ("3", "3")
    assert not (bench.root / "state").exists()


def test_only_what_was_asked_for(bench: Bench) -> None:
    setup = bench.setup(yes=True, only=("A-001",))
    assert (setup.run(), setup.result.ready) == (1, False), "the exit status says whether watching works"
    assert (bench.value("a"), bench.value("b")) == ("2", "3")
    with pytest.raises(PlanError, match="X-001: no such check or fix here"):
        bench.setup(yes=True, only=("X-001",)).run()


def test_a_fix_that_does_not_help_is_said_and_can_be_undone(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.works = False
    assert bench.setup(yes=True).run() == 1
    assert "Not ready yet: `denet-tui diag` says what is in the way." in capsys.readouterr().out
    assert bench.setup(undo=True).run() == 0
    assert bench.value("a") == "3"


def test_a_fix_that_fails_is_one_line_and_status_1(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    (bench.root / "a").unlink()
    (bench.root / "a").symlink_to(bench.root / "b")
    setup = bench.setup(yes=True, as_json=True)
    assert setup.run() == 1
    out, err = capsys.readouterr()
    found = parsed(out)
    assert found["failed"][0]["id"] == "A-001.set"
    assert "not a regular file" in found["failed"][0]["error"]
    assert found["applied"] == []
    assert "A-001.set: set a" in err


def test_an_undo_that_somebody_made_impossible_is_said(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.setup(yes=True).run()
    (bench.root / "b").write_text("7\n")
    undo = bench.setup(undo=True)
    assert undo.run() == 1
    assert undo.result.undone[0]["left"] == [
        f"{bench.root}/b was changed since, by somebody else: left as it is (by hand: set it back)"
    ]
    assert (bench.value("a"), bench.value("b")) == ("3", "7")
    assert "B-001.set: only partly undone" in capsys.readouterr().out


def test_a_run_that_was_cut_off_is_said_by_plan_and_mended_by_yes(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    child = os.fork()
    if child == 0:
        monkeypatch.setattr("denet_tui.repair.journal.Journal.done", lambda *_: os._exit(9))
        bench.setup(yes=True).run()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert bench.value("a") == "2"
    assert bench.setup(plan=True).run() == 1
    assert "an earlier setup was interrupted half-way" in capsys.readouterr().out
    assert bench.setup(yes=True).run() == 0
    assert "A-001.set was interrupted half-way by an earlier run: taking it back" in capsys.readouterr().out
    bench.setup(undo=True).run()
    assert bench.value("a") == "3"


def test_a_cancelled_run_leaves_nothing(bench: Bench) -> None:
    setup = bench.setup(yes=True)
    setup._cancel.set()
    with pytest.raises(CancelledError, match=r"A-001\.set was cancelled, and what it had done was taken back"):
        setup.run()
    assert bench.value("a") == "3"


def test_a_forged_journal_is_one_clear_line(bench: Bench) -> None:
    bench.setup(yes=True).run()
    path = bench.root / "state/journal.jsonl"
    path.write_text(path.read_text().replace('"3"', '"0"', 1))
    for options in ({"undo": True}, {"yes": True}, {"plan": True}):
        with pytest.raises(commands_setup.RepairError, match="was not written by denet-tui, or was changed since"):
            bench.setup(**options).run()


def test_a_setup_that_breaks_says_so_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: Setup) -> int:
        raise ZeroDivisionError("x")

    monkeypatch.setattr(Setup, "run", broken)
    with pytest.raises(SystemExit) as caught:
        commands_setup.setup(SetupRequest())
    assert caught.value.code == 70
    err = capsys.readouterr().err
    assert err.startswith("denet-tui: setup itself broke (ZeroDivisionError: x); please report it")
    assert err.count("\n") == 1


def test_contradictions_are_told(bench: Bench) -> None:
    with pytest.raises(SetupError, match="choose one"):
        bench.setup(plan=True, yes=True).run()
