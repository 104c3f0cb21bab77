"""An engine that is none: findings of recorded machines, fixes that do what a test says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from queue import SimpleQueue

from denet_tui.bpf.burst import Outcome
from denet_tui.checks import catalogue, service
from denet_tui.checks.model import BOTH, Evidence, Finding, Fix, RunCommand, State, WriteFile
from denet_tui.checks.verdict import ACCESS, PROOF
from denet_tui.helper import jobs
from denet_tui.helper.access import Reach
from denet_tui.repair.preview import preview
from tests.checks.fake import FakeHost

WHY = "The kernel refuses what it does not know."


def fine() -> dict[str, Finding]:
    """A machine on which everything is right."""
    seen = (Evidence("/proc/self/status", "CapEff: 000001ffffffffff"),)
    return {each: Finding(each, State.PASS, f"{check.title}: good", seen) for each, check in catalogue.by_id.items()}


def finding(identity: str, state: State, *fixes: Fix, why: str = WHY) -> Finding:
    """A finding that both ways need, with two things that were seen."""
    seen = (
        Evidence("/proc/self/mountinfo", "no line of type tracefs"),
        Evidence("import bcc", "No module named 'bcc'"),
    )
    title = f"{catalogue.by_id[identity].title}: {state}"
    return Finding(identity, state, title, seen, why, BOTH, fixes)


MOUNT = Fix(
    "FS-001.mount",
    "mount tracefs",
    (RunCommand(("/usr/bin/mount", "-t", "tracefs", "-o", "nosuid,nodev,noexec", "tracefs", "/sys/kernel/tracing")),),
    "until-reboot",
    "umount, unless a process uses it",
)
UNIT = Fix(
    "FS-001.unit",
    "mount tracefs at boot",
    (
        WriteFile("/etc/systemd/system/denet-tui-tracefs.service", "[Unit]\nDescription=tracefs for denet-tui\n"),
        RunCommand(("/usr/bin/systemctl", "daemon-reload")),
    ),
    "permanent",
    "disable and delete the unit, which unmounts it",
)
RAW = Fix(
    "FS-002.raw",
    "use raw tracepoints, which need no tracefs",
    (),
    "until-reboot",
    "nothing to undo",
    advice="leave out `--attach-method tracefs`, or start with sudo",
)
SOCKET = Fix(
    "PRIV-005.socket",
    "let members of denet-trace watch their own commands without sudo, through denet-tui-loader.socket",
    (
        RunCommand(("/usr/sbin/groupadd", "--system", "denet-trace")),
        WriteFile("/etc/systemd/system/denet_tui.slice", service.units()["denet_tui.slice"]),
        RunCommand(("/usr/bin/systemctl", "enable", "--now", "denet-tui-loader.socket")),
    ),
    "permanent",
    "stops denet-tui-loader.socket and deletes its units",
    weakens=" ".join(service.means(FakeHost())),
)
INSTALL = Fix(
    "BCC-001.install",
    "install python3-bpfcc",
    (RunCommand(("/usr/bin/apt-get", "install", "-y", "python3-bpfcc")),),
    "permanent",
    "remove the packages that were not there before, and no others",
)
SUDO = Fix(
    "PRIV-001.sudo",
    "start denet-tui with sudo",
    (),
    "until-reboot",
    "nothing stays",
    advice="run `sudo denet-tui …`: the loader is root for a moment, everything else runs as you",
)
SETPRIV = Fix(
    "PRIV-001.setpriv",
    "start denet-tui as yourself with these two capabilities and nothing else of root's",
    (),
    "until-reboot",
    "nothing stays",
    advice="run `sudo setpriv --reuid=1000 --regid=1000 --init-groups --inh-caps=-all,+bpf,+perfmon "
    "--ambient-caps=-all,+bpf,+perfmon --bounding-set=-all,+bpf,+perfmon --no-new-privs -- denet-tui …`",
)
DOES_NOT_WORK = (
    Finding(
        PROOF,
        State.FAIL,
        "raw tracepoints stop at compiling (bcc is not installed); tracefs tracepoints stop at reading the event's "
        "number in tracefs (tracefs is not mounted)",
        (Evidence("raw: compiling", "bcc is not installed"), Evidence("tracefs: the event", "not mounted")),
        "Whatever all the other checks say: this is the real thing, done once.",
        BOTH,
    ),
)


def not_set_up() -> Finding:
    """What is found where the loader's socket could work."""
    seen = (Evidence("/etc/systemd/system/denet-tui-loader.socket", "not there"),)
    title = "not set up: members of denet-trace could watch their own commands without sudo"
    return Finding("PRIV-005", State.SKIP, title, seen, WHY, fixes=(SOCKET,))


def broken() -> dict[str, Finding]:
    """A machine on which tracefs, bcc and a capability are missing."""
    wrong = (
        finding("PRIV-001", State.FAIL, SUDO, SETPRIV),
        finding("FS-001", State.FAIL, MOUNT, UNIT),
        finding("FS-002", State.FAIL, RAW),
        finding("BCC-001", State.FAIL, INSTALL),
        *DOES_NOT_WORK,
    )
    return fine() | {each.id: each for each in wrong}


def exact() -> jobs.Proved:
    """1,000 calls, all of them counted."""
    return jobs.Proved(Outcome("read", 1000, 1000, {9: 1000}, {9: 1000}, ""), "raw")


class Recorded:
    """Tells at once, or where `slowly` is set, only what a test lets it."""

    def __init__(
        self,
        found: dict[str, Finding],
        mended: Callable[[str, dict[str, Finding]], Iterable[Finding]] | None = None,
        *,
        root: bool = True,
        slowly: bool = False,
    ) -> None:
        """`mended` says what is found after a fix has been applied, by its id."""
        self.found, self._mended, self.root, self.slowly = dict(found), mended or mends, root, slowly
        self.may_load, self.interrupted = True, False
        self.applied: tuple[str, ...] = ()
        self.mine: tuple[str, ...] = ()
        self.events: SimpleQueue[jobs.Event] = SimpleQueue()
        self.reach = Reach(socket=service.means(FakeHost()))
        self.asked: list[str] = []
        """Everything that the screen asked for, in order."""
        self.says: tuple[str, ...] = ("$ the command", "a line of its output")
        self.fails = ""
        """What a fix fails with; empty where it does not."""
        self.proves: jobs.Proved = exact()
        self._wake: Callable[[], object] = lambda: None
        self._before: dict[str, dict[str, Finding]] = {}

    def listen(self, wake: Callable[[], object] = lambda: None) -> None:
        self._wake = wake
        self.tell(jobs.InForce(self.applied, self.mine, self.interrupted))

    def tell(self, event: jobs.Event) -> None:
        self.events.put(event)
        self._wake()

    def look(self, ids: Iterable[str]) -> None:
        wanted = [*ids]
        self.asked.append(f"look {'all' if wanted == [*catalogue.by_id] else ' '.join(wanted)}")
        for each in wanted:
            self.tell(jobs.Started(each))
        if not self.slowly:
            self.end_looking(wanted)

    def end_looking(self, ids: Iterable[str]) -> None:
        for each in ids:
            found = self.found[each]
            previews = {fix.id: preview(fix, FakeHost()) for fix in found.fixes}
            reach = self.reach if each == ACCESS else None
            self.tell(jobs.Found(found, (f"host.read('/proc/self/status') = {each}",), previews, reach))

    def apply(self, fix: Fix) -> None:
        self.asked.append(f"apply {fix.id}")
        for line in self.says:
            self.tell(jobs.Said(line))
        if not self.slowly:
            self.end(fix.id)

    def end(self, fix: str, *, cancelled: bool = False) -> None:
        good = not self.fails and not cancelled
        if good:
            self._before[fix] = dict(self.found)
            self.found |= {each.id: each for each in self._mended(fix, self.found)}
            self.applied, self.mine = (*self.applied, fix), (*self.mine, fix)
        self._tell(jobs.Ended("apply", fix, good, changed=good, cancelled=cancelled, text=self.fails))

    def undo(self, fix: str) -> None:
        self.asked.append(f"undo {fix}")
        self.found |= self._before.pop(fix, {})
        self.applied, self.mine = (tuple(one for one in each if one != fix) for each in (self.applied, self.mine))
        self._tell(jobs.Ended("undo", fix, good=True, changed=True))

    def _tell(self, ended: jobs.Ended) -> None:
        self.tell(jobs.InForce(self.applied, self.mine, self.interrupted))
        self.tell(ended)

    def cancel(self) -> None:
        self.asked.append("cancel")

    def prove(self, method: str = "auto") -> None:
        self.asked.append("prove")
        for counted in range(0, 1001, 100):
            self.tell(jobs.Counted(1000, counted))
        self.tell(self.proves)


def mends(fix: str, found: dict[str, Finding]) -> list[Finding]:
    """The fix's own check is content afterwards, and where nothing else is wrong, the proof."""
    identity = fix.partition(".")[0]
    now = [dataclasses.replace(found[identity], state=State.PASS, title="good now")]
    others = [each for each in found.values() if each.blocks and each.id not in (identity, PROOF)]
    if not others:
        now.append(Finding(PROOF, State.PASS, "1,000 known calls were made, and 1,000 counted", required_for=BOTH))
    return now
