"""What the program is compiled with: offsets of this kernel's types, and what is asked for, as macros of kernel/."""

from __future__ import annotations

from collections.abc import Collection

from denet_tui.bpf import btf, facts, file_calls, maps
from denet_tui.bpf.failure import LoadError
from denet_tui.bpf.request import Request
from denet_tui.system import uname

_EXECS, _TIME = {"DETAIL_EXECS": ("execs", "long_execs")}, {"DETAIL_TIME": ("times", "waits")}
DETAILS = {("all", "raw"): _EXECS | _TIME, ("all", "tracefs"): _EXECS}
"""The flags by detail and method, with the maps of each."""
_EXECVE = {"x86_64": (59, 322)}
"""Numbers of execve and execveat where they are not those of the generic table, (221, 281)."""
OFFSETS = {
    "task_struct.pid": "OFF_PID",
    "task_struct.real_parent": "OFF_REAL_PARENT",
    "task_struct.stack": "OFF_STACK",
    "task_struct.cred": "OFF_CRED",
    "cred.uid": "OFF_UID",
    "task_struct.ptrace": "OFF_PTRACE",
    "task_struct.seccomp.mode": "OFF_SECCOMP_MODE",
    "pt_regs": "SIZE_REGS",
    "task_struct.exit_code": "OFF_EXIT_CODE",
    "task_struct.signal": "OFF_SIGNAL",
    "signal_struct.flags": "OFF_SIGNAL_FLAGS",
    "signal_struct.live": "OFF_LIVE",
    "task_struct.tgid": "OFF_TGID",
    "task_struct.group_leader": "OFF_LEADER",
    "task_struct.start_boottime": "OFF_BORN",
    "task_struct.mm": "OFF_MM",
    "mm_struct.arg_start": "OFF_ARG_START",
    "mm_struct.arg_end": "OFF_ARG_END",
    "mm_struct.hiwater_rss": "OFF_HIWATER",
    "mm_struct.rss_stat": "OFF_RSS",
    "percpu_counter.count": "OFF_COUNT",
    "percpu_counter": "SIZE_COUNTER",
    "task_struct.__state": "OFF_STATE",
    "task_struct.state": "OFF_STATE",
    "task_struct.se.sum_exec_runtime": "OFF_CPU",
    "task_struct.sched_info.run_delay": "OFF_DELAY",
    "task_struct.sched_info.pcount": "OFF_ARRIVALS",
    "task_struct.min_flt": "OFF_MIN_FLT",
    "task_struct.maj_flt": "OFF_MAJ_FLT",
    "task_struct.ioac.read_bytes": "OFF_READ_BYTES",
    "task_struct.ioac.write_bytes": "OFF_WRITE_BYTES",
    "signal_struct.maxrss": "OFF_MAXRSS",
    "mm_struct.env_end": "OFF_ENV_END",
    "cred.euid": "OFF_EUID",
    "task_struct.cgroups": "OFF_CGROUPS",
    "css_set.dfl_cgrp": "OFF_DFL_CGRP",
    "cgroup.level": "OFF_CGROUP_LEVEL",
    "cgroup.ancestor_ids": "OFF_ANCESTOR_IDS",
    "cgroup.ancestors": "OFF_ANCESTORS",
    "cgroup.kn": "OFF_CGROUP_KN",
    "kernfs_node.id": "OFF_KERNFS_ID",
    **file_calls.PATH_OFFSETS,
}
OFFSETS_OF = {
    "x86_64": {
        "task_struct.thread_info.status": "OFF_THREAD_STATUS",
        "pt_regs.orig_ax": "OFF_SYSCALL_NR",
        "pt_regs.ax": "OFF_AX",
        **{f"pt_regs.{name}": f"OFF_ARG_{at}" for at, name in enumerate(("di", "si", "dx", "r10", "r8", "r9"))},
    },
    "aarch64": {"pt_regs.syscallno": "OFF_SYSCALL_NR", "pt_regs.orig_x0": "OFF_ARG_0", "pt_regs.regs": "OFF_REGS"},
}
_HELPERS = {"TASK_BTF": (5, 11), "TASK_REGS": (5, 15)}
"""Helpers of the kernel that the program uses, by the version that brought them."""
_NEEDED = {"OFF_PID", "OFF_TGID", "OFF_REAL_PARENT", "OFF_STACK", "SIZE_REGS", "OFF_SYSCALL_NR"}
"""By raw tracepoints."""


def flags_for(request: Request, only_uid: int | None, fields: dict[str, int]) -> tuple[list[str], list[str]]:
    """(Compiler flags, notes for the user) for this kernel and the request; raises LoadError where it cannot work.

    -g0: no debugger reads this, and LLVM takes an eighth less without what one would need. -disable-llvm-passes: clang
    would optimise all of it, and bcc then does so once more, to the same length; without, a third less.
    """
    method, machine, notes = request.method, uname.machine(), []
    execve, execveat = _EXECVE.get(machine, (221, 281))
    values = {"NR_EXECVE": execve, "NR_EXECVEAT": execveat, "HAS_X32": int(machine == "x86_64"), **request.sizes}
    wanted = OFFSETS | OFFSETS_OF.get(machine, {}) | file_calls.offsets(request)
    kernel_btf = None
    try:
        kernel_btf = btf.Btf.of_kernel()
        found = kernel_btf.offsets(wanted)
    except btf.BtfError as error:
        found = {}
        if method == "raw":
            raise LoadError(
                "btf", f"raw tracepoints need this kernel's BTF ({error}); use --attach-method tracefs"
            ) from error
        notes.append("no BTF: exit statuses and command lines are not known, foreign ABIs are not told apart")
    values.update((wanted[name], offset) for name, offset in found.items())
    if "OFF_REGS" in values:
        values.update({f"OFF_ARG_{number}": values["OFF_REGS"] + 8 * number for number in range(1, 6)})
    values.update(dict.fromkeys(DETAILS.get((request.detail, method), {}), 1))
    kernel = maps.kernel_version()
    values.update({name: 1 for name, since in _HELPERS.items() if "OFF_PID" in values and kernel >= since})
    if method == "raw":
        if missing := _NEEDED - values.keys():
            raise LoadError("btf", f"this kernel's BTF lacks {', '.join(sorted(missing))}; use --attach-method tracefs")
        values["ATTACH_RAW"] = 1
    else:
        values.update(fields)
    notes += file_calls.add_flags(request, values, kernel_btf)
    if facts.in_pid_namespace():
        values.update(_namespace_offsets(method))
    values.update(_what_is_asked(request, only_uid, values.keys()))
    return ["-g0", "-Xclang", "-disable-llvm-passes", *(f"-D{name}={value}" for name, value in values.items())], notes


def _what_is_asked(request: Request, only_uid: int | None, known: Collection[str]) -> dict[str, int]:
    """The flags of the request and of whose calls may be counted; raises LoadError where a cgroup cannot be told."""
    asked = {"ONLY_UID": only_uid, "ONLY_WANTED": request.only_wanted or None, "BY_CGROUP": request.by_cgroup or None}
    if request.by_cgroup and (request.method != "raw" or not {"OFF_ANCESTORS", "OFF_ANCESTOR_IDS"} & set(known)):
        raise LoadError(
            "request",
            "only raw tracepoints, with this kernel's BTF, tell the cgroup of a process; use --attach-method raw",
        )
    return {name: int(value) for name, value in asked.items() if value is not None}


def _namespace_offsets(method: str) -> dict[str, int]:
    if method != "raw":
        raise LoadError(
            "namespace", "inside a PID namespace only raw tracepoints can tell processes; use --attach-method raw"
        )
    names = {"task_struct.thread_pid": "OFF_THREAD_PID", "pid.level": "OFF_LEVEL", "pid.numbers": "OFF_NUMBERS"}
    found = btf.Btf.of_kernel().offsets([*names, "upid.ns"])
    if len(found) <= len(names):
        raise LoadError("btf", "this kernel's BTF lacks struct pid; run denet-tui outside of the PID namespace")
    values = {flag: found[name] for name, flag in names.items()}
    return {**values, "PID_NAMESPACE": 1, "SIZE_UPID": found["upid.ns"] + 8}  # the pointer is the last member
