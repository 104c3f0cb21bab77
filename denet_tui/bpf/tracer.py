"""Tracer: the one door to the kernel side.

The layouts here are those of kernel/maps.c. All times are the kernel side's (clock.py), in ns.
"""

from __future__ import annotations

import os
import struct
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from denet_tui.bpf import accounts, execs, living, maps, names, rows, times
from denet_tui.bpf.files import About, FileTables
from denet_tui.bpf.handover import Kernel
from denet_tui.bpf.open_calls import OpenCalls
from denet_tui.bpf.privilege import real_uid
from denet_tui.bpf.records import PROCESS, Process, process_of
from denet_tui.bpf.rows import ABI_BIT, TGID
from denet_tui.bpf.tasks import HELD, NEW, THREAD, Task, task_of
from denet_tui.bpf.times import Spent
from denet_tui.bpf.unmet import Unmet, Used, used_by
from denet_tui.counts import Counts
from denet_tui.detail import NO_DETAIL, Detail
from denet_tui.model import ABI_X32, Errnos, ErrorKey, Loss, Syscall
from denet_tui.syscalls import NUMBERS, X32_BIT, syscall
from denet_tui.system import clock

ABIS = 3
_NUMBER_BIT, _ABI = 32, 3
"""Where the number begins in a row key; the ABI, once that begins with it."""
_Layout = tuple[list[Syscall], dict[Syscall, int]]
"""What a process has called, in order, and which is where; those that call the same share it."""
_Row = tuple[int, int, int]
"""The call (its number behind its ABI), what adds up, and the longest."""
_ERRNO_KEY = struct.Struct("<IiQ")
_BLOCK = 64
"""Entries of a per-CPU array that are compared at once: nearly all of them never change."""
_CLAIM = struct.Struct("<16sII")
_CGROUP = struct.Struct("<QI4x")
_BEYOND_MOVES = 1 << 16
"""Generations that the kernel side may have raised by then: it does so where a process moves to another cgroup."""
_EPOCH, _GENERATION, _WATCHER = range(3)
_TGID, _PARENT, _END, _TID = map(attrgetter, ("tgid", "parent", "end_ns", "tid"))
_TURNED_AWAY = ("execs", "times", "waits")
"""Those of the losses that are none of calls."""
_LOSSES = ("rows", "returns", "errnos", "tasks", "processes", "reused", "missed", "foreign", "begun", *_TURNED_AWAY)


class Reading(NamedTuple):
    """What happened between the reading before and `time_ns`, and what there is just after it.

    rows are by tgid and syscall, errnos by tgid and (syscall, errno), calls by (abi, index): the index is
    the number for all that have a name. These three are complete and agree: the calls of the rows and `loss.rows`
    add up to those in `calls`. tasks and processes are read a little later, the times are those of `time_ns`.
    """

    time_ns: int
    rows: Mapping[int, Counts]
    errnos: Mapping[int, Errnos]
    calls: dict[tuple[int, int], int]
    loss: Loss
    tasks: list[Task]
    processes: list[Process]
    detail: Detail = NO_DETAIL
    """Of the same interval, but for the time and the files."""
    spent: Spent | None = None
    """None if that is not watched."""
    about: About | None = None
    """None if that is not watched."""


class Tracer:
    """Watches processes and reads what was counted. Methods raise OSError where the kernel refuses."""

    def __init__(self, kernel: Kernel, only_uid: int | None = None) -> None:
        """Takes over the descriptors of `kernel`; `close` (or the end of this process) detaches everything.

        `only_uid` is whose calls alone it was loaded to count; None: everyone's.
        """
        self._kernel = kernel
        self._only_uid = only_uid
        self._parents: set[int] = set()
        """Processes that have had children."""
        self._attached: set[int] = set()
        """Processes that may have threads that have not been met."""
        self._foreign = 0
        """Threads entered since the last reading that are another user's."""
        self.overlooks = False
        """Whether what was entered may lack what /proc hides."""
        self.by_user = False
        """Whether this user's calls are what is asked for: a process that goes on as another is no loss then."""
        self._everyone = False
        self.method = kernel.method
        self.maps = {name: maps.Map(descriptor) for name, descriptor in kernel.maps.items()}
        self.unmet = Unmet(self.maps["tasks"])
        self.files = FileTables(self.maps) if "files" in self.maps else None
        self.open_calls = OpenCalls(self.maps, self.files.name_of) if self.files else None
        self.epoch = self._generation = 0
        self._counts: dict[int, bytes] = {}
        """Per side what syscall_counts held when it was last at rest; it is never reset."""
        self._losses: dict[int, bytes] = {}
        self._layouts: dict[tuple[int, ...], _Layout] = {}
        """Those of the last reading by their keys."""
        self._tasks: dict[bytes, Task] = {}
        self._processes: dict[bytes, Process] = {}
        """The living ones of the last reading by their rows: most rest, and are not made anew."""

    @property
    def capacity(self) -> int:
        """Rows that pid_syscall_map can hold between two readings."""
        return self.maps["pid_syscall_map"].max_entries

    def want(self, wanted: Iterable[tuple[int, int]]) -> None:
        """Count only these (abi, number) from now on; needs a program loaded with `only_wanted`."""
        self.unmet.wanted.update(wanted)
        for abi, number in self.unmet.wanted:
            index = abi * NUMBERS + min(number, NUMBERS - 1)
            self.maps["wanted"].update(struct.pack("<I", index), b"\1")

    def expect(self, *, held: bool = True) -> str:
        """The name that a process inside a PID namespace must take before it forks once, so that `hold` can find it.

        Empty in the initial PID namespace, where nothing has to be done. `held` as in `hold`.
        """
        if "claims" not in self.maps:
            return ""
        name = os.urandom(7).hex()
        self.maps["claims"].update(bytes(4), _CLAIM.pack(name.encode(), HELD if held else NEW, 0))
        return name

    def hold(self, pid: int, parent: int = 0, *, held: bool = True) -> None:
        """Watch a process of one thread that has not yet called execve: that call will be the first to count.

        From now on where `held` is False. Its /proc is not asked: where that is hidden (hidepid) it need not be seen.
        Inside a PID namespace it enters itself (see `expect`), and this waits for it: TimeoutError after 5 s.
        """
        if "claims" not in self.maps:
            self._insert_process(pid, parent, held=held)  # it lives: no other can have its id
            if held:
                accounts.open_for_command(self.maps["accounts"], pid)
            self.renew()
            return
        deadline = time.monotonic() + 5
        while not any(process.pid == pid for process in self.read_processes()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {pid} did not enter itself from its PID namespace")
            time.sleep(0.002)

    def attach(self, tgid: int, parent: int = 0) -> bool:
        """Watch a running process from now on; raises FileNotFoundError where it is gone.

        False if it is watched already. Threads of another user than whose calls are counted are told by the next
        reading, as lost. Only in the initial PID namespace: raises NotImplementedError in others.

        Its record is entered here, and the kernel side does the rest: each thread, and each descendant that is not
        entered, is watched from its next event on. What is listed after that has not yet begun to end, or has been
        seen to end.
        """
        if "claims" in self.maps:
            raise NotImplementedError("the ids of this PID namespace are not the kernel's")
        leader, *others = threads = living.threads(tgid)
        before = {thread.tid: used_by(tgid, thread.tid) for thread in threads}
        self._attached.add(tgid)
        start_ns = self._insert_process(tgid, parent, leader.least_born_ns, 1 + len(others))
        if not start_ns:
            return False
        for thread in threads:  # first: one that is met before it is told would be watched from then on alone
            self.unmet.tell(tgid, thread, start_ns, before[thread.tid])
        if not self._everyone:
            self.renew()
        try:
            threads = living.threads(tgid)
        except FileNotFoundError:
            self.maps["processes"].delete(struct.pack("<I", tgid))
            threads = []
            raise
        finally:
            self.unmet.take_back(before.keys() - {thread.tid for thread in threads})
        for thread in (each for each in threads if each.tid not in before):
            self.unmet.tell(tgid, thread, start_ns, Used())
        self.unmet.watched()
        if self._only_uid is not None:
            # Looked at last: a thread that is still in the call that makes it another's is not counted.
            uids = (real_uid(tgid, thread.tid) for thread in threads)
            self._foreign += sum(uid not in (None, self._only_uid) for uid in uids)
        return True

    def watch_everyone(self, within: tuple[int, int] | None = None) -> None:
        """Watch every process from its next event on, but for this one and its children.

        `within` a cgroup, (id, level), alone; needs a program loaded with `by_cgroup`.
        """
        if within:
            self.maps["cgroup"].update(bytes(4), _CGROUP.pack(*within))
        self._everyone = True
        self._set(_WATCHER, os.getpid())
        self._generation = _BEYOND_MOVES
        self.renew()

    def renew(self) -> None:
        """Let the kernel side look once more at the tasks that were not to be watched."""
        self._generation += 1
        self._set(_GENERATION, self._generation)

    def _set(self, setting: int, value: int) -> None:
        self.maps["epoch"].update(struct.pack("<I", setting), struct.pack("<I", value))

    def forget(self, ended: Iterable[tuple[int, int]]) -> None:
        """Delete the records of ended processes, after they were read: (tgid, start), or it is another's by now."""
        records, known = self.maps["processes"], tuple(ended)
        now = records.lookup_many(b"".join(struct.pack("<I", tgid) for tgid, _ in known))
        same = (tgid for (tgid, start), it in zip(known, now, strict=True) if it and it[:8] == struct.pack("<Q", start))
        keys = b"".join(struct.pack("<I", tgid) for tgid in same)
        records.delete_many(keys)
        self.maps["accounts"].delete_many(keys)
        if "times" in self.maps:
            self.maps["times"].delete_many(keys)

    def settle(self, seconds: float = 0.2) -> None:
        """Wait until the accounts of all ended processes are complete, at most that long; most are at once."""
        deadline = time.monotonic() + seconds
        while any(process.leaving for process in self.read_processes()) and time.monotonic() < deadline:
            time.sleep(0.002)

    def read(self) -> Reading:
        """Everything since the reading before, as of one instant; waits for the running programs (some ms)."""
        now = clock.now_ns()  # before the turn: what ended by now has all its calls on this side
        side = self.epoch & 1
        self.epoch += 1
        self._set(_EPOCH, self.epoch)
        executed = tuple(execs.take(self.maps["execs"], self.maps["long_execs"])) if "execs" in self.maps else None
        # Soon, for where a thread was since `now` is read with them; whose calls are on that side is there by the turn.
        tasks, processes = self._read_tasks(), self.read_processes()
        spent = self._read_times(now, tasks, processes) if "times" in self.maps else None
        self.maps["grace"].update(bytes(4), struct.pack("<I", self.maps["epoch"].fd))
        lost = {_LOSSES[index]: count for index, count in self._read_array("lost", side, self._losses)}
        turned_away = {name: lost.pop(name) for name in _TURNED_AWAY if name in lost}
        errnos = self._read_errnos(side)  # first: theirs is the smaller table, and is written to again meanwhile
        counted = self._read_rows(self.epoch - 1), errnos, self._read_calls(side), self._loss_of(lost)
        if spent:
            spent.waits.update(times.waits(self.maps["waits"], side))
        about = self.files.read(side) if self.files else None
        tasks = self.open_calls.told(tasks) if self.open_calls else tasks
        turned_away |= about.turned_away if about else {}
        return Reading(now, *counted, tasks, processes, Detail(executed, turned_away), spent, about)

    def close(self) -> None:
        """Detach and free everything."""
        for kind in (self._kernel.links, self._kernel.maps):
            for descriptor in kind.values():
                os.close(descriptor)
            kind.clear()

    def _insert_process(
        self, tgid: int, parent: int, least_born_ns: int = 0, threads: int = 1, *, held: bool = False
    ) -> int:
        """Since when it is watched; 0 if that id has a record, but for a command: then it is of one before it."""
        comm, cmdline = names.identity(tgid)
        now = clock.now_ns()
        fields = (now, 0, 0, 0, least_born_ns, parent, threads, 0, 0, len(cmdline), held, comm, cmdline, tgid)
        flags = maps.ANY if held else maps.NOEXIST
        return now if self.maps["processes"].update(struct.pack("<I", tgid), PROCESS.pack(*fields), flags) else 0

    def _read_rows(self, epoch: int) -> dict[int, Counts]:
        tables = self.maps
        taken = rows.take_all(tables["hot_rows"], tables["hot_owners"], tables["pid_syscall_map"], epoch)
        found: defaultdict[int, list[_Row]] = defaultdict(list)
        number = int.from_bytes
        for key, (lanes, peak) in chain.from_iterable(taken):
            found[key & TGID].append((key >> ABI_BIT, number(lanes, "little"), peak))
        known, self._layouts = self._layouts, {}
        return {tgid: self._in_order(mine, known) for tgid, mine in found.items()}

    def _in_order(self, mine: list[_Row], known: dict[tuple[int, ...], _Layout]) -> Counts:
        """Rows in the order of their keys: so those of a tick stand as those of the one before, and add up at once."""
        mine.sort()
        keys, lanes, peaks = zip(*mine, strict=True)
        layout = self._layouts.get(keys) or known.get(keys)
        if layout is None:
            if len({*keys}) < len(keys):
                return self._in_order(_added_up(mine), known)
            layout = _layout_of(keys)
        self._layouts[keys] = layout
        return Counts(layout[0], lanes, peaks, layout[1])

    def _read_errnos(self, side: int) -> dict[int, dict[ErrorKey, int]]:
        found: dict[int, dict[ErrorKey, int]] = {}
        for keys, values in rows.take(self.maps["errnos"], side):
            for (where, nr, number), (count,) in zip(
                _ERRNO_KEY.iter_unpack(keys), struct.iter_unpack("<Q", values), strict=True
            ):
                found.setdefault(where & TGID, {})[syscall(where >> ABI_BIT, nr), number] = count
        return found

    def _read_array(self, name: str, side: int, before: dict[int, bytes]) -> Iterator[tuple[int, int]]:
        """(index within the side, growth since the last time) of a per-CPU array, where there is any."""
        table = self.maps[name]
        entries, stride = table.max_entries // 2, table.stride
        now = table.lookup_span(side * entries, entries)
        old = before.get(side) or bytes(len(now))
        before[side] = now
        block = _BLOCK * stride
        moved = (
            start for start in range(0, len(now), block) if now[start : start + block] != old[start : start + block]
        )
        for position in chain.from_iterable(range(start, min(start + block, len(now)), stride) for start in moved):
            piece, last = now[position : position + stride], old[position : position + stride]
            if piece != last:
                yield position // stride, _sum(piece) - _sum(last)

    def _read_calls(self, side: int) -> dict[tuple[int, int], int]:
        growth = self._read_array("syscall_counts", side, self._counts)
        return {divmod(index, NUMBERS): calls for index, calls in growth}

    def _loss_of(self, lost: dict[str, int]) -> Loss:
        """What was lost since the last time."""
        lost["foreign"] = 0 if self.by_user else lost.get("foreign", 0) + self._foreign
        self._foreign = 0
        loss = Loss(**lost, hidden=None if self.overlooks and self._only_uid is not None else 0)
        return loss if self.method == "raw" else loss._replace(missed=None)

    def _read_times(self, now_ns: int, tasks: list[Task], processes: list[Process]) -> Spent:
        """Of those that are watched, without what was waited in the interval."""
        expected = {each.tgid: each.threads for each in processes if each.tgid in self._attached}
        spent = times.read(self.maps["times"], now_ns, tasks, expected)
        if self._only_uid is None:  # else it may be another user's, whose time is nobody's business
            unmet = (each for each in processes if each.tgid not in self._attached)
            spent.times.update(times.of_unmet(now_ns, unmet, spent))
        return spent

    def _read_tasks(self) -> list[Task]:
        told = self.unmet.read()  # first: what is met meanwhile is in both
        used = b"".join(indexes for indexes, _ in self.maps["owners"].read())
        threads = [slot[: THREAD.size] for slot in self.maps["slots"].lookup_many(used) if slot]
        threads += self.unmet.still(told, threads)
        known = self._tasks
        self._tasks = {row: known.get(row) or self.unmet.told.get(row) or task_of(row) for row in threads}
        return [*filter(_TID, self._tasks.values())]

    def read_processes(self) -> list[Process]:
        """The records of all that are watched, also of those that have ended and were not forgotten."""
        known, found = self._processes, list[Process]()
        self._processes = resting = dict[bytes, Process]()
        for keys, values in self.maps["processes"].read():
            tgids, records = struct.iter_unpack("4s", keys), struct.iter_unpack(f"{PROCESS.size}s", values)
            for (tgid,), (record,) in zip(tgids, records, strict=True):
                process = known.get(row := tgid + record) or process_of(row)
                found.append(process)
                if not process.end_ns:
                    resting[row] = process
        places = {process.tgid: place for place, process in enumerate(found)}
        there, parents = places.keys(), set(map(_PARENT, found))
        self._parents = (self._parents | parents) & there
        wanted = there & (self._parents | self._attached)
        wanted.update(map(_TGID, filter(_END, found)))
        if orphaned := parents - there:
            wanted.update(each.tgid for each in found if each.parent in orphaned)
        accounted = accounts.read(self.maps["accounts"], [*wanted])
        for tgid in accounted.keys() | self._parents:
            place = places[tgid]
            found[place] = found[place]._replace(account=accounted.get(tgid), parental=tgid in self._parents)
        return found


def _added_up(rows: Iterable[_Row]) -> list[_Row]:
    """The rows, one of each call: there are two where one is in each of the maps."""
    found: dict[int, _Row] = {}
    for call, lanes, peak in rows:
        _, before, longest = found.get(call, (call, 0, 0))
        found[call] = call, before + lanes, max(longest, peak)
    return [*found.values()]


def _layout_of(keys: Iterable[int]) -> _Layout:
    calls = [syscall(key & _ABI, key >> _NUMBER_BIT - ABI_BIT) for key in keys]
    return calls, {call: at for at, call in enumerate(calls)}


def index_of(abi: int, nr: int) -> int:
    """The index within its ABI under which a syscall is counted in `Reading.calls`."""
    number = nr & ~X32_BIT if abi == ABI_X32 else nr
    return number if 0 <= number < NUMBERS - 1 else NUMBERS - 1


def without_row(abi: int, index: int) -> Syscall:
    """The syscall behind an index of `Reading.calls`; numbers without a name share one, named `other`."""
    return syscall(abi, index) if index < NUMBERS - 1 else Syscall(abi, NUMBERS - 1, "other")


def _sum(values: bytes) -> int:
    return sum(struct.unpack(f"<{len(values) // 8}Q", values))
