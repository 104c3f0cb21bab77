"""What watching real work costs, denet-tui beside its peers, each side in every round: one Markdown table.

The work is measured by itself (stopwatch.py), the least of all rounds: a tracer's own start is left out. A peer or a
server that is not installed, or does not run here, is named as not measured; what others have attached is in the work
alone, too. bench-results/ keeps the figures of every run (results.py).
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from denet_tui.checks.host import Host
from denet_tui.checks.leftovers import check_others
from tests.bench import results
from tests.bench.results import ALONE

pytestmark = [pytest.mark.bench, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

ROUNDS = int(os.environ.get("DENET_TUI_BENCH_ROUNDS", "3"))
HERE = Path(__file__).parent
DENET = [sys.executable, "-m", "denet_tui", "run", "--no-tui", "--detail"]
COUNTS = "tracepoint:raw_syscalls:sys_enter { @[pid, args->id] = count(); }"
HISTOGRAMS = """
tracepoint:raw_syscalls:sys_enter { @since[tid] = nsecs; @call[tid] = args->id; }
tracepoint:raw_syscalls:sys_exit /@since[tid]/ {
    @ns[pid, @call[tid]] = hist(nsecs - @since[tid]); delete(@since[tid]); delete(@call[tid]);
}"""
SLOW = ("perf trace -s", "strace -c -f")
TRACERS: dict[str, Callable[[list[str]], list[str]]] = {
    ALONE: lambda work: work,
    "denet-tui": lambda work: [*DENET, "calls", "--", *work],
    "denet-tui, all detail": lambda work: [*DENET, "all", "--", *work],
    "bpftrace, counts": lambda work: ["bpftrace", "-e", COUNTS, "-c", " ".join(work)],
    "bpftrace, histograms": lambda work: ["bpftrace", "-e", HISTOGRAMS, "-c", " ".join(work)],
    "syscount -L": lambda work: [sys.executable, "-I", str(HERE / "beside.py"), "syscount-bpfcc -L", *work],
    "perf trace -s": lambda work: ["perf", "trace", "-s", "-o", "/dev/null", *work],
    "strace -c -f": lambda work: ["strace", "-c", "-f", "-o", "/dev/null", *work],
}
"""By name; those in SLOW slow the work many times, and are measured once."""


def test_real_work_beside_the_peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path(f"/lib/modules/{platform.release()}/build").exists():  # bcc's tools compile without headers, too
        monkeypatch.setenv("BCC_KERNEL_SOURCE", str(_shim(tmp_path / "shim")))
    works, missing = _works(tmp_path), []
    tracers = {}
    for name, argv in TRACERS.items():
        if why := _refused(argv(["/bin/true"])):
            missing.append(f"{name}: {why}")
        else:
            tracers[name] = argv
    servers = ("redis-server", "redis-benchmark", "nginx", "wrk")
    missing += [f"{name}: not installed" for name in servers if not shutil.which(name)]
    machine = f"{platform.release()} {platform.machine()}, {os.cpu_count()} CPUs; {check_others(Host()).title}"
    taken = {work: _least(script, tracers) for work, script in works.items()}
    run = {"machine": machine, "missing": missing, "taken": taken}
    print(f"\n{results.table([run])}")
    results.keep("peers.jsonl", json.dumps(run) + "\n", more=True)


def _refused(argv: list[str]) -> str:
    """Why a tracer does not run here; empty where it does."""
    program = "syscount-bpfcc" if "syscount-bpfcc" in " ".join(argv) else argv[0]
    if not shutil.which(program):
        return "not installed"
    done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, text=True, check=False)
    said = (done.stderr or done.stdout).strip().splitlines() or [""]
    return "" if done.returncode == 0 else f"does not run here ({said[-1][:100]})"


def _shim(folder: Path) -> Path:
    """What stands in for kernel headers: the loader's own, and one that syscount includes, and needs nothing of."""
    shutil.copytree(HERE.parents[1] / "denet_tui" / "bpf" / "include", folder / "include")
    (folder / "include" / "linux" / "sched.h").touch()
    return folder


def _least(script: Path, tracers: dict[str, Callable[[list[str]], list[str]]]) -> dict[str, tuple[float, float]]:
    """(wall, CPU) seconds by tracer, each the least of the rounds."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in tracers}
    result = script.with_name("taken")
    timed = [sys.executable, "-I", str(HERE / "stopwatch.py"), str(result), str(script)]
    for round_number in range(ROUNDS):
        for name, argv in tracers.items():
            if name in SLOW and round_number:
                continue
            result.unlink(missing_ok=True)
            done = subprocess.run(argv(timed), capture_output=True, stdin=subprocess.DEVNULL, timeout=300)
            assert result.exists(), f"{name}: {done.stderr.decode(errors='replace')[-500:]}"
            wall, cpu = map(float, result.read_text().split())
            found[name].append((wall, cpu))
    return {name: (min(wall for wall, _ in each), min(cpu for _, cpu in each)) for name, each in found.items()}


def _works(folder: Path) -> dict[str, Path]:
    """By what it does, a script in a folder of its own."""
    subprocess.run(["gcc", "-O2", "-o", folder / "work", HERE / "work.c"], check=True)
    python_tests = f"cd {HERE.parents[1]}; {sys.executable} -B -m pytest -q -p no:cacheprovider tests/test_counts.py"
    scripts = {
        "make -j2, 24 files of C": _project(folder / "project"),
        "find /usr": "find /usr -xdev -name '*.nothing'",
        "400 x true": "for i in $(seq 400); do /bin/true; done",
        "pipe ping-pong": f"{folder}/work pingpong 60000",
        "open, read, close; ¼ fail": f"{folder}/work files 200000",
        "a Python test suite": python_tests,
        **_servers(folder),
    }
    made = {}
    for number, (name, script) in enumerate(scripts.items()):
        place = folder / str(number)
        place.mkdir()
        made[name] = place / "work"
        made[name].write_text(f"#!/bin/sh\nset -e\n{script}\n")
        made[name].chmod(0o755)
    return made


def _project(folder: Path) -> str:
    """The script that builds it anew."""
    folder.mkdir()
    includes = "".join(f"#include <{each}.h>\n" for each in ("stdio", "stdlib", "string", "unistd", "sys/socket"))
    for number in range(24):
        (folder / f"part{number}.c").write_text(f'{includes}int part{number}(void) {{ return puts("{number}"); }}\n')
    objects = " ".join(f"part{number}.o" for number in range(24))
    (folder / "Makefile").write_text(f"all: {objects}\n%.o: %.c\n\tgcc -O1 -c -o $@ $<\n")
    return f"rm -f {folder}/*.o; make -s -j2 -C {folder}"


def _servers(folder: Path) -> dict[str, str]:
    """A server and its client on the loopback, both watched, where they are installed."""
    conf = folder / "nginx.conf"
    kept = "".join(f"{kind}_temp_path {folder}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ {kept}" + "access_log off; server { listen 127.0.0.1:18080; location / { return 200 'ok'; } } }\n"
    )
    redis = "redis-server --port 16379 --save '' --appendonly no"
    begun = '> /dev/null 2>&1 & trap "kill $!; wait" EXIT; sleep 0.3;'
    scripts = {
        "redis get": f"{redis} {begun} redis-benchmark -p 16379 -t get -n 50000 -q",
        "nginx, wrk": f"nginx -c {conf} {begun} wrk -d 1 -c 8 -t 1 http://127.0.0.1:18080/",
    }
    return {
        name: script
        for name, script in scripts.items()
        if all(shutil.which(word) for word in (script.split()[0], {"redis get": "redis-benchmark"}.get(name, "wrk")))
    }
