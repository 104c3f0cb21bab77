"""The keys of the setup screen; which of them are offered is told in offers.py."""

from __future__ import annotations

from textual.binding import Binding

KEYS = (
    Binding("enter", "go_on", "Start watching", id="setup.go-on", tooltip="Choose what to watch", key_display="enter"),
    Binding("a", "apply", "Apply", id="setup.apply", tooltip="Apply the chosen fix, exactly as it is shown"),
    Binding("a", "save", "Save", id="setup.save", tooltip="Save it as a script for an administrator"),
    Binding("c,escape", "cancel", "Cancel", id="setup.cancel", tooltip="End what is at work; what it did is undone"),
    Binding("escape", "front", "First page", id="setup.front", tooltip="Back to the first page"),
    Binding(
        "question_mark",
        "guide",
        "Guide",
        id="setup.guide",
        tooltip="The troubleshooting guide, by its words",
        show=False,
    ),
    Binding("s", "skip", "Skip", id="setup.skip", tooltip="Go on without this step; nothing is changed"),
    Binding("u", "undo", "Undo", id="setup.undo", tooltip="Take back the fix that was applied to this step"),
    Binding("r", "recheck", "Re-check", id="setup.recheck", tooltip="Look again at this step and what depends on it"),
    Binding("y", "copy_fix", "Copy", id="setup.copy", tooltip="Copy the commands of the chosen fix (OSC 52)"),
    Binding("backspace", "back", "Back", id="setup.back", tooltip="The step that was shown before", key_display="⌫"),
    Binding(
        "d",
        "details",
        "Details",
        id="setup.details",
        tooltip="What was looked at; then all that was asked and answered, as --debug says it",
    ),
    Binding("w", "report", "Report", id="setup.report", tooltip="Write a report to share; it names nobody"),
    Binding(
        "v", "unfold", "All steps", id="setup.unfold", tooltip="Show every step, or only those that need something"
    ),
    Binding("R", "look", "Look again", id="setup.look", tooltip="Run every check again", show=False),
    Binding("tab,shift+tab", "pane", "Pane", id="setup.pane", tooltip="Go to the other side", show=False),
    *(
        Binding(str(n), f"choose({n})", "Choose", id=f"setup.choose-{n}", tooltip=f"Choose fix {n}", show=False)
        for n in range(1, 10)
    ),
)
