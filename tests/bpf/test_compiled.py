"""What bcc compiled is kept by root and used again; what somebody else could have put there is not."""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from denet_tui.bpf import btf, burst, compiled, loader, programs, toolchain
from denet_tui.bpf.btf import FUNCTION, Btf
from denet_tui.bpf.compiled import ProgramCache, _UnusableError
from denet_tui.bpf.handover import Kernel, Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracepoints import EVENTS
from denet_tui.bpf.tracer import Tracer
from denet_tui.syscalls import numbers
from tests.helper.helped import in_child
from tests.real import REPOSITORY
from tests.watch.helpers import run

pytestmark = pytest.mark.root


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Such as root has, and no other could write to."""
    made = Path(tempfile.mkdtemp(dir="/var/cache"))
    monkeypatch.setattr(compiled, "FOLDER", made)
    yield made
    shutil.rmtree(made)


def kernel(folder: Path, request: Request, only_uid: int) -> Kernel:
    start = "import pathlib; from denet_tui.bpf import compiled, loader"
    patched = f"compiled.FOLDER = pathlib.Path({str(folder)!r})"
    return Loading(request, only_uid=only_uid, program=("-c", f"{start}; {patched}; loader.main()")).receive()


def counted_of(tracer: Tracer, uids: tuple[int, ...]) -> list[int]:
    """How many are counted of 1,000 calls by a process of each user, one after the other."""
    readable, written = os.pipe()
    pid = os.fork()
    if pid == 0:
        for uid in uids:
            os.seteuid(0)
            os.setresuid(uid, uid, 0)
            os.write(written, f"{burst.count(tracer, numbers()['getppid']).counted} ".encode())
        os._exit(0)
    os.close(written)
    with os.fdopen(readable) as said:
        assert os.waitpid(pid, 0)[1] == 0
        return [int(number) for number in said.read().split()]


def test_the_second_start_takes_what_the_first_compiled_and_counts_its_own_user(folder: Path) -> None:
    users = (54321, 65534, 1)
    for said, uid in (("compiled: ", 54321), ("not compiled, taken from ", 65534)):
        loaded = kernel(folder, Request("raw", only_wanted=True), uid)
        tracer = Tracer(loaded)
        tracer.want({(0, numbers()["getppid"])})
        try:
            assert counted_of(tracer, users) == [1000 * (each == uid) for each in users]
        finally:
            tracer.close()
        assert loaded.output.startswith(said)
    (kept,) = folder.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600


CALLING = b"""
int on_calling(void *ctx)
{
#ifdef RDONLY_CAST
    void *(*cast)(void *, u64) = (void *)RDONLY_CAST;
    return *(u64 *)cast(ctx, TYPE) ? 1 : 2;
#endif
    return 1;
}
"""


def test_a_function_of_the_kernel_is_called_where_that_lets_programs_call_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = Btf.of_kernel()
    numbers = kernel.numbers(["bpf_rdonly_cast"], FUNCTION)
    if not numbers:
        pytest.skip("needs Linux 6.2")
    monkeypatch.setattr(loader, "program_text", lambda: CALLING)

    def body() -> None:
        sizes = {}
        type_of = f"-DTYPE={kernel.numbers(['list_head'])['list_head']}"
        for number in (numbers["bpf_rdonly_cast"], 1001):  # a type, and no function
            flags = [f"-DRDONLY_CAST={number}", type_of]
            made = loader._made(ProgramCache(number), toolchain.find(), 17, (flags, []), ((), ()), ["calling"], None)
            sizes[capsys.readouterr().out] = programs.info(made.programs["calling"]).verified
            made.after()
        assert list(sizes) == ["", "calling: [Errno 22] Invalid argument\n"]
        called, plain = sizes.values()
        assert called > plain == 2
        kept = ProgramCache(numbers["bpf_rdonly_cast"]).load(17, (), ["calling"])
        assert kept
        assert programs.info(kept.programs["calling"]).verified == called

    in_child(body)  # bcc stays out of the process of the other tests


@pytest.mark.slow
def test_a_uid_put_in_gives_what_is_compiled_for_it_alone() -> None:
    done = run(sys.executable, "-m", "tests.bpf.compared", str((1 << 31) - 1), cwd=REPOSITORY)
    ((uid, places),) = json.loads(done.stdout).items()
    assert uid == "2147483647"
    assert set(places) == set(EVENTS)
    assert min(places.values()) > 0, places


@pytest.mark.parametrize("uid", [None, 0, 1 << 31, (1 << 32) - 2])
def test_a_uid_that_cannot_be_put_in_is_compiled_for_itself(uid: int | None) -> None:
    assert compiled.compiled_for(uid) == uid
    with pytest.raises(struct.error):
        compiled.of_uid(bytes(8), [0], uid or 1 << 31)


@pytest.fixture
def cache(folder: Path) -> ProgramCache:
    """One in which something is kept."""
    made = ProgramCache("settings")
    made._write({"key": made._key, "compilers": {"/bin/sh": compiled._signature("/bin/sh")}, "maps": {}})
    assert made._read()["maps"] == {}
    assert len(list(folder.iterdir())) == 1
    return made


def rewritten(change: dict[str, Any]) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        body = json.dumps(json.loads(file.read_bytes().partition(b"\n")[2]) | change).encode()
        file.write_bytes(compiled._digest(body) + b"\n" + body)

    return write


def replaced_by_a_symlink(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda file: file.unlink(), "No such file"),
        (lambda file: file.write_bytes(b""), "is damaged"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "is damaged"),
        (lambda file: file.write_bytes(file.read_bytes().replace(b"maps", b"mbps")), "is damaged"),
        (lambda file: file.chmod(0o620), "is not root's alone"),
        (lambda file: os.chown(file, 1000, 0), "is not root's alone"),
        (lambda file: file.parent.chmod(0o777), "is not root's alone"),
        (lambda file: os.chown(file.parent, 1000, 0), "is not root's alone"),
        (lambda file: (file.unlink(), os.mkfifo(file, 0o600)), "is damaged"),
        (lambda file: os.truncate(file, 3 << 30), "is damaged"),
        (replaced_by_a_symlink, "is not root's alone"),
        (rewritten({"key": "of another kernel"}), "is of another kernel, bcc or LLVM"),
        (rewritten({"compilers": {"/bin/sh": [1, 2, 3]}}), "is of another kernel, bcc or LLVM"),
        (rewritten({"compilers": {"/no/libbcc.so": [1, 2, 3]}}), "is of another kernel, bcc or LLVM"),
    ],
)
def test_what_is_not_roots_whole_or_of_here_is_not_used(cache: ProgramCache, spoil: Any, why: str) -> None:
    spoil(cache.file)
    with pytest.raises(_UnusableError, match=why):
        cache._read()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"maps": {"rows": [999, 4, 8, 1, 0]}}, "Invalid argument"),
        ({"maps": None}, "'NoneType' object is not iterable"),
        ({"programs": {}}, "'sys_enter'"),
    ],
)
def test_what_cannot_be_loaded_is_compiled_instead(
    cache: ProgramCache, capsys: pytest.CaptureFixture[str], change: dict[str, Any], why: str
) -> None:
    rewritten(change)(cache.file)
    assert cache.load(17, []) is None
    assert capsys.readouterr().out == f"compiled: {why}\n"


@pytest.fixture
def looked_for_again() -> Iterator[None]:
    """A loader looks once for what its program is compiled from: here that changes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "sources", compiled.sources.__wrapped__)
        yield


@pytest.mark.usefixtures("looked_for_again")
def test_other_settings_another_source_and_another_kernel_have_another_place(
    cache: ProgramCache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert ProgramCache("settings").file == cache.file
    assert ProgramCache("other settings").file != cache.file
    for each in ("burst.py", "kernel/times.c", "include/linux/types.h"):
        copied = shutil.copytree(Path(compiled.__file__).parent, tmp_path / each)
        monkeypatch.setattr(compiled, "_HERE", copied)
        assert ProgramCache("settings").file == cache.file
        (copied / each).write_text("")
        assert ProgramCache("settings").file != cache.file
    monkeypatch.undo()
    names = os.uname()
    monkeypatch.setattr(os, "uname", lambda: (*names[:3], "#2 of another day", names[4]))
    assert ProgramCache("settings").file != cache.file
    monkeypatch.undo()
    monkeypatch.setattr(compiled, "_HERE", cache.file.parent)
    assert ProgramCache("settings").file != cache.file
    monkeypatch.undo()
    notes, types = tmp_path / "notes", tmp_path / "types"
    monkeypatch.setattr(compiled, "_NOTES", notes)
    monkeypatch.setattr(btf, "VMLINUX", types)
    places = set()
    for note, told in (("1", "1"), ("2", "1"), (None, "1"), (None, "2")):  # where there are no notes: by its types
        notes.unlink(missing_ok=True)
        if note:
            notes.write_bytes(b"\4\0\0\0\x14\0\0\0\3\0\0\0GNU\0" + note.encode() * 20)
        types.write_text(told)
        places.add(ProgramCache("settings").file)
    assert len(places) == 4


def test_the_longest_unused_go_first(cache: ProgramCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_MOST", 3)
    for day, name in enumerate(("a", "b", "c")):
        other = ProgramCache(name)
        other._write({})
        os.utime(other.file, (day, day))
    os.utime(cache.file, (5, 5))
    ProgramCache("d")._write({})
    assert {path.stat().st_mtime for path in compiled.FOLDER.iterdir() if path.stat().st_mtime < 9} == {2, 5}


def test_who_is_not_root_keeps_nothing(folder: Path) -> None:
    pid = os.fork()
    if pid == 0:
        folder.chmod(0o777)
        os.setuid(1000)
        try:
            ProgramCache("settings")._write({})
        except _UnusableError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert list(folder.iterdir()) == []


def test_a_loader_that_is_not_root_looks_at_nothing() -> None:
    asked = (
        "from denet_tui.bpf.compiled import ProgramCache; cache = ProgramCache(); print(cache.load(0, ()), vars(cache))"
    )
    done = run("setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-c", asked, cwd=REPOSITORY)
    assert done.stdout == "compiled: only root keeps what it compiled\nNone {'_settings': ()}\n", done.stderr


@pytest.mark.parametrize("threads", [True, False])
def test_what_is_done_side_by_side_is_done_once_each(monkeypatch: pytest.MonkeyPatch, threads: bool) -> None:
    if not threads:
        monkeypatch.setattr("threading.Thread.start", _no_thread)
    done: list[str] = []
    names = [f"{number}" for number in range(1000)]
    compiled.side_by_side(done.append, names)
    assert sorted(done, key=int) == names


def test_what_goes_wrong_side_by_side_is_raised_and_nothing_is_begun_after_it() -> None:
    begun: list[str] = []

    def do(name: str) -> None:
        begun.append(name)
        raise OSError(1, name)

    with pytest.raises(OSError, match="1"):
        compiled.side_by_side(do, [f"{number}" for number in range(1000)])
    assert len(begun) <= 2


def _no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
