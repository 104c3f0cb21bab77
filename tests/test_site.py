"""The documentation's site: built strictly and without network, with all that the program says of itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

from denet_tui.checks import catalogue
from denet_tui.report import guide
from tests.real import REPOSITORY


def test_the_site_is_built_without_network_and_has_every_check_and_the_whole_guide(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", tmp_path]
    offline = ["unshare", "--net"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*offline, *build],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    pages = {path.parent.name: unescape(path.read_text()) for path in tmp_path.glob("*/index.html")}
    ours = {path.stem for path in (REPOSITORY / "docs").glob("*.md")} | {"guide", "checks", "security", "contributing"}
    assert ours <= pages.keys()
    assert [check.id for check in catalogue.ALL if check.id not in pages["checks"]] == []
    assert [row.words[0] for row in guide.ROWS if row.words[0] not in pages["guide"]] == []
    fetched = {
        each for text in pages.values() for each in re.findall(r'<(?:script|img|link)[^>]*"(https?:[^"]+)', text)
    }
    assert fetched == set(), "a reader without network sees all of it, too"
    assert (tmp_path / "screenshots/overview.png").stat().st_size > 100_000
