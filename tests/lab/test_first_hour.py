"""A new user's first hour on a stock Debian: the README typed word for word, and ten first mistakes.

Every screen is kept, as text, in /var/cache/denet-tui-lab/first-hour.
"""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.lab import vm
from tests.lab.machines import CACHE
from tests.real import REPOSITORY

pytestmark = [pytest.mark.lab, pytest.mark.root]

SCREENS = {
    "make run": "exited 0",
    "denet-tui make -j4": "exited 0",
    "sudo denet-tui": "running +whole machine",
    "denet-tui run -o build.jsonl -- make": "exited 0",
    "denet-tui view build.jsonl": "exited 0",
    "denet-tui setup": "▸ enter|[Pp]ress enter|enter goes on",
    "sudo denet-tui serve": "127.0.0.1:9783",
}
"""What the README's commands show that go on until they are left; all others end by themselves."""
LEFT = {"sudo denet-tui serve": "C-c"}
"""By which key, where that is not ctrl+q."""
SAID = {
    "make install": "installed: sudo denet-tui run -- COMMAND",
    "sudo denet-tui attach --all nginx": "no process is called 'nginx'",
    "sudo denet-tui machine --unit nginx.service": "nginx.service",
    "denet-tui run --no-tui -- ls -l": "exact",
    "denet-tui report --markdown build.jsonl": "| openat |",
    "denet-tui diff before.jsonl after.jsonl": "differ",
    "sudo denet-tui diag": "next ",
    'denet-tui explain "Map not found"': "here: sudo denet-tui selftest",
    "sudo denet-tui setup --undo": "nothing to undo",
}
"""What stands on the screen after a command of the README."""
MISTAKES = {
    "denet-tui machien": "No such command or program 'machien': did you mean machine?",
    "denet-tui nosuch": "No such command or program 'nosuch'; see `denet-tui --help`",
    "denet-tui 'ls | wc -l'": "denet-tui run -- sh -c 'ls | wc -l'",
    "denet-tui run": "Missing argument 'COMMAND...'; see `denet-tui run --help`",
    "denet-tui attach bsah": "no process is called 'bsah'",
    "denet-tui --enable-ebpf run --no-tui -- true": "--enable-ebpf is not needed",
    "denet-tui run --no-tui --no-sudo -- true": "sudo denet-tui run",
    "denet-tui run -o /nowhere/a.jsonl -- true": "No such file or directory",
    "denet-tui view missing.jsonl": "missing.jsonl",
    "denet-tui diag --only NOSUCH": "NOSUCH",
    "denet-tui setup --undo": "sudo denet-tui setup --undo",
}
"""Each is answered by one line, of which this is a part."""
FIRST = [
    {"name": "clone", "text": "git clone -q /mnt/repository denet-tui && cd denet-tui; echo told $?\n"},
    {"name": "patience", "text": "clear; (cd denet_tui && sh /mnt/patience); echo told $?\n"},
]
PACKAGE = [
    {"name": name, "text": f"clear; {command} > /tmp/said 2>&1; s=$?; tail -n 30 /tmp/said; echo told $s\n"}
    for name, command in {
        "package": "make deb",
        "package installed": "sudo apt-get install -y ./dist/denet-tui_*.deb",
        "package runs": "denet-tui run --no-tui -- ls /opt",
        "package purged": "sudo apt-get purge -y denet-tui",
        "package gone": "sudo find /etc /opt /usr /var -xdev -name '*denet*'",
    }.items()
]


def of_the_readme() -> list[str]:
    """Its commands in order, as they are typed."""
    shown = re.findall(r"^    (\S.*)$", (REPOSITORY / "README.md").read_text("utf-8"), re.MULTILINE)
    return [re.sub(r"\s+#.*", "", line) for line in shown]


def typed(command: str) -> list[dict[str, Any]]:
    """What is done to type a command and, where it opens a screen, to leave that."""
    if command in SCREENS:
        shown = {"name": command, "text": f"clear; {command}\n", "until": SCREENS[command]}
        return [shown, {"name": f"{command}, left", "keys": [LEFT.get(command, "C-q")], "until": r"\$\s*\Z"}]
    # On a terminal of its own: without one denet-tui asks nobody to let it load. What it says may be long.
    kept = f"script -qec {shlex.quote(command)} /tmp/said > /dev/null"
    return [{"name": command, "text": f"clear; {kept}; s=$?; tail -n 30 /tmp/said; echo told $s\n"}]


@pytest.fixture(scope="module")
def seen(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("hour")
    steps = [*FIRST]
    readme = of_the_readme()
    uninstall = readme.index("make uninstall")
    for command in readme[:uninstall]:
        steps += typed(command)
        if "-o build.jsonl" in command:
            steps += [
                {
                    "name": "copies",
                    "text": "clear; cp build.jsonl before.jsonl; cp build.jsonl after.jsonl; echo told $?\n",
                }
            ]
    steps += [{"name": command, "text": f"clear; {command}; echo told $?\n"} for command in MISTAKES]
    steps += [*typed("make uninstall"), *PACKAGE]
    keys = [{"until": r"^told \d+", **each} for each in steps]
    found = vm.typed(vm.make(wheels), "6.1", wheels, keys, folder)
    shutil.rmtree(CACHE / "first-hour", ignore_errors=True)
    (CACHE / "first-hour").mkdir()
    for number, (name, screen) in enumerate(found["screens"].items()):
        (CACHE / f"first-hour/{number:02} {name.replace('/', '_')}.txt").write_text(screen)
    return found


def test_the_readme_does_what_it_says(seen: dict[str, Any]) -> None:
    assert seen["failed"] == "", seen["screens"][seen["failed"]]
    screens = {name: "".join(screen.split()) for name, screen in seen["screens"].items()}
    assert [command for command in of_the_readme() if command not in screens] == []
    assert {
        command: screens[command] for command, said in SAID.items() if said.replace(" ", "") not in screens[command]
    } == {}
    assert [name for name, screen in screens.items() if "Traceback" in screen] == []
    assert seen["left"] == []


def test_each_mistake_gets_one_line_that_helps(seen: dict[str, Any]) -> None:
    assert len(MISTAKES) >= 10
    for command, helps in MISTAKES.items():
        said = seen["screens"][command]
        assert helps.replace(" ", "") in "".join(said.split()), said
        assert len(re.findall("^denet-tui: (?!using sudo)", said, re.MULTILINE)) == 1, said


def test_the_package_is_installed_runs_and_is_purged(seen: dict[str, Any]) -> None:
    screens = seen["screens"]
    for name in ("package", "package installed", "package runs", "package purged", "package gone"):
        assert "told 0" in screens[name], screens[name]
    assert "exact" in screens["package runs"]
    assert screens["package gone"].strip().splitlines()[0].startswith("told 0"), screens["package gone"]
