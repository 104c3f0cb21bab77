"""The journal: cut off anywhere it is mended, changed anywhere it is refused, and no other file is taken for it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denet_tui.repair import journal
from denet_tui.repair.journal import Journal, JournalError
from denet_tui.repair.steps import Settings

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the journal is root's alone"),
]

STEP = {"kind": "value", "path": "/proc/sys/x", "value": "2"}


_made: list[bytes] = []


def written(state: Path) -> bytes:
    """A journal with a fix that is whole, one that was begun, and one that was undone."""
    if _made:
        state.mkdir(mode=0o700)
        (state / journal.NAME).write_bytes(_made[0])
        (state / journal.NAME).chmod(0o600)
        return _made[0]
    with Journal(str(state)) as book:
        book.begin("A-001.a", "by hand", "boot")
        book.done(book.intend(STEP, "3"), "2")
        book.end()
        book.begin("B-001.b", "", "boot")
        entry = book.intend(STEP, "\u00e4\ud800\n")
        book.done(entry, "2")
        book.undoing(entry)
        book.kept(entry)
        book.undoing(entry)
        book.undone(entry)
        book.end()
        book.begin("C-001.c", "", "boot")
        book.intend(STEP, None)
    _made.append((state / journal.NAME).read_bytes())
    return _made[0]


def read(state: Path, said: list[str] | None = None) -> list[tuple[str, bool, list[tuple[bool, bool]]]]:
    with Journal(str(state), (said if said is not None else []).append) as book:
        return [
            (each.fix, each.finished, [(entry.done, entry.undone) for entry in each.entries]) for each in book.records
        ]


WHOLE = [
    ("A-001.a", True, [(True, False)]),
    ("B-001.b", True, [(True, True)]),
    ("C-001.c", False, [(False, False)]),
]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written(tmp_path / "state")
    said: list[str] = []
    assert read(tmp_path / "state", said) == WHOLE
    assert said == []
    with Journal(str(tmp_path / "state")) as book:
        assert [entry.old for record in book.records for entry in record.open] == ["3", None]
        assert book.records[0].words == "by hand"


@pytest.mark.slow
def test_cut_off_at_any_byte_it_is_mended(tmp_path: Path) -> None:
    """What is left are the whole lines, and what is written afterwards is believed."""
    state = tmp_path / "state"
    whole = written(state)
    for length in range(0, len(whole), 7):
        (state / journal.NAME).write_bytes(whole[:length])
        said: list[str] = []
        read(state, said)
        lines = whole[:length].count(b"\n")
        assert len(said) == (0 if whole[:length].endswith(b"\n") or not length else 1)
        assert all("torn line was dropped" in line for line in said)
        assert (state / journal.NAME).read_bytes() == b"".join(whole.splitlines(keepends=True)[:lines])
        with Journal(str(state)) as book:
            book.begin("D-001.d", "", "boot")
        assert read(state)[-1][0] == "D-001.d"


def test_a_tail_of_zeros_is_a_torn_line(tmp_path: Path) -> None:
    """What a file system leaves of a write that a power loss cut off."""
    state = tmp_path / "state"
    whole = written(state)
    (state / journal.NAME).write_bytes(whole + bytes(4096))
    said: list[str] = []
    assert read(state, said) == WHOLE
    assert len(said) == 1
    assert (state / journal.NAME).read_bytes() == whole


def edited(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    return lambda whole: b"".join(change(whole.splitlines(keepends=True)))


@pytest.mark.parametrize(
    "forge",
    [
        lambda whole: whole.replace(b'"3"', b'"0"'),
        lambda whole: whole.replace(b"/proc/sys/x", b"/etc/shadow"),
        lambda whole: whole.replace(b'"format": 1', b'"format": 2'),
        edited(lambda lines: lines[1:]),
        edited(lambda lines: [*lines[:2], *lines[3:]]),
        edited(lambda lines: [lines[1], lines[0], *lines[2:]]),
        edited(lambda lines: [*lines, lines[-1]]),
        edited(lambda lines: [*lines[:-1], lines[-1].replace(b"null", b"1234")]),
        edited(lambda lines: [*lines, b"\n"]),
        edited(lambda lines: [*lines, b"hello\n"]),
        edited(lambda lines: [*lines, b'{"do": "end"}\n']),
        edited(lambda lines: [*lines, b"[" * 100_000 + b"\n"]),
        edited(lambda lines: [*lines, b"\xff\xfe\x00\n"]),
    ],
)
def test_changed_anywhere_it_is_refused(tmp_path: Path, forge: Callable[[bytes], bytes]) -> None:
    state = tmp_path / "state"
    whole = written(state)
    forged = forge(whole)
    assert forged != whole
    (state / journal.NAME).write_bytes(forged)
    with pytest.raises(JournalError, match=r"line \d+ was not written by denet-tui, or was changed since") as caught:
        Journal(str(state))
    assert "\n" not in str(caught.value)
    assert (state / journal.NAME).read_bytes() == forged


def test_a_chain_that_fits_and_makes_no_sense_is_refused(tmp_path: Path) -> None:
    """As a later version might write."""
    for fields in ({"do": "dance"}, {"do": "done", "step": 77, "seen": None}, {"do": "end"}, {"do": "step"}, {}):
        state = tmp_path / f"state-{fields.get('do', 'none')}"
        state.mkdir(mode=0o700)
        body = {"format": 1, "n": 1, **fields, "prev": "0" * 64}
        body["sum"] = journal._sum(body)
        path = state / journal.NAME
        path.write_text(json.dumps(body) + "\n")
        path.chmod(0o600)
        with pytest.raises(JournalError, match="line 1 was not written by denet-tui"):
            Journal(str(state))


@settings(max_examples=60)
@given(st.binary(max_size=300), st.integers(0, 3000), st.booleans())
def test_any_bytes_are_mended_or_refused(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int, insert: bool
) -> None:
    state = tmp_path_factory.mktemp("noise") / "state"
    whole = written(state)
    (state / journal.NAME).write_bytes(whole[:at] + noise + (whole[at:] if insert else whole[at + len(noise) :]))
    try:
        found = read(state)
    except JournalError:
        return
    assert [each[0] for each in found] == [each[0] for each in WHOLE][: len(found)]


def _folder(state: Path) -> None:
    (state / journal.NAME).unlink()
    (state / journal.NAME).mkdir()


def _link(state: Path) -> None:
    (state / journal.NAME).rename(state / "real")
    (state / journal.NAME).symlink_to("real")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda state: (state / journal.NAME).chmod(0o644), "mode 0644, not to root with 0600"),
        (lambda state: os.chown(state / journal.NAME, 1000, 0), "belongs to uid 1000"),
        (lambda state: state.chmod(0o755), "should be root's alone"),
        (lambda state: os.chown(state, 1000, 0), "belongs to uid 1000"),
        (lambda state: os.link(state / journal.NAME, state / "other"), "not a plain file with one name"),
        (lambda state: (state / journal.NAME).rename(state / "x") and os.mkfifo(state / journal.NAME), "plain file"),
        (_folder, "plain file"),
        (_link, "symlink"),
    ],
)
def test_somebody_elses_file_is_no_journal(tmp_path: Path, spoil: Callable[[Path], object], says: str) -> None:
    state = tmp_path / "state"
    written(state)
    spoil(state)
    with pytest.raises(JournalError, match=says) as caught:
        Journal(str(state))
    assert "\n" not in str(caught.value)


def test_only_one_at_a_time(tmp_path: Path) -> None:
    with (
        Journal(str(tmp_path / "state")),
        pytest.raises(JournalError, match=r"another setup.*still runs; wait for its end$"),
    ):
        Journal(str(tmp_path / "state"))
    with Journal(str(tmp_path / "state")):
        pass


def test_nothing_is_left_where_nothing_is_to_undo(tmp_path: Path) -> None:
    state = tmp_path / "state"
    written(state)
    with Journal(str(state)) as book:
        book.remove_if_settled()
        assert state.exists()
        for record in book.records:
            for entry in record.open:
                book.undone(entry)
        book.remove_if_settled()
    assert not state.exists()
    (tmp_path / "state").mkdir(mode=0o700)
    (state / "last-good.json").write_text("{}")
    with Journal(str(state)) as book:
        book.remove_if_settled()
    assert [each.name for each in state.iterdir()] == ["last-good.json"]


def test_an_entry_is_on_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync
    with Journal(str(tmp_path / "state")) as book:
        monkeypatch.setattr(os, "fsync", lambda number: (synced.append(os.fstat(number).st_size), real(number))[1])
        book.begin("A-001.a", "", "")
        entry = book.intend(STEP, "3")
        book.done(entry, "2")
    ends = [len(line) for line in (tmp_path / "state" / journal.NAME).read_bytes().splitlines(keepends=True)]
    assert synced == [ends[0], sum(ends[:2]), sum(ends)]


def test_what_was_written_before_sessions_had_names_is_of_no_session(tmp_path: Path) -> None:
    first = "9cac413657e7dea33faa1d99aae2fe31e53433799ec6edb94907e25049fc717d"
    lines = (
        '{"boot": "boot", "do": "begin", "fix": "A-001.a", "format": 1, "n": 1, '
        f'"prev": "{"0" * 64}", "sum": "{first}", "words": "by hand"}}\n'
    )
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / journal.NAME).write_text(lines)
    (state / journal.NAME).chmod(0o600)
    with Journal(str(state)) as book:
        book.begin("B-001.b", "", "boot", "one")
    with Journal(str(state)) as book:
        assert [(each.fix, each.session) for each in book.records] == [("A-001.a", ""), ("B-001.b", "one")]


def test_the_readme_names_the_folder_that_undo_leaves() -> None:
    _, _, uninstall = (Path(__file__).parents[2] / "README.md").read_text().partition("## Uninstall")
    assert Settings().state in uninstall
