"""What was looked for in vain: what is one search, and what it says of itself."""

import errno

from denet_tui.findings.searches import Search, searches
from denet_tui.touched import FailedPath, File, Touched, Use


def missed(paths: dict[str | None, int], opened: tuple[str, ...] = (), number: int = errno.ENOENT) -> Touched:
    failed = {FailedPath("openat", number, path): times for path, times in paths.items()}
    others = {FailedPath("stat", number, "/a/x.h"): 99, FailedPath("openat", errno.EACCES, "/a/x.h"): 98}
    return Touched({File("file", path): Use(1) for path in opened}, failed={**failed, **others})


def found(touched: Touched, *executed: str) -> list[Search]:
    return searches(touched, "openat", errno.ENOENT, executed)


def test_folders_of_a_name_are_one_line() -> None:
    touched = missed({"/b/x.h": 4, "/a/x.h": 5, "/c/y.h": 2, "z.h": 1}, ("/usr/include/x.h", "/usr/include/ax.h"))
    assert found(touched) == [
        Search("x.h", 9, ("/a", "/b"), ("/usr/include",)),
        Search("/c/y.h", 2),
        Search("z.h", 1),
    ]
    assert found(touched)[0].in_words() == "missed in /a, /b, found in /usr/include"
    assert found(touched)[1].in_words() == ""


def test_found_where_it_was_missed_once_and_by_executing() -> None:
    assert found(missed({"/sbin/ls": 1}), "/bin/ls") == [Search("ls", 1, ("/sbin",), ("/bin",))]
    assert found(missed({"/ls": 1, "ls": 2}), "/bin/ls") == [Search("ls", 3, (".", "/"), ("/bin",))]
    # What was there later, or before, in the place where it was missed, is not where it was found.
    assert found(missed({"/t/lock": 3}, ("/t/lock",))) == [Search("/t/lock", 3)]


def test_the_folder_above_tells_names_apart() -> None:
    touched = missed(
        {"/a/sys/types.h": 1, "/b/sys/types.h": 1, "/a/bits/types.h": 2, "/b/bits/types.h": 2},
        ("/usr/include/sys/types.h", "/usr/include/bits/types.h"),
    )
    assert found(touched) == [
        Search("bits/types.h", 4, ("/a", "/b"), ("/usr/include",)),
        Search("sys/types.h", 2, ("/a", "/b"), ("/usr/include",)),
    ]


def test_where_such_were_found_tells_names_apart() -> None:
    missed_in = ("/gcc/include", "/usr/local/include", "/usr/include/x86")
    touched = missed(
        {
            **{f"{folder}/stdio.h": 3 for folder in missed_in},
            **{f"{folder}/bits/stdio.h": 1 for folder in missed_in[:2]},
        },
        ("/usr/include/stdio.h", "/usr/include/x86/bits/stdio.h"),
    )
    assert found(touched) == [
        Search("stdio.h", 9, missed_in, ("/usr/include",)),
        Search("bits/stdio.h", 2, missed_in[:2], ("/usr/include/x86",)),
    ]


def test_what_is_no_search() -> None:
    assert found(missed({None: 7, "/a/.": 2, "/b/.": 1, "": 3, "/c/": 1})) == [
        Search(None, 7),
        Search("", 3),
        Search("/a/.", 2),
        Search("/b/.", 1),
        Search("/c/", 1),
    ]
    busy = missed({"/a/x": 2, "/b/x": 1}, ("/c/x",), errno.EBUSY)
    assert searches(busy, "openat", errno.EBUSY) == [Search("/a/x", 2), Search("/b/x", 1)]


def test_words_fit_where_they_can() -> None:
    many = Search("x.h", 90, tuple(f"/folder/{at}" for at in range(40)), ("/usr/include",))
    for room in (120, 80, 60):
        assert len(many.in_words(room)) <= room
        assert many.in_words(room).startswith("missed in 40 folders: /folder/0, ")
        assert many.in_words(room).endswith(", …, found in /usr/include")
    assert many.in_words(10) == "missed in 40 folders, found in /usr/include"
    assert Search("x", 1, ("/" + "a" * 99,)).in_words(9) == "missed in 1 folder"
    assert Search("x", 2, ("/a", "/b"), ("/c", "/d")).in_words() == "missed in /a, /b, found in 2 folders"
