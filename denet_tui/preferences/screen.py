"""What the user prefers, from the settings file and from the last run, and how an app takes it on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textual.app import App

from denet_tui.preferences import state
from denet_tui.preferences.settings import UserSettings
from denet_tui.preferences.state import Kept


@dataclass(frozen=True, slots=True)
class Preferences:
    """The settings, what was kept, and the user's folder for what is kept (None: nowhere)."""

    settings: UserSettings = field(default_factory=UserSettings)
    kept: Kept = field(default_factory=Kept)
    folder: Path | None = None

    def keep(self, what: Kept) -> None:
        """Keep it for the next run."""
        if self.folder is not None and what != self.kept:
            state.write(self.folder / state.FILE, what)


def take_on(app: App[Any], preferences: Preferences) -> None:
    """Give the app the theme and the keys; what the settings file says comes before what was kept."""
    theme = preferences.settings.theme or preferences.kept.theme
    if theme in app.available_themes and not app.no_color:  # without colours all themes are one
        app.theme = theme
    app.set_keymap(dict(preferences.settings.keys))
