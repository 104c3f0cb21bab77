"""`python -m tests.screens.live.shoot [NAME…]`: pictures of real runs of the live screen, as screenshots/NAME.svg.

Needs root, as the runs are real ones: the loader, the kernel side, commands on terminals of their own. They run as
the user behind sudo, or as nobody. Each picture is made by a process of its own, which gives its privilege away.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from denet_tui.bpf import privilege
from denet_tui.screens.live.app import DenetApp
from denet_tui.screens.live.screen import LiveScreen
from denet_tui.watch import machine
from denet_tui.watch.hold import hold_command
from denet_tui.watch.launch import Options, Start
from denet_tui.watch.output import CommandOutput
from denet_tui.watch.worker import Session

FOLDER = Path(__file__).parents[3] / "screenshots"
SIZE = (120, 36)
FRAME_S = 1.6
WIDTH = 24
"""Files that the build compiles, again and again."""

SOURCE = """\
#include <stdio.h>
#include <string.h>
static int longest(const char *words[], int count) {
    int most = 0;
    for (unsigned i = 0; i < count; i++)
        if (strlen(words[i]) > most) most = strlen(words[i]);
    return most;
}
int part_%d(void) { const char *words[] = {"one", "three"}; return printf("%%d\\n", longest(words, 2)); }
"""
BUILD = """\
objects := $(patsubst %.c,%.o,$(wildcard part*.c))
program: $(objects)
	gcc -shared -o $@ $^
%.o: %.c
	gcc -O2 -Wall -Wextra -fdiagnostics-color=always -c -o $@ $<
clean:
	rm -f program $(objects)
"""
WAITING = """\
import subprocess, threading, time
lock = threading.Lock(); lock.acquire()
threading.Thread(target=lock.acquire, name="writer").start()
subprocess.Popen(["sh", "-c", "cat | sort"], stdin=subprocess.PIPE)
subprocess.Popen(["sh", "-c", "sleep 300; true"])
subprocess.Popen(["tail", "-f", "/dev/null"])
while True:
    open("/etc/hostname").read(); time.sleep(0.01)
"""
SERVING = """\
import subprocess, sys, time, urllib.request
subprocess.Popen([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "8642"], stderr=subprocess.DEVNULL)
time.sleep(1)
while True:
    urllib.request.urlopen("http://127.0.0.1:8642/part1.c").read()
"""
AGAIN = "while make -s -j2 program 2> /dev/null; do make -s clean; done"


class Shot(NamedTuple):
    """A picture: the command (None: the whole machine), how long to wait, the keys to press then.

    With `then`, an animated one: its further frames, each a second apart, by the keys before them.
    """

    argv: tuple[str, ...] | None
    seconds: float
    keys: str = ""
    then: tuple[str, ...] = ()


SHOTS = {
    "overview": Shot(("sh", "-c", AGAIN), 12, "tab r tab"),
    "latency": Shot(("sh", "-c", AGAIN), 25, "2 z"),
    "errors": Shot(("sh", "-c", AGAIN), 12, "3 j"),
    "files": Shot(("sh", "-c", AGAIN), 12, "7 t t down right down right"),
    "peers": Shot(("python3", "serving.py"), 6, "7 t t t right"),
    "inflight": Shot(("python3", "waiting.py"), 12, "4"),
    "details": Shot(("python3", "waiting.py"), 12, "tab i"),
    "output": Shot(("make", "-j2", "program"), 4, "5"),
    "tour": Shot(("sh", "-c", AGAIN), 8, "", ("", "", "tab t", "j enter", "backspace t tab", "2", "z", "3", "4", "1")),
    "machine": Shot(None, 12, "tab t slash c c enter s s s s s"),
}


async def shoot(session: Session, shot: Shot) -> str:
    """The picture, as SVG."""
    app = DenetApp(session, on_quit="kill")
    frames = []
    async with app.run_test(size=SIZE) as pilot:
        await asyncio.sleep(shot.seconds)
        for keys in (shot.keys, *shot.then):
            for key in keys.split():
                await pilot.press(key)
            await asyncio.sleep(1.0 if shot.then else 1.5)
            await pilot.pause()
            assert isinstance(app.screen, LiveScreen)
            frames.append(app.export_screenshot(title="denet-tui", simplify=True))
    return animated(frames) if shot.then else frames[0]


def animated(frames: Sequence[str]) -> str:
    """One SVG that shows each frame for `FRAME_S` seconds, again and again; the first where nothing moves."""
    box = re.search(r'viewBox="[^"]+"', frames[0])
    assert box is not None
    style = (
        f"@keyframes once {{ 0% {{ visibility: visible }} {100 / len(frames):.3f}%, 100% {{ visibility: hidden }} }}"
        f" .frame {{ animation: once {FRAME_S * len(frames)}s step-end infinite }}"
    )
    shown = (
        f'<g class="frame" visibility="{"hidden" if at else "visible"}" style="animation-delay: {at * FRAME_S}s">'
        f"{frame}</g>"
        for at, frame in enumerate(frames)
    )
    return f'<svg {box[0]} xmlns="http://www.w3.org/2000/svg"><style>{style}</style>{"".join(shown)}</svg>'


def run(shot: Shot) -> Session:
    """What is watched, started; this process is no longer root then, where there is somebody else to be."""
    options = Options(detail="all")
    if shot.argv is None:
        start = Start(options, aim="machine", scale=machine.scale(options))
        return Session(*machine.watch_everything(start, lambda _: None))
    start = Start(options)
    command, tracer, info = hold_command(
        start, shot.argv, own_terminal=True, stdio=(0, 1, 2), output=CommandOutput(None)
    )
    return Session(info, tracer, command)


def take(name: str) -> None:
    """Make one picture, in this process, and write it to standard output."""
    out = os.dup(1)
    os.dup2(2, 1)
    session = run(SHOTS[name])
    picture = asyncio.run(shoot(session, SHOTS[name]))
    session.finish("kill" if SHOTS[name].argv else "leave")
    with os.fdopen(out, "w", encoding="utf-8") as file:
        file.write(picture)


def main() -> None:
    if sys.argv[1:2] == ["--take"]:
        return take(sys.argv[2])
    asker = os.environ.get("SUDO_UID", "65534")
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or SHOTS:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            for number in range(WIDTH):
                (Path(folder) / f"part{number}.c").write_text(SOURCE % number)
            (Path(folder) / "Makefile").write_text(BUILD)
            (Path(folder) / "waiting.py").write_text(WAITING)
            (Path(folder) / "serving.py").write_text(SERVING)
            for path in (Path(folder), *Path(folder).iterdir()):
                os.chown(path, int(asker), privilege.find_user(asker).gid)
            busy = subprocess.Popen(["sh", "-c", AGAIN], cwd=folder, process_group=0) if name == "machine" else None
            done = subprocess.run(
                [sys.executable, "-B", "-m", "tests.screens.live.shoot", "--take", name],
                cwd=folder, check=True, stdout=subprocess.PIPE,
                env={**os.environ, "SUDO_UID": asker, "PYTHONPATH": str(FOLDER.parent), "MAKEFLAGS": ""},
            )  # fmt: skip
            if busy is not None:
                os.killpg(busy.pid, signal.SIGKILL)
                busy.wait()
        (FOLDER / f"{name}.svg").write_bytes(done.stdout)
        print(f"screenshots/{name}.svg", file=sys.stderr)
    return None


if __name__ == "__main__":
    main()
