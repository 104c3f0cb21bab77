"""What is remembered of a good run, what is said to have changed since, and which records are not believed."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denet_tui.bpf.facts import Mount
from denet_tui.bpf.privilege import User
from denet_tui.bpf.toolchain import Toolchain, ToolchainError
from denet_tui.checks import drift, last_good
from denet_tui.checks.host import Host
from denet_tui.checks.model import State
from tests.checks.fake import Content, FakeHost, status
from tests.real import DENET, REPOSITORY, environment

RECORD = "/var/lib/denet-tui/last-good.json"
LIBRARY = "/usr/lib/x86_64-linux-gnu/libbcc.so.0"
TRACEFS = Mount("/sys/kernel/tracing", "tracefs", ("rw", "nosuid"), ("rw",))


@pytest.fixture(autouse=True)
def _no_state_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)


def host(record: Content | None = None, **more: object) -> FakeHost:
    files: dict[str, Content] = {
        "/proc/sys/kernel/unprivileged_bpf_disabled": "2\n",
        "/proc/sys/kernel/perf_event_paranoid": "3\n",
        "/proc/self/status": status("000001ffffffffff"),
        LIBRARY: "library",
    }
    here = FakeHost(
        files | ({} if record is None else {RECORD: record}),
        mounts=[TRACEFS],
        magics={TRACEFS.point: 0x74726163},
        modes={RECORD: 0o600},
        times={LIBRARY: 1700000000.0},
        **more,  # type: ignore[arg-type]
    )
    here.answers.setdefault("asker", User(0, 0, "root", "/root"))
    here.answers["find_bcc"] = lambda: Toolchain(Path("/usr/lib/python3/dist-packages/bcc"), "0.26.0")
    return here


def recorded(**changed: str) -> str:
    return json.dumps({"format": 1, "seen": last_good.look(host()) | changed})


def test_nothing_recorded_is_skipped() -> None:
    assert drift.check_last_good(host()).state is State.SKIP


def test_nothing_changed_passes() -> None:
    finding = drift.check_last_good(host(recorded()))
    assert (finding.state, finding.title) == (State.PASS, "nothing has changed since the last good run")


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        (lambda here: setattr(here, "fake_release", "6.1.0-21-amd64"), "kernel", "is 6.1.0-21-amd64"),
        (lambda here: here.files.update({"/proc/sys/kernel/perf_event_paranoid": "4"}),
         "kernel.perf_event_paranoid", "was 3, is 4"),
        (lambda here: here.times.update({LIBRARY: 1800000000.0}), "libbcc", "written at 1800000000"),
        (lambda here: here.files.pop(LIBRARY), "libbcc", "is not there"),
        (lambda here: here.fake_mounts.clear(), "tracefs mount", "is not there"),
        (lambda here: here.answers.update(find_bcc=ToolchainError("gone")), "bcc", "is not there"),
        (lambda here: here.files.update({"/proc/self/status": status("0000000000000000")}),
         "capabilities CapEff as root", "is 0000000000000000"),
        (lambda here: here.files.pop("/proc/sys/kernel/unprivileged_bpf_disabled"),
         "kernel.unprivileged_bpf_disabled", "was 2, is No such file or directory"),
    ],
)  # fmt: skip
def test_each_change_is_said_in_words(change: object, name: str, words: str) -> None:
    here = host(recorded())
    change(here)  # type: ignore[operator]
    finding = drift.check_last_good(here)
    assert (finding.state, finding.blocks) == (State.WARN, ())
    assert finding.title == f"changed since the last good run: {name}"
    assert words in finding.evidence[0].value


def test_an_update_of_denet_tui_is_a_change_as_well() -> None:
    finding = drift.check_last_good(host(recorded(**{"denet-tui": "0.0.1"})))
    assert finding.evidence[0].value.startswith("was 0.0.1, is ")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"format": 1}', '{"format": 2, "seen": {}}', '{"format": 1, "seen": []}',
     '{"format": 1, "seen": 5}', "[" * 100_000,
     json.dumps({"format": 1, "seen": {str(number): "" for number in range(200)}}), b"\xff\x00"],
    ids=["empty", "cut off", "list", "null", "nothing seen", "format 2", "list seen", "number seen", "deep", "long",
         "binary"],
)  # fmt: skip
def test_a_damaged_record_is_unknown(content: Content) -> None:
    finding = drift.check_last_good(host(content))
    assert finding.state is State.UNKNOWN
    assert finding.evidence[0].source == RECORD


def test_a_record_of_somebody_else_is_not_believed() -> None:
    here = host(recorded(), owners={RECORD: (1000, 1000)})
    assert "belongs to uid 1000" in drift.check_last_good(here).evidence[0].value
    open_to_all = host(recorded())
    open_to_all.modes[RECORD] = 0o666
    assert "can be written by others" in drift.check_last_good(open_to_all).evidence[0].value
    linked = host(links={RECORD: "/etc/shadow"})
    assert "is not a regular file" in drift.check_last_good(linked).evidence[0].value


@pytest.mark.slow
@given(st.binary(max_size=500) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_no_record_crashes_the_check(content: bytes | str) -> None:
    assert drift.check_last_good(host(content)).state is State.UNKNOWN


def test_where_the_record_is(monkeypatch: pytest.MonkeyPatch) -> None:
    ada = {"asker": User(1000, 1000, "ada", "/home/ada")}
    own = "/home/ada/.local/state/denet-tui/last-good.json"
    assert last_good.where(host()) == RECORD
    assert last_good.where(host(uid=1000, answers=ada)) == last_good.where(host(uid=0, answers=ada)) == own
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert last_good.where(host(uid=1000, answers=ada)) == "/state/denet-tui/last-good.json"
    assert last_good.where(host(uid=0, answers=ada)) == own, "root's environment is not that of who asked"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert last_good.where(host(uid=1000, answers=ada)) == own


def test_what_only_one_of_them_could_look_at_is_no_change() -> None:
    before = json.loads(recorded())
    before["seen"]["capabilities CapEff as uid 1000"] = "0000000000000000"
    del before["seen"]["capabilities CapEff as root"]
    here = host(json.dumps(before))
    here.files["/proc/sys/kernel/kptr_restrict"] = errno.EACCES
    assert drift.check_last_good(here).state is State.PASS


@pytest.mark.slow
@pytest.mark.root
def test_only_the_same_kind_of_start_is_compared() -> None:
    """A run under sudo and then a look without it; a start with two capabilities and then one with none."""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    nothing, given = (
        [*nobody, f"--inh-caps=-all{more}", f"--ambient-caps=-all{more}", "bash", "-c", 'exec "$@"', "bash"]
        for more in ("", ",+bpf,+perfmon")
    )
    with tempfile.TemporaryDirectory(prefix="denet-tui-drift-") as folder:
        os.chown(folder, 65534, 65534)
        under_sudo = {"SUDO_UID": "65534", "SUDO_GID": "65534"}
        for state, variables in (([], under_sudo), (given, {})):
            changed = environment() | {"XDG_STATE_HOME": folder} | variables
            words = [*state, *DENET, "run", "--no-tui", "--attach-method", "raw", "--", "true"]
            assert subprocess.run(words, env=changed, cwd=REPOSITORY, capture_output=True, timeout=60).returncode == 0
            looked = [*nothing, *DENET, "diag", "--only", "DRIFT-001", "--json"]
            changed = environment() | {"XDG_STATE_HOME": folder}
            done = subprocess.run(looked, env=changed, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
            (finding,) = json.loads(done.stdout)["findings"]
            assert (finding["state"], finding["title"]) == ("pass", "nothing has changed since the last good run")


def test_what_is_remembered_here_is_recalled_and_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "denet-tui" / "last-good.json"
    for _ in range(2):
        last_good.remember(Host(), str(path))
        assert last_good.recall(Host(), str(path)) == last_good.look(Host())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["last-good.json"]


def test_a_symlink_in_its_place_is_refused_and_its_target_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    link = tmp_path / "last-good.json"
    link.symlink_to(target)
    with pytest.raises(OSError, match="is not a file of your own"):
        last_good.remember(Host(), str(link))
    with pytest.raises(OSError, match="symbolic links"):
        last_good.recall(Host(), str(link))
    assert target.read_text() == "precious"


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(OSError, match="can be written by others"):
        last_good.remember(Host(), str(tmp_path / "open" / "last-good.json"))
    assert list((tmp_path / "open").iterdir()) == []


@pytest.mark.root
def test_a_record_or_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "theirs" / "last-good.json"
    path.parent.mkdir()
    os.chown(path.parent, 65534, 65534)
    with pytest.raises(OSError, match="can be written by others"):
        last_good.remember(Host(), str(path))
    os.chown(path.parent, 0, 0)
    path.write_text("{}")
    os.chown(path, 65534, 65534)
    with pytest.raises(OSError, match="is not a file of your own"):
        last_good.remember(Host(), str(path))
    with pytest.raises(OSError, match="belongs to uid 65534"):
        last_good.recall(Host(), str(path))
    assert path.read_text() == "{}"


def test_a_write_that_fails_leaves_the_old_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last-good.json"
    last_good.remember(Host(), str(path))
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        last_good.remember(Host(), str(path))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["last-good.json"]
