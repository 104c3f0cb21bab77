"""Three lines for whoever is here for the first time."""

from __future__ import annotations

from textual.widgets import Static

_LINES = (
    "Processes, and the system calls that they make: [b]tab[/] goes between the two.",
    "[b]enter[/] narrows everything to a row, [b]\u232b[/] widens again; [b]1[/] to [b]7[/] are the views.",
    "[b]?[/] explains each pane, [b]ctrl+p[/] lists all that can be done. [b]esc[/] puts this away.",
)


class FirstHelp(Static):
    """What one has to know to find the rest."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    FirstHelp {
        height: auto;
        padding: 0 1;
        background: $surface;
    }
    """

    def __init__(self) -> None:
        super().__init__("\n".join(_LINES))
