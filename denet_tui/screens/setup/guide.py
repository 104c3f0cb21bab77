"""The troubleshooting guide on the setup screen: what `denet-tui guide` and `denet-tui explain` say, as one types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from denet_tui.checks.model import Finding
from denet_tui.report import guide
from denet_tui.widgets.page import Page, Paragraph


class GuideScreen(ModalScreen[None], inherit_bindings=False):
    """A line to type words into, and what there is on them; the checks are told as they came out here."""

    CSS_PATH = "guide.tcss"
    AUTO_FOCUS = "Input"
    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1", "dismiss", "Close", id="guide.close", tooltip="Back to the setup"),
        Binding("down", "scroll(1)", "Down", id="guide.down", tooltip="Scroll down by a line", show=False),
        Binding("up", "scroll(-1)", "Up", id="guide.up", tooltip="Scroll up by a line", show=False),
        Binding("pagedown", "leaf(1)", "Page down", id="guide.next", tooltip="Scroll down by a page", show=False),
        Binding("pageup", "leaf(-1)", "Page up", id="guide.previous", tooltip="Scroll up by a page", show=False),
        Binding("ctrl+c", "app.quit", "Quit", id="guide.interrupt", tooltip="Leave denet-tui", show=False),
    ]

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__()
        self._findings = findings

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(Content("The troubleshooting guide: type a symptom, a command, a file or a check; escape closes"))
        yield Input(placeholder="Map not found, getcap, bpf_jit_enable, KERN-004 …")
        yield Page()

    def on_mount(self) -> None:
        """Show all of it."""
        self._show("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what there is on these words."""
        self._show(event.value)

    def _show(self, typed: str) -> None:
        words = typed.strip()
        wanted = words.casefold()
        known = [each for each in self._findings if wanted and wanted in f"{each.id} {each.title}".casefold()]
        rows = guide.search(words) + [row for row in guide.ROWS if any(each.id in row.do for each in known)]
        found = [line for each in known for line in _of_finding(each)]
        found += [line for row in dict.fromkeys(rows) for line in _of_row(row)]
        nothing = Paragraph(f"Nothing on {words!r}. Fewer words may find more; denet-tui explain takes error texts.")
        self.query_one(Page).show(found or [nothing], top=True)

    def action_scroll(self, by: int) -> None:
        """Scroll by so many lines."""
        self.query_one(Page).action_scroll(by)

    def action_leaf(self, by: int) -> None:
        """Scroll by so many pages."""
        self.query_one(Page).action_leaf(by)


def _of_row(row: guide.Row) -> list[Paragraph]:
    found = [Paragraph(row.words[0], style="strong", flush=True)]
    found += [Paragraph(word, "" if number else "also", "dim") for number, word in enumerate(row.words[1:])]
    found += [Paragraph(guide.typed(row.do), "here", "code"), Paragraph(row.does)]
    found += [Paragraph(row.wrong, "why", "warn")] if row.wrong else []
    return [*found, Paragraph()]


def _of_finding(finding: Finding) -> list[Paragraph]:
    found = [Paragraph(f"{finding.id} {finding.state}: {finding.title}", style="strong", flush=True)]
    found += [Paragraph(finding.why, "why")] if finding.why else []
    for fix in finding.fixes:
        found += [Paragraph(f"{fix.title} ({fix.id})", "fix", "code"), Paragraph(fix.undo, "undo")]
    return [*found, Paragraph()]
