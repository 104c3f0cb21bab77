"""Loading and leaving: no kernel headers, nothing left behind, neither after close nor after kill -9."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from denet_tui.bpf.tracepoints import EVENTS
from tests.bpf.inside import MAP_BY_ID, PROGRAM_BY_ID, living
from tests.real import DENET, REPOSITORY, environment, inside, run

pytestmark = pytest.mark.root

# In a mount namespace of its own; no folder is made on the machine for it.
_BARE = """
for folder in /lib/modules /usr/lib/modules /usr/src; do
    [ ! -d $folder ] || mount -t tmpfs tmpfs $folder || exit 99
done
for place in /sys/kernel/tracing /sys/kernel/debug/tracing /sys/kernel/debug; do
    while mountpoint -q $place; do umount -l $place || exit 98; done
done
[ -z "$(ls /lib/modules /usr/src 2> /dev/null | grep -v :)" ] || exit 97
exec "$@"
"""


def test_no_kernel_headers_and_no_tracefs_are_needed() -> None:
    done = run(["unshare", "--mount", "sh", "-c", _BARE, "sh", *DENET, "selftest"])
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert done.stdout.strip() == "raw tracepoints: read: 1,000 calls made, 1,000 counted (EBADF 1,000): exact"


def test_the_other_way_says_what_it_lacks_where_tracefs_is_not_mounted() -> None:
    done = run(["unshare", "--mount", "sh", "-c", _BARE, "sh", *DENET, "selftest", "--way", "tracefs"])
    assert done.returncode == 125
    assert done.stderr.startswith("denet-tui: tracefs is not mounted: as root, mount -t tracefs")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_an_old_verifier_sees_the_length_of_each_read() -> None:
    done = run([sys.executable, "-m", "tests.bpf.lengths", "all"])
    found = json.loads(done.stdout)
    assert sorted(found) == ["all 1835363941", "all None"]
    assert {(user, event): reads for user, events in found.items() for event, reads in events.items() if reads} == {}


@pytest.mark.slow
def test_where_the_verifier_refuses_a_detail_the_calls_alone_are_watched_exactly(tmp_path: Path) -> None:
    """As kernels 5.10 and 6.1 refused what later ones take: what it can do without is left out and said."""
    source = REPOSITORY / "denet_tui" / "bpf" / "kernel" / "file_names.c"
    bounded = "length <= 110 && READ_AT_MOST(110, bpf_probe_read_kernel, text, length, address + OFF_UNIX_NAME) == 0"
    assert source.read_text().count(bounded) == 1
    refused, summary = tmp_path / "file_names.c", tmp_path / "summary.json"
    refused.write_text(
        source.read_text().replace(bounded, "bpf_probe_read_kernel(text, length, address + OFF_UNIX_NAME) == 0")
    )
    mounted = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount --bind "$1" "$2" && shift 2 && exec "$@"',
        "sh",
        refused,
        source,
    ]
    watch = [*DENET, "run", "--no-tui", "--detail", "files", "--summary", summary, "--", "true"]
    done = run([*map(str, mounted), *map(str, watch)])
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "--detail files did not work, calls alone are watched" in line]
    assert len(said) == 1, done.stderr
    seen = json.loads(summary.read_text())
    assert (seen["exact"], seen.get("files")) == (True, None)


@pytest.mark.slow
def test_load_and_close_ten_times_leaves_nothing() -> None:
    found = inside("cycles")
    assert found["loaded"] >= 10 * 13  # 5 programs and 8 maps, each there while it was loaded
    assert found["left"] == 0


def test_kill_9_leaves_no_program_and_no_map() -> None:
    argv = [*DENET, "run", "--no-tui", "--on-quit", "kill", "--", "sleep", "100"]
    quietly = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(argv, env=environment(), cwd=REPOSITORY, **quietly) as process:
        ids = _loaded_by(process.pid)
        process.send_signal(signal.SIGKILL)
    assert len(ids[PROGRAM_BY_ID]) == len(EVENTS)
    assert len(ids[MAP_BY_ID]) >= 8
    assert living(ids) == []


def _loaded_by(pid: int) -> dict[int, list[int]]:
    """Ids of the programs and maps that a process holds, once it holds all of them."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        programs, tables = set[int](), set[int]()
        for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
            try:
                lines = entry.read_text().splitlines()
            except OSError:  # closed just now
                continue
            for line in lines:
                name, _, value = line.partition(":")
                if name == "prog_id":
                    programs.add(int(value))
                elif name == "map_id":
                    tables.add(int(value))
        if len(programs) >= 5:
            return {PROGRAM_BY_ID: sorted(programs), MAP_BY_ID: sorted(tables)}
        time.sleep(0.02)
    return {PROGRAM_BY_ID: [], MAP_BY_ID: []}
