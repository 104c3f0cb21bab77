"""Runs inside a virtual machine: an ordinary user's terminal, what is typed there, and each screen that follows.

Standard library only. Reads keys.json beside it: `{"name", "keys", "until", "literal"}` for each thing that is typed,
`until` a regular expression that the screen must come to match; a press is repeated where `again` is true until then.
Writes `out/typed.json`: `{"screens": {name: screen}, "failed": name}`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
USER = "anna"
TMUX = ["runuser", "-u", USER, "--", "env", f"HOME=/home/{USER}", "LANG=C.UTF-8", "tmux", "-L", "lab"]
PATIENCE_S, LOOK_S, SHOW_S, PRESS_S = 3600, 2, 60, 4


def tmux(*words: str) -> str:
    return subprocess.run([*TMUX, *words], capture_output=True, text=True, check=True, cwd="/").stdout


def screen() -> str:
    return tmux("capture-pane", "-p")


def comes(until: str, seconds: float) -> bool:
    """True as soon as the screen matches; False if that takes too long."""
    deadline, shown = time.monotonic() + seconds, 0.0
    while not re.search(until, seen := screen(), re.MULTILINE):
        now = time.monotonic()
        if now > deadline:
            return False
        if now > shown + SHOW_S:  # for whoever reads the log of a machine that hangs
            print(f"LAB {now:.0f} waits for {until}\n{seen.strip()}", flush=True)
            os.sync()
            shown = now
        time.sleep(LOOK_S)
    return True


def types(step: dict[str, Any]) -> bool:
    """Type it; whether the screen then comes to show what it should."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        if step.get("text"):
            tmux("send-keys", "-l", step["text"])
        for key in step.get("keys", ()):
            tmux("send-keys", key)
        if comes(step["until"], PRESS_S if step.get("again") else PATIENCE_S):
            return True
        if not step.get("again") or time.monotonic() > deadline:
            return False


def note(seen: dict[str, Any]) -> None:
    """Keep it, also for when the machine comes to no end."""
    (HERE / "out" / "typed.json").write_text(json.dumps(seen))
    os.sync()


def main() -> None:
    seen: dict[str, Any] = {"screens": {}, "seconds": {}, "failed": ""}
    tmux("new-session", "-d", "-x", "120", "-y", "40", "-c", f"/home/{USER}", "bash --norc")
    for step in json.loads((HERE / "keys.json").read_text()):
        started = time.monotonic()
        good = types(step)
        seen["screens"][step["name"]] = screen()
        seen["seconds"][step["name"]] = round(time.monotonic() - started, 1)
        print(f"LAB {time.monotonic():.0f} {step['name']} {good}", flush=True)
        note(seen)
        if not good:
            seen["failed"] = step["name"]
            break
    held = subprocess.run(["ps", "-eo", "euser,args"], capture_output=True, text=True, check=True).stdout
    seen["left"] = [
        line for line in held.splitlines() if "denet" in line and "typist" not in line and "tmux" not in line
    ]
    note(seen)


if __name__ == "__main__":
    main()
