"""Every syscall is in exactly one class; errnos have the names that strace shows."""

from collections import Counter

import pytest
from system_calls import syscalls

from denet_tui.model import Syscall
from denet_tui.syscalls import (
    _MEMBERS,
    CLASSES,
    MEMBERS,
    OTHER,
    chosen,
    class_of,
    errno_name,
    expand,
    numbers,
    words_of,
)


@pytest.mark.parametrize("architecture", ["x86_64", "arm64", "i386", "x32"])
def test_every_named_syscall_is_in_exactly_one_class(architecture: str) -> None:
    """arm64 is the table's name for aarch64; i386 and x32 are the foreign ABIs of x86_64."""
    names = syscalls().load_arch_table(architecture)
    assert len(names) > 300
    homes = {name: [kind for kind in CLASSES if name in MEMBERS[kind]] for name in names}
    assert {name: found for name, found in homes.items() if len(found) != 1} == {}


def test_no_name_is_said_twice() -> None:
    said = Counter(name for names in _MEMBERS.values() for name in names.split())
    assert [name for name, count in said.items() if count > 1] == []


def test_the_classes() -> None:
    assert CLASSES == ("file", "network", "memory", "process", "signal", "ipc", "time", "security", "system")
    assert class_of(Syscall(0, 0, "read")) == "file"
    assert class_of(Syscall(1, 102, "ia32:socketcall")) == "network"
    assert class_of(Syscall(0, 9999, "syscall_9999")) == OTHER


def test_errnos() -> None:
    assert errno_name(2) == "ENOENT"
    assert [errno_name(number) for number in (11, 35, 95)] == ["EAGAIN", "EDEADLK", "EOPNOTSUPP"]
    assert errno_name(524) == "errno_524"


def test_words_may_have_commas_between_slashes() -> None:
    assert words_of("read, !%file,/^p.{1,4}$/ ,!/a,b/,,") == ("read", "!%file", "/^p.{1,4}$/", "!/a,b/")
    assert words_of(" , ") == ()


def test_words_are_added_up_and_those_with_a_mark_left_out() -> None:
    assert expand("/^pread(v2?|64)$/") == {"pread64", "preadv", "preadv2"}
    calls = {name: (0, numbers()[name]) for name in ("read", "write", "openat", "close")}
    some = chosen(["/^(read|write|close)$/", "openat", "!write"])
    assert {each for each in some if each[0] == 0} == set(calls.values()) - {calls["write"]}
    rest = chosen(["!%file"])
    assert not rest & set(calls.values())
    assert {(0, numbers()["getpid"]), (0, 639), (1, 639)} <= rest
