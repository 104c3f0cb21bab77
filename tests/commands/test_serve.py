"""`serve` from outside: what Prometheus reads, who serves it, and how few series thousands of processes make."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pwd
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from denet_tui.model import Loss
from denet_tui.record.metrics import Metrics
from tests.real import REPOSITORY, environment
from tests.record.made import INFO, READ, counted, process, snapshot
from tests.test_cli import complaint
from tests.watch.helpers import DENET, PATIENCE, denet, descriptors, eventually, run, status, text_of

ACCEPT = {"Accept": "application/openmetrics-text; version=1.0.0"}
Samples = dict[tuple[str, ...], float]


class Served:
    """A running `serve`."""

    def __init__(self, process: subprocess.Popen[bytes], said: Path) -> None:
        self.process, self._said = process, said
        eventually(lambda: "metrics on " in text_of(said) or process.poll() is not None, "it listens")
        found = re.search(r"metrics on (\S+): for (.*)\n", text_of(said))
        assert found, text_of(said)
        self.where, self.whom = found[1], found[2]

    @property
    def said(self) -> str:
        return text_of(self._said)

    def samples(self) -> Samples:
        """As Prometheus reads them now."""
        return parsed(self.told())

    def has(self, *texts: str) -> bool:
        """Whether one line has all of them; much quicker than to read all lines."""
        return any(all(text in line for text in texts) for line in self.told().splitlines())

    def told(self, query: str = "") -> str:
        """The answer."""
        scheme, _, rest = self.where.partition(":")
        if scheme == "unix":
            asked = http.client.HTTPConnection("localhost", timeout=PATIENCE)
            asked.sock = socket.socket(socket.AF_UNIX)
            asked.sock.connect(str(self._said.with_name(rest)))
        else:
            asked = http.client.HTTPConnection(rest.split("/")[2], timeout=PATIENCE)
        with contextlib.closing(asked):
            asked.request("GET", f"/metrics{query}", headers=ACCEPT)
            return asked.getresponse().read().decode()


def parsed(told: str) -> Samples:
    """Value by name and the values of labels, in the order of the labels' names."""
    rows = [each for family in text_string_to_metric_families(told) for each in family.samples]
    found = {(each.name, *(value for _, value in sorted(each.labels.items()))): each.value for each in rows}
    assert len(found) == len(rows)
    return found


def total(samples: Samples, name: str, *labels: str) -> int:
    """The sum of all series of that name which have all of these values."""
    return int(sum(value for key, value in samples.items() if key[0] == name and set(labels) <= set(key[1:])))


@contextlib.contextmanager
def serving(folder: Path, *words: str, listen: str = "127.0.0.1:0") -> Iterator[Served]:
    """One that is ended afterwards."""
    argv = [*DENET, "serve", "--listen", listen, *words]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(argv, env=environment(), cwd=folder, stdin=subprocess.DEVNULL, stderr=said)
    try:
        yield Served(process, folder / "said")
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.mark.root
def test_the_machine_by_cgroup_program_call_and_errno_from_who_may_do_nothing(tmp_path: Path) -> None:
    own = Path("/proc/self/cgroup").read_text().rpartition("0::")[2].strip() or "unknown"
    name = f"cat{os.getpid()}"
    shutil.copy("/bin/cat", tmp_path / name)
    with serving(tmp_path, "--max-series", "50000") as served:
        eventually(lambda: served.has("denet_exact"), "the machine is watched")
        assert served.whom == "every user of this machine"
        for _ in range(7):
            subprocess.run([tmp_path / name, "/nowhere/at/all"], stderr=subprocess.DEVNULL)
        eventually(lambda: served.has(f'comm="{name}"', 'syscall="exit_group"', " 7.0"), "it is counted")
        found = served.samples()
        assert found["denet_calls_total", own, name, "execve"] == 7
        assert found["denet_errors_total", own, name, "ENOENT", "access"] == 7, "ld.so.preload"
        assert found["denet_errors_total", own, name, "ENOENT", "openat"] >= 7
        assert total(found, "denet_calls_total") >= total(found, "denet_call_seconds_count") > 0
        assert found["denet_exact",] == (total(found, "denet_lost_total") == 0), "others may be at work here"
        assert found["process_cpu_seconds_total",] > 0
        rights = status(served.process.pid)
        assert (rights["Uid"].split()[0], rights["CapEff"], rights["NoNewPrivs"]) == ("65534", "0" * 16, "1")
        assert any("bpf" in each for each in descriptors(served.process.pid).values())
        served.process.terminate()
        assert served.process.wait(PATIENCE) == 0
    assert "whole machine" in served.said


@pytest.mark.root
def test_what_is_asked_for_by_name_is_answered_alone(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        eventually(lambda: served.has("denet_exact"), "the machine is watched")
        some = parsed(served.told("?name[]=denet_exact&name[]=process_cpu_seconds_total&name[]=denet_calls_total"))
        assert {key[0] for key in some} == {"denet_exact", "process_cpu_seconds_total", "denet_calls_total"}
        assert parsed(served.told("?name[]=nothing")) == {}


@pytest.mark.root
@pytest.mark.slow
def test_two_thousand_processes_come_and_go_and_nothing_grows(tmp_path: Path) -> None:
    work = "read x; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); (:); done; read x"
    with subprocess.Popen(["sh", "-c", work], stdin=subprocess.PIPE) as shell, serving(tmp_path, str(shell.pid)) as it:
        assert shell.stdin
        eventually(lambda: it.has("denet_exact 1"), "the shell is watched")
        before, most = it.samples(), 0
        shell.stdin.write(b"\n")
        shell.stdin.flush()
        while total(now := it.samples(), "denet_ended_total") < 2000:
            most = max(most, len(now))
            time.sleep(0.2)
        assert total(now, "denet_calls_total", "sh", "exit_group") == 2000
        assert total(now, "denet_lost_total") == 0
        assert now["denet_exact",] == 1
        assert most < 800
        grown = now["process_resident_memory_bytes",] - before["process_resident_memory_bytes",]
        assert grown < 24 << 20, "the last 500 of the ended are kept"
        shell.stdin.close()
    print(f"\n{grown / 1e6:.1f} MB more, {most} series")


@pytest.mark.root
def test_a_command_runs_as_who_asked_and_is_served_by_somebody_else_until_it_ends(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    os.mkfifo(tmp_path / "fifo")
    work = "for i in 1 2 3; do ls /nowhere; done 2> /dev/null; id -u > uid; read x < fifo; exit 3"
    words = ("--run-as", "daemon", "--", "sh", "-c", work)
    with serving(tmp_path, *words, listen="unix:metrics") as served:
        assert served.whom == "this user and its group"
        eventually(lambda: served.has('comm="ls"', 'syscall="exit_group"', " 3.0"), "it is counted")
        assert total(served.samples(), "denet_errors_total", "ls", "ENOENT", "statx") >= 3
        there = (tmp_path / "metrics").stat()
        assert (stat.S_IMODE(there.st_mode), there.st_uid) == (0o660, int(status(served.process.pid)["Uid"].split()[0]))
        assert there.st_uid == pwd.getpwnam("daemon").pw_uid
        (tmp_path / "fifo").write_text("\n")
        assert served.process.wait(PATIENCE) == 3
    assert text_of(tmp_path / "uid") == "0\n"
    assert not (tmp_path / "metrics").exists()


@pytest.mark.root
def test_who_connects_and_says_nothing_keeps_nobody_out(tmp_path: Path) -> None:
    with serving(tmp_path, "--", "sleep", "100") as served, contextlib.ExitStack() as idle:
        host, port = re.findall(r"//(.*):(\d+)/", served.where)[0]
        for _ in range(30):
            idle.enter_context(socket.create_connection((host, int(port))))
        eventually(lambda: served.has("denet_exact 1"), "it answers")
        assert int(status(served.process.pid)["Threads"]) < 16
        line = complaint(denet("serve", "--listen", f"{host}:{port}", "--", "true"))
        assert line == f"cannot listen on {served.where}: Address already in use; see --listen"


@pytest.mark.root
def test_a_socket_that_was_left_is_taken_and_one_in_use_is_not(tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    tmp_path.chmod(0o777)
    words = ("serve", "--run-as", "root", "--listen", f"unix:{path}", "--", "true")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert "Address already in use" in complaint(denet(*words))
        assert path.exists()
    assert denet(*words).returncode == 0
    assert not path.exists()


def test_wrong_words_are_one_line() -> None:
    for words, says in (
        (["--listen", "9783"], "--listen 9783 is neither HOST:PORT nor unix:PATH, as 127.0.0.1:9783"),
        (["--user", "root", "1"], "no command or id beside them"),
    ):
        assert says in complaint(denet("serve", *words))


def test_without_the_package_it_says_how_to_have_it() -> None:
    code = "import sys; sys.modules['prometheus_client'] = None; from denet_tui.cli import main; main()"
    line = complaint(run(sys.executable, "-c", code, "serve", "--", "true"))
    assert line == (
        f"serve needs the package prometheus-client: {sys.executable} -m pip install 'prometheus-client>=0.22'"
    )


def test_what_the_documents_name_is_served() -> None:
    """Every metric; tests/lab/test_serve.py runs the commands."""
    metrics = Metrics(INFO, 3000)
    metrics.add(snapshot(0.5, [process(1000, {READ: counted(2, 1)})], loss=Loss(rows=1)))
    served = {each.name for family in metrics.collect() for each in family.samples}
    families = {each.name for each in metrics.collect()} | {f"{each.name}_info" for each in metrics.collect()}
    for path in (REPOSITORY / "docs/serve.md", *(REPOSITORY / "docs/serve").iterdir()):
        named = set(re.findall(r"\bdenet_[a-z_]+", path.read_text()))
        assert named <= served | families, path
    assert json.loads((REPOSITORY / "docs/serve/dashboard.json").read_text())["panels"]
