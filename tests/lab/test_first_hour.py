"""A new user's first hour on a stock Debian: the README typed word for word, and ten first mistakes.

Emulated, what installs takes longest: that is done once, and the machine then goes on in three, side by side. Every
screen is kept, as text, in /var/cache/denet-tui-lab/first-hour.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.lab import vm
from tests.lab.machines import CACHE
from tests.real import REPOSITORY

SCREENSHOTS = CACHE / "first-hour"
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
    "denet-tui diff before.jsonl after.jsonl": "no change beyond noise",
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
LATER = [{"name": "back", "text": "clear; cd ~/denet-tui; echo told $?\n"}]
PACKAGE = [
    {"name": name, "text": f"clear; {command} > /tmp/said 2>&1; s=$?; tail -n 30 /tmp/said; echo told $s\n"}
    for name, command in {
        "package": "make deb",
        "package installed": "sudo apt-get install -y ./dist/denet-tui_*.deb",
        "package runs": "script -qec 'denet-tui run --no-tui -- ls /opt' /dev/null",
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
    before = "cp build.jsonl before.jsonl; cp build.jsonl after.jsonl; " * command.startswith("denet-tui diff")
    return [{"name": command, "text": f"clear; {before}{kept}; s=$?; tail -n 30 /tmp/said; echo told $s\n"}]


@pytest.fixture(scope="module")
def seen(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What was typed on each of the machines showed, by the name of it."""
    machine, disk = vm.make(wheels) / "6.1", tmp_path_factory.mktemp("hour") / "installed.img"
    readme = of_the_readme()
    installed, uninstall = readme.index("make install") + 1, readme.index("make uninstall")
    begin = [*FIRST, *(step for command in readme[:installed] for step in typed(command))]
    later = {
        "readme": [*LATER, *(step for command in readme[installed : uninstall + 1] for step in typed(command))],
        "mistakes": [*LATER, *({"name": word, "text": f"clear; {word}; echo told $?\n"} for word in MISTAKES)],
        "package": [*LATER, *typed("make uninstall"), *PACKAGE],
    }

    def goes_on(name: str, steps: list[dict[str, Any]]) -> dict[str, Any]:
        keys = [{"until": r"^told \d+", **each} for each in steps]
        found = vm.typed(machine, wheels, keys, tmp_path_factory.mktemp(name), disk)
        for number, (step, screen) in enumerate(found["screens"].items()):
            (SCREENSHOTS / f"{name} {number:02} {step.replace('/', '_')}.txt").write_text(screen)
        return found

    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir()
    found = {"install": goes_on("install", begin)}
    assert found["install"]["failed"] == "", found["install"]["screens"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return found | dict(zip(later, pool.map(goes_on, later, later.values()), strict=True))


def test_the_readme_does_what_it_says(seen: dict[str, dict[str, Any]]) -> None:
    readme = seen["readme"]
    assert readme["failed"] == "", readme["screens"][readme["failed"]]
    shown = {**seen["install"]["screens"], **readme["screens"]}
    screens = {name: "".join(screen.split()) for name, screen in shown.items()}
    assert [command for command in of_the_readme() if command not in screens] == []
    assert {
        command: screens[command] for command, said in SAID.items() if said.replace(" ", "") not in screens[command]
    } == {}
    assert [name for name, screen in screens.items() if "Traceback" in screen] == []
    assert readme["left"] == []


def test_each_mistake_gets_one_line_that_helps(seen: dict[str, dict[str, Any]]) -> None:
    assert len(MISTAKES) >= 10
    for command, helps in MISTAKES.items():
        said = seen["mistakes"]["screens"][command]
        assert helps.replace(" ", "") in "".join(said.split()), said
        assert len(re.findall("^denet-tui: (?!using sudo)", said, re.MULTILINE)) == 1, said


def test_the_package_is_installed_runs_and_is_purged(seen: dict[str, dict[str, Any]]) -> None:
    screens = seen["package"]["screens"]
    for name in ("package", "package installed", "package runs", "package purged", "package gone"):
        assert "told 0" in screens[name], screens[name]
    assert "exact" in screens["package runs"]
    assert screens["package gone"].strip().splitlines()[0].startswith("told 0"), screens["package gone"]
