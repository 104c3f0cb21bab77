"""What the site has besides these pages (hooks of mkdocs): guide and checks as the program has them, and our files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from denet_tui.checks import catalogue
from denet_tui.commands.guide import wanted
from denet_tui.report import guide

HERE = Path(__file__).parents[1]
FIRST = ["index.md", "watching.md", "exact.md", "recording.md", "serve.md", "setup.md", "guide.md", "checks.md"]
FIRST += ["faq.md"]
LAST = ["security.md", "contributing.md", "changelog.md"]
OURS = {"index.md": "README.md"} | {name: f"{name.removesuffix('.md').upper()}.md" for name in LAST}
"""Page -> file beside docs/."""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made, and all files of ours that pages lead to; put the pages in order."""
    pages = {page: (HERE / ours).read_text("utf-8") for page, ours in OURS.items()}
    pages |= {"guide.md": guide_page(), "checks.md": checks_page()}
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    written = [each for each in files if each.src_uri.endswith(".md")]
    for each in written:
        for link in re.findall(r"\]\((?:\.\./)?((?:screenshots|denet_tui)/[^)]+\.\w+)\)", each.content_string):
            if not files.get_file_from_path(link):
                files.append(File.generated(config, link, abs_src_path=str(HERE / link)))
    named = [each.src_uri for each in written]
    between = sorted(set(named) - {*FIRST, *LAST})
    config.nav = [*FIRST, *between, *LAST]
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001 - as mkdocs calls it
    """Links lead to pages of the site in the place of files, and a folder is not shown."""
    for name, ours in OURS.items():
        markdown = re.sub(rf"\]\((?:\.\./)?{re.escape(ours)}([)#])", rf"]({name}\1", markdown)
    markdown = re.sub(r"\]\((?:\.\./|docs/)", "](", markdown)
    return re.sub(r"\[([^]]+)\]\(denet_tui/[\w/]+\)", r"\1", markdown)


def guide_page() -> str:
    """The troubleshooting guide, as `denet-tui guide` has it."""
    parts = ["# Troubleshooting", "denet's guide by its own words; `denet-tui guide WORDS` looks them up."]
    for row in guide.ROWS:
        also = "".join(f"- also: `{word}`\n" for word in row.words[1:])
        why = f"\n\nNot as that guide has it: {row.wrong}." if row.wrong else ""
        parts.append(f"## {row.words[0]}\n\n{also}\n    {row.do}\n\n{row.does[0].upper()}{row.does[1:]}.{why}")
    return "\n\n".join(parts) + "\n"


def checks_page() -> str:
    """Every check, as the catalogue has it."""
    parts = ["# Checks", "What `denet-tui diag` looks at; `denet-tui explain ID` says how this machine has it."]
    for area in catalogue.AREAS:
        rows = [f"| {each.id} | {wanted(each)} |" for each in catalogue.ALL if each.area == area]
        parts += [f"## {area}", "\n".join(["| | |", "|---|---|", *rows])]
    return "\n\n".join(parts) + "\n"
