"""What has changed of files and paths, however a table came to be what it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from denet_tui.detail import Detail
from denet_tui.record.files import Changes, taken
from denet_tui.touched import File, Touched, Use
from tests.record.made import snapshot

_TABLES = st.lists(st.dictionaries(st.integers(0, 9), st.integers(0, 3)), max_size=6)


@given(_TABLES, st.booleans())
def test_only_what_has_changed_is_told_and_nothing_is_missing(tables: list[dict[int, int]], anew: bool) -> None:
    """Of tables that grow and change in their places, as they are in a run, and of any others."""
    changes, read, before, kept = Changes(), None, dict[int, int](), dict[File, Use]()
    names = [File("file", f"/{at}") for at in range(10)]
    for table in tables:
        now = table if anew else {**before, **table}
        if anew:
            kept = {File("file", f"/{at}"): Use(opens) for at, opens in now.items()}
        else:
            kept = {**kept, **{names[at]: Use(opens) for at, opens in table.items() if before.get(at) != opens}}
        item = changes.item(snapshot(0.5, [])._replace(detail=Detail(touched=Touched(dict(kept)))))
        assert item
        told = {each["path"]: each["all"][0] for each in item["files"]}
        assert told == {f"/{at}": opens for at, opens in now.items() if before.get(at) != opens}
        item["files"] = [{**each, "all": [*each["all"]]} for each in item["files"]]
        read = taken({**item, "mounts": []}, read)
        assert read
        assert read.files.items() >= kept.items()
        before = now
