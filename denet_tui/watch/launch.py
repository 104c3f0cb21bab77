"""Gets watching ready: the loader, and the drop to the user."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from denet_tui import syscalls
from denet_tui.bpf import facts, privilege, request, unprivileged
from denet_tui.bpf.confine import confine, protect, traced_by
from denet_tui.bpf.handover import Kernel, Loading
from denet_tui.bpf.privilege import User
from denet_tui.bpf.request import SIZES, Request
from denet_tui.model import RunInfo
from denet_tui.system import called, clock
from denet_tui.watch import supervisor
from denet_tui.watch.caller import environment_of, is_foreign

if TYPE_CHECKING:
    from denet_tui.bpf.begun import Look
    from denet_tui.bpf.tracer import Tracer

FAILED = 125
"""Exit status when denet-tui itself fails, as env(1) and timeout(1) have it."""


class StartError(Exception):
    """Nothing was started; the text says what to do."""


class Options(NamedTuple):
    """What run and attach have in common."""

    method: str = "auto"
    only: tuple[str, ...] = ()
    """Which syscalls to count (`syscalls.chosen`); all where it is empty."""
    user: str | None = None
    as_root: bool = False
    rows: int = SIZES["ROWS"]
    on_quit: str = "ask"
    no_sudo: bool = False
    detail: str = "calls"
    by_cgroup: bool = False
    """Whether the processes of a cgroup are watched."""
    run_as: str | None = None
    """Who this process becomes; None: who asked."""


Report = Callable[[Kernel], None]


Loader = Callable[[Request, int | None], unprivileged.Loads]
"""Starts loading, for the calls of this uid alone (None: everyone's), and returns at once."""
Aim = Literal["command", "process", "machine", "itself"]
"""What is watched; `itself` are denet-tui's own children, for the self-test."""


def _load_here(wanted: Request, only_uid: int | None) -> Loading:
    return Loading(wanted, only_uid=only_uid)


class Start:
    """The privileged moment: from here on a loader works, and this process has given its privilege away."""

    def __init__(
        self,
        options: Options,
        report: Report | None = None,
        *,
        aim: Aim = "command",
        pids: Sequence[int] = (),
        scale: int = 0,
        loader: Loader | None = None,
        say: Callable[[str], object] = lambda line: None,  # noqa: ARG005
    ) -> None:
        """Forks the supervisor, starts the loader, becomes the invoking user; raises StartError, LoadError.

        `report` is called with what the loader handed over, for --debug; `say` with what is to be known at once. `aim`
        is what will be watched, `pids` which processes, `scale` how large the tables are (see request.py). `loader` has
        privilege of its own, and is asked by `load` only: until then nothing is loaded, and `aim_at` may be called.
        """
        self.options = options
        self._report = report
        try:
            self._wanted = syscalls.chosen(options.only) if options.only else set()
        except ValueError as error:
            raise StartError(str(error)) from None
        self.invoker = privilege.invoking_user()
        self.runner = _runner(options, self.invoker)
        becomes = self.invoker if options.run_as is None else _user(options.run_as)
        self.privileged = os.getuid() == 0
        self.aim_at(aim, pids, scale)
        self._loader: Loader = loader or (_load_here if privilege.may_load() else without_privilege(options, aim, say))
        self.ignored = [number for number in range(1, signal.NSIG) if _was_ignored(number)]
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored, no child can be waited for
        self.environment = environment_of(self.runner, asker=self.invoker)
        protect()  # now: /proc/self/environ is closed to this process, too, once it is the user
        self.foreign = is_foreign(self.runner)
        """Whether the command gets a session of its own: this terminal is another user's."""
        self.supervisor = supervisor.start(self.runner, foreign=self.foreign) if aim == "command" else None
        self._loading = self._begin() if privilege.may_load() and not loader else None
        """Without privilege it is asked for by `load`, when all else is known to be right: sudo may want a password."""
        self._kernel: Kernel | None = None
        try:
            privilege.become(becomes, keep_bpf=privilege.may_load() and facts.reads_need_capability())
        except PermissionError:
            raise StartError(f"root may not become {becomes.name} here: that takes CAP_SETUID and CAP_SETGID") from None
        self.notes: tuple[str, ...] = ()
        if os.getuid() == 0:
            self.notes = (_as_root(self.runner if aim == "command" else becomes),)

    def aim_at(self, aim: Aim, pids: Sequence[int] = (), scale: int = 0) -> None:
        """What will be watched decides whose calls may be counted: more than one user's only where root asks for it."""
        self._scale = scale
        owners = set(map(privilege.real_uid, pids)) or {0}
        uid = {
            "command": self.runner.uid,
            "itself": self.invoker.uid,
            "process": owners.pop() if len(owners) == 1 else 0,
            "machine": 0,
        }[aim]
        allowed = uid in (self.runner.uid, self.invoker.uid) and not self.options.as_root
        self.only_uid = uid or None if allowed and self.invoker.uid else None
        """Whose calls alone the kernel side counts; None: everyone's."""
        if aim == "machine" and self.options.user:
            self.only_uid = self.runner.uid
        if not self.privileged:
            self.only_uid = os.getuid()
        self._look: Look | None = None
        if aim in ("process", "machine"):
            from denet_tui.bpf.begun import Look

            self._look = Look(lambda: _family(pids), self.only_uid, about=self.options.detail in ("files", "all"))

    def _refuse_tracer(self) -> None:
        """Raise StartError where another process of this user would get what the loader hands over."""
        protect()
        if not self.privileged and (pid := traced_by()):
            name = "".join(command_line(pid)[:1]) or "unknown"
            raise StartError(
                f"denet-tui is being traced by process {pid} ({name}), which could take what the loader hands over: "
                "start it without that, or as root"
            )

    def _begin(self) -> unprivileged.Loads:
        self._refuse_tracer()
        rows, scale = self.options.rows, self._scale
        if rows != SIZES["ROWS"]:
            scale = max(scale, request.scale_for({"ROWS": rows}))
        fewer, detail = None if rows == SIZES["ROWS"] else rows, self.options.detail
        wanted = Request(self.options.method, scale, fewer, bool(self._wanted), detail, self.options.by_cgroup)
        return self._loader(wanted, self.only_uid)

    def dismiss_supervisor(self) -> None:
        """End the supervisor: no command will be started, after all."""
        if self.supervisor:
            pid, channel = self.supervisor
            self.supervisor = None
            channel.close()
            os.waitpid(pid, 0)

    def load(self) -> Kernel:
        """Wait for the loader, once; raises LoadError. `tracer` does so, too."""
        if self._kernel is None:
            kernel = self._kernel = (self._loading or self._begin()).receive()
            self._refuse_tracer()
            confine()
            if self._report:
                self._report(kernel)
            self.notes += kernel.notes
        return self._kernel

    def tracer(self) -> Tracer:
        """Wait for the loader; raises LoadError."""
        from denet_tui.bpf.tracer import Tracer  # while the loader works

        kernel = self.load()
        tracer = Tracer(kernel, self.only_uid)
        if self._look:
            tracer.unmet.begun, self._look = self._look.found(), None
        if self._wanted:
            tracer.want(self._wanted)
        return tracer

    def release(self, tracer: Tracer) -> None:
        """Stop watching every process of `tracer`: the loaded programs are for the next command."""
        from denet_tui.bpf import reset

        reset.stop_watching(self.load(), tracer.read)

    def info(
        self,
        argv: tuple[str, ...],
        executable: str,
        pid: int,
        tracer: Tracer,
        interval_s: float,
        *,
        in_own_folder: bool = False,
    ) -> RunInfo:
        """What stays the same from now on; a command begins in denet-tui's own folder."""
        now = clock.now()
        return RunInfo(
            argv=argv,
            executable=executable,
            pid=pid,
            method=tracer.method,
            user=self.runner.name,
            interval_s=interval_s,
            start_wall_ms=now.wall_ns // 1_000_000,
            start_ns=now.kernel_ns,
            notes=self.notes,
            cpus=os.cpu_count(),
            cwd=_folder_of("self" if in_own_folder else pid) if pid else None,
        )


def _family(pids: Sequence[int]) -> Iterator[int]:
    """Those with their descendants; every process there is where there are none."""
    from denet_tui.watch.processes import all_pids, descendants

    if not pids:
        yield from all_pids()
    for pid in pids:
        yield pid
        yield from (child for child, _ in descendants(pid))


def _folder_of(pid: int | str) -> str | None:
    """The current folder of a process; None if one may not know."""
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return None


def without_privilege(options: Options, aim: Aim, say: Callable[[str], object]) -> Loader:
    """The loader of somebody who may not load: the service for the group, or sudo for it alone; raises StartError."""
    if aim == "machine":
        raise StartError(_no_privilege())
    if unprivileged.has_service():
        return lambda wanted, _: unprivileged.Served(wanted)
    way = called.way_up(*unprivileged.LOADER)
    if options.no_sudo or not way or not os.isatty(0) or not os.isatty(2):
        raise StartError(_no_privilege())

    def through_sudo(wanted: Request, _: int | None) -> unprivileged.Loads:
        say(f"using {Path(way).name} for the moment that loading the BPF program takes (--no-sudo refuses)")
        return unprivileged.ThroughSudo(way, wanted)

    return through_sudo


def _no_privilege() -> str:
    held = privilege.capabilities()
    needed = {"CAP_BPF": privilege.CAP_BPF, "CAP_PERFMON": privilege.CAP_PERFMON}
    missing = [name for name, number in needed.items() if not held >> number & 1]
    if os.geteuid() == 0:
        return (
            f"root has no {' and no '.join(missing)} here, which loading the BPF program needs: a container or a "
            "bounding set holds it back; run denet-tui outside, or let the container have it (--cap-add)"
        )
    why, again = called.why_no_way(*sys.argv[1:]), called.as_root(*sys.argv[1:])
    if unprivileged.is_shut_out():
        return (
            f"this session may not ask for the BPF program: it is not in the group {request.GROUP}. An administrator "
            f"lets you in with `gpasswd --add {privilege.invoking_user().name} {request.GROUP}`, then log in again"
            + ("" if why else f"; or run `{again}`")
        )
    lacking = f"; {' and '.join(missing)} would do, too" if len(missing) == 1 else ""
    if why:
        setup = f"`{called.program()} setup` has a text for an administrator"
        return f"loading the BPF program needs root, and {why}; {setup}{lacking}"
    return f"loading the BPF program needs root for a moment: run `{again}`{lacking}"


def _runner(options: Options, invoker: User) -> User:
    """Who the command runs as; raises StartError."""
    if options.as_root and options.user:
        raise StartError("--as-root and --user exclude each other")
    if not options.as_root and options.user is None:
        return invoker
    return _user("0" if options.user is None else options.user)


def _as_root(runner: User) -> str:
    if runner.uid:
        return f"denet-tui itself runs as root, only the command as {runner.name}"
    return "running as root: there is no other user to become"


def _user(name: str) -> User:
    try:
        wanted = privilege.find_user(name)
    except KeyError:
        raise StartError(f"there is no user {name!r}; see `getent passwd`") from None
    if os.getuid() not in (0, wanted.uid):
        raise StartError(f"only root can act for {wanted.name}: {called.how_as_root()}")
    return wanted


def _was_ignored(number: int) -> bool:
    """For the command; Python itself ignores SIGPIPE and SIGXFSZ, whatever they were (subprocess resets them, too)."""
    return signal.getsignal(number) is signal.SIG_IGN and number not in (signal.SIGPIPE, signal.SIGXFSZ)


def command_line(pid: int) -> list[str]:
    """The words of a process, else its name; empty where it is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes() or Path(f"/proc/{pid}/comm").read_bytes().strip()
    except OSError:
        return []
    return [os.fsdecode(word) for word in raw.removesuffix(b"\0").split(b"\0")]
