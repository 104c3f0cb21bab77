"""An attacker who holds every descriptor that the watching side has, and nothing of what that side takes from itself.

Run as root by `python -m tests.attack.holder UID GID METHOD`: loads as denet-tui under sudo does, becomes that user for
good with the descriptors alone, and tries what they are good for. Prints one JSON object: what each attempt came to
(`refused ERRNO` or `done`), and what of root's showed in the maps.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import mmap
import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from denet_tui.bpf import accounts, maps
from denet_tui.bpf.handover import Loading
from denet_tui.bpf.records import PROCESS
from denet_tui.bpf.request import Request
from denet_tui.bpf.tasks import BLOCKED, CLOCK, INSIDE, NEW, TASK, Clock
from denet_tui.bpf.tracer import Tracer
from tests.bpf.skipped import SLOT

SECRET = "the-password-of-root"
OBJ_PIN, OBJ_GET, PROG_LOAD, MAP_CREATE, PROG_TEST_RUN, PROG_BY_ID, MAP_BY_ID = 6, 7, 5, 0, 10, 13, 14
LINK_CREATE, LINK_UPDATE, LINK_BY_ID, ITER_CREATE, LINK_DETACH, PROG_BIND_MAP = 28, 29, 30, 33, 34, 35
SET_BPF, PERIOD, SET_FILTER = 0x40042408, 0x40082404, 0x40082406
TRACEPOINTS = ("page_fault_user", "sys_enter", "sys_exit", "task_newtask", "")


def attempt(what: Callable[[], Any]) -> str:
    """What came of it."""
    try:
        what()
    except OSError as error:
        return f"refused {errno.errorcode.get(error.errno or 0, error.errno)}"
    except ValueError as error:  # mmap's own
        return f"refused {error}"
    return "done"


def attaching(held: dict[str, int]) -> dict[str, str]:
    """Every descriptor in the place of a program: attached, run, bound, exchanged, pinned."""
    name = ctypes.create_string_buffer(b"/sys/fs/bpf/denet-attack")
    own = ctypes.create_string_buffer(b"/tmp/denet-attack")
    address = ctypes.addressof
    found = {}
    for who, fd in held.items():
        for point in TRACEPOINTS:
            text = ctypes.create_string_buffer(point.encode())
            where = address(text) if point else 0
            found[f"attach {who} to {point}"] = attempt(
                lambda where=where, fd=fd: maps.bpf(maps.RAW_TRACEPOINT_OPEN, struct.pack("<QII", where, fd, 0))
            )
        for command, attributes in (
            (LINK_CREATE, struct.pack("<4I32x", fd, 0, 23, 0)),
            (LINK_DETACH, struct.pack("<I", fd)),
            (ITER_CREATE, struct.pack("<II", fd, 0)),
            (PROG_TEST_RUN, struct.pack("<I60x", fd)),
            (PROG_BIND_MAP, struct.pack("<3I", fd, held["maps lost"], 0)),
            (OBJ_PIN, struct.pack("<QII", address(name), fd, 0)),
            (OBJ_PIN, struct.pack("<QII", address(own), fd, 0)),
        ):
            found[f"bpf {command} with {who}"] = attempt(
                lambda command=command, attributes=attributes: maps.bpf(command, attributes)
            )
        for link in (fd for other, fd in held.items() if other.startswith("links")):
            found[f"exchange the program of {link} with {who}"] = attempt(
                lambda fd=fd, link=link: maps.bpf(LINK_UPDATE, struct.pack("<4I", link, fd, 0, 0))
            )
    return found


def making(held: dict[str, int]) -> dict[str, str]:
    """New programs and maps, and programs by their id, which the links tell."""
    code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0))
    licence = ctypes.create_string_buffer(b"GPL")
    load = struct.pack("<IIQQ24x", 17, 2, ctypes.addressof(code), ctypes.addressof(licence))
    found = {
        "load": attempt(lambda: maps.bpf(PROG_LOAD, load)),
        "create": attempt(lambda: maps.bpf(MAP_CREATE, struct.pack("<5I", 2, 4, 8, 1, 0))),
        "perf": attempt(lambda: perf_event(held)),
    }
    if "maps abouts" in held:
        found["write to what calls are about"] = attempt(lambda: overwrite(held["maps abouts"]))
    for who, fd in held.items():
        for name, number in re.findall(r"^(prog_id|map_id|link_id):\s*(\d+)", fdinfo(fd), re.MULTILINE):
            command = {"prog_id": PROG_BY_ID, "map_id": MAP_BY_ID, "link_id": LINK_BY_ID}[name]
            found[f"{name} of {who}"] = attempt(
                lambda command=command, number=number: maps.bpf(command, struct.pack("<III", int(number), 0, 0))
            )
    return found


def overwrite(fd: int) -> None:
    table = maps.Map(fd)
    table.update(bytes(4), bytes(table.value_size))


def fdinfo(fd: int) -> str:
    """What the kernel says of a descriptor."""
    return Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii")


def perf_event(held: dict[str, int]) -> None:
    """An event of our own for all processes: the first event of any machine."""
    attributes = ctypes.create_string_buffer(struct.pack("<IIQQQ32x", 2, 64, 1, 1, 1 << 10), 64)
    maps.system_call("perf_event_open", ctypes.addressof(attributes), -1, 0, -1, 8)


def sampling(held: dict[str, int]) -> dict[str, str]:
    """What a perf event's descriptor gives: nothing of anybody's arguments."""
    import fcntl

    found = {}
    for who, fd in held.items():
        if not who.startswith("links") or "perf_event" not in str(Path(f"/proc/self/fd/{fd}").readlink()):
            continue
        found[f"period of {who}"] = attempt(lambda fd=fd: fcntl.ioctl(fd, PERIOD, struct.pack("<Q", 1)))
        for what in (b"common_pid > 0\0", b"id == 1\0", b"\0"):
            found[f"filter {what!r} of {who}"] = attempt(lambda fd=fd, what=what: fcntl.ioctl(fd, SET_FILTER, what))
        os.getppid()
        count = struct.unpack("<Q", os.read(fd, 8))[0]
        found[f"count of {who}"] = f"done: {count} events" if count else "refused: none are counted"
        for other in held.values():
            found[f"{other} on {who}"] = attempt(lambda fd=fd, other=other: fcntl.ioctl(fd, SET_BPF, other))
        try:
            page = mmap.mmap(fd, mmap.PAGESIZE * 9, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        except (OSError, ValueError) as error:
            found[f"samples of {who}"] = f"refused {error}"
            continue
        for _ in range(1000):
            os.getppid()
        (head,) = struct.unpack_from("<Q", page, 1024)
        found[f"samples of {who}"] = f"done: {head} bytes" if head else "refused: none came"
    return found


def start_of(victim: subprocess.Popen[bytes]) -> int:
    """What the kernel side knows a process by, to the ns; only root can find it out."""
    tracer = Tracer(Loading(Request("raw")).receive())
    tracer.attach(victim.pid)
    while True:  # the call that it waits in ends by this, and begins once more
        victim.send_signal(signal.SIGSTOP)
        victim.send_signal(signal.SIGCONT)
        record = tracer.maps["processes"].lookup(struct.pack("<I", victim.pid)) or b""
        if born := int(PROCESS.unpack(record)[3]):
            tracer.close()
            return born


def entering(tracer: Tracer, victim: subprocess.Popen[bytes], go: int, born: int) -> list[str]:
    """Enter a process of root's into the maps, let it work, and look at all that they say; what was found of it."""
    tracer.attach(victim.pid)
    accounts.open_for_command(tracer.maps["accounts"], victim.pid)
    tracer.watch_everyone()
    os.write(go, f"{SECRET}\n".encode())
    seen: list[str] = []
    slots, index = tracer.maps["slots"], struct.pack("<I", victim.pid & (tracer.maps["slots"].max_entries - 1))
    clock = CLOCK.pack(*Clock(mark_ns=1, where=BLOCKED))
    before = TASK.pack(0, born, victim.pid, 0, 0, NEW, 0)[: -len(clock)] + clock
    slots.update(index, SLOT.pack(before, victim.pid, 0))
    for state in (NEW, 0, INSIDE, 3, INSIDE, 5) * 6:  # what it could be in, written again and again
        time.sleep(0.05)
        tracer.renew()
        tracer._set(3, victim.pid)  # as if it were the command, whose CPU time is looked at once more
        task, owner, crowd = SLOT.unpack(slots.lookup(index) or b"")
        if owner == victim.pid:
            seen += [f"its state: {TASK.unpack(task)}"] if task != before else []
            before = TASK.pack(1, born, victim.pid, 0, 0, state, 0)[: -len(clock)] + clock
            slots.update(index, SLOT.pack(before, owner, crowd))
        reading = tracer.read()
        seen += [f"lost: {reading.loss}"] if reading.loss.short else []
        seen += [f"errors of {tgid}" for tgid in reading.errnos if tgid != os.getpid()]
        seen += [f"calls of {tgid}" for tgid in reading.rows if tgid != os.getpid()]
        for name in ("times", "waits") if reading.spent else ():
            seen += [f"its {name}: {keys!r} {values!r}" for keys, values in tracer.maps[name].read() if keys]
        seen += [f"an exec of {each.tgid}: {each}" for each in reading.detail.execs or ()]
        if about := reading.about:
            seen += [f"use by {tgid}: {file} {use}" for tgid, file, use in about.used if tgid != os.getpid()]
            seen += [f"a path: {path}" for path, _ in about.failed if path.path == "/nonexistent"]
            seen += [f"a slow call: {call}" for call in about.slow if call.pid != os.getpid()]
        for packed in tracer.maps["accounts"].lookup_many(struct.pack("<I", victim.pid)):
            used = packed and struct.unpack("<13Q3I4x", packed)[:13]  # all that is not a count of threads
            seen += [f"its account: {used}"] if used and any(used) else []
        for process in reading.processes:
            told = (process.comm, *process.cmdline)
            if process.tgid != victim.pid:
                seen.append(f"a child: {process.tgid} {told}")
            elif process.status or process.exec_ns or any(SECRET in word for word in told):
                seen.append(f"of {process.tgid}: status {process.status}, executed {process.exec_ns}, {told}")
    return seen


def targets() -> list[str]:
    """What this process's descriptors are."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the listing's own
            found.append(str(entry.readlink()))
    return found


def main() -> None:
    uid, gid, method = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    waiting, go = os.pipe()
    script = 'read secret; for i in 1 2 3 4 5 6 7 8; do /bin/true "$secret"; cat /nonexistent; sleep 0.1; done;'
    script += 'exec sh -c "sleep 0.1; exit 7" "$secret"'
    victim = subprocess.Popen(["sh", "-c", script], stdin=waiting, stderr=subprocess.DEVNULL)
    born = start_of(victim) if method == "raw" else victim.pid
    kernel = Loading(Request(method, detail="all"), only_uid=uid).receive()
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: an attacker hides nothing from itself
    held = {f"{kind} {name}": fd for kind in ("maps", "links") for name, fd in getattr(kernel, kind).items()}
    attempts = {**attaching(held), **making(held), **sampling(held)}
    capabilities = re.findall(r"^CapEff:\s*(\w+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    print(
        json.dumps(
            {
                "capabilities": capabilities,
                "programs": [name for name in targets() if "bpf-prog" in name],
                "attempts": attempts,
                "seen": entering(Tracer(kernel), victim, go, born),
            }
        )
    )


if __name__ == "__main__":
    main()
