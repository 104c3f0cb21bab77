"""The helper that stays root on the real machine: fixes, the proof, and a file that never answers."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from pathlib import Path

import pytest

from denet_tui.bpf import burst, handover, privilege
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer
from denet_tui.checks import catalogue
from denet_tui.checks.model import State
from denet_tui.helper.client import Client
from denet_tui.helper.jobs import Counted, Ended, Found, Jobs, Proved, Said, Slow
from denet_tui.syscalls import numbers
from tests.helper.helped import Heard, apply, ended, forked, in_child
from tests.repair.machine import in_own_mounts
from tests.watch.helpers import descriptors, eventually


@pytest.mark.root
def test_the_proof_grows_and_ends_exactly_in_a_process_without_privilege() -> None:
    def held() -> list[str]:
        return [name for name in descriptors(os.getpid()).values() if "bpf" in name]

    def body() -> None:
        before = held()  # what the tests before have left in this process
        channel, pid = forked()
        privilege.become(privilege.find_user("65534"))
        jobs = Jobs(Client(channel, pid))
        heard = Heard(jobs)
        jobs.prove()
        told = heard.wait(Proved)
        assert told.exact, told
        assert (told.outcome.made, told.outcome.counted, told.method) == (1000, 1000, "raw")  # type: ignore[union-attr]
        counted = [(event.made, event.counted) for event in heard.all(Counted)]
        assert counted == [(made, made) for made in range(50, 1001, 50)]
        assert held() == before, "nothing more is held afterwards"
        jobs.close()

    in_child(body)


@pytest.mark.root
@pytest.mark.usefixtures("steady_tracefs")
def test_a_real_fix_is_applied_by_the_helper_for_a_process_without_privilege() -> None:
    """FS-001 in a mount namespace of its own: mounted, seen by the real checks, and unmounted again."""

    def body() -> None:
        subprocess.run(["sh", "-c", "umount -a -t tracefs; mount -t tmpfs -o mode=755 tmpfs /var/lib"], check=True)
        channel, pid = forked([catalogue.by_id[each] for each in ("FS-001", "FS-002")])
        privilege.become(privilege.find_user("65534"))
        jobs = Jobs(Client(channel, pid))
        heard = Heard(jobs)
        heard.look("FS-001")
        assert heard.findings["FS-001"].state is State.FAIL
        apply(heard, "FS-001.mount")
        assert heard.wait(Ended).good, heard.events
        heard.look("FS-001", "FS-002")
        assert {heard.findings[each].state for each in ("FS-001", "FS-002")} == {State.PASS}
        assert any("mount -t tracefs" in said.text for said in heard.all(Said))
        jobs.undo("FS-001.mount")
        assert heard.wait(Ended, 2).good, heard.events
        heard.look("FS-001")
        assert heard.findings["FS-001"].state is State.FAIL
        jobs.close()

    in_own_mounts(body)


@pytest.mark.root
def test_a_file_of_the_kernel_that_never_answers_holds_up_its_check_alone() -> None:
    """A filesystem in user space that says nothing lies where KERN-002 reads: the real catalogue goes on."""
    if not (Path("/dev/fuse").exists() and Path("/proc/config.gz").exists()):
        pytest.skip("needs /dev/fuse and /proc/config.gz")

    def body() -> None:
        server = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={server},rootmode=100000,user_id=0,group_id=0".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mount(b"none", b"/proc/config.gz", b"fuse", 0, options) == 0, os.strerror(ctypes.get_errno())
        kernel = [each.id for each in catalogue.ALL if each.area == "kernel"]
        channel, pid = forked()
        jobs = Jobs(Client(channel, pid))
        heard = Heard(jobs)
        jobs.look(kernel)
        eventually(
            lambda: len(heard.all(Found)) == len(kernel) - 1 and Slow("KERN-002") in heard.all(Slow), "the others"
        )
        assert "KERN-002" not in heard.findings
        jobs.close()
        assert ended(pid)

    in_own_mounts(body)


@pytest.mark.root
def test_the_burst_is_counted_beside_a_handler_of_sigcont() -> None:
    """Textual has one: in the child that is stopped and continued it would run the screen's code."""

    def body() -> None:
        signal.signal(signal.SIGCONT, lambda *_: os._exit(3))
        kernel = handover.Loading(Request("raw")).receive()
        tracer = Tracer(kernel)
        seen: list[tuple[int, int]] = []
        outcome = burst.count(tracer, numbers()["read"], lambda made, counted: seen.append((made, counted)))
        assert outcome.exact
        assert seen[-1] == (1000, 1000)
        assert len(seen) == 20

    in_child(body)
