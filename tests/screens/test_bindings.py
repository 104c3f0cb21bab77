"""Every key can be found out about, and remapped."""

import importlib
import pkgutil

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

import denet_tui.screens
import denet_tui.screens.live.app
import denet_tui.widgets
from denet_tui.screens.live.app import DenetApp
from tests.screens.live.driving import running, settle


def ours() -> list[type[DOMNode]]:
    """Every class of ours that may bind keys."""
    modules = [denet_tui.screens.live.app]
    for package in (denet_tui.screens, denet_tui.widgets):
        names = (found.name for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))
        modules.extend(importlib.import_module(name) for name in names)
    classes = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    return sorted(
        (kind for kind in classes if issubclass(kind, DOMNode) and kind.__module__.startswith("denet_tui")), key=str
    )


def bindings() -> list[Binding]:
    found = [binding for kind in ours() for binding in vars(kind).get("BINDINGS", ())]
    assert len(found) > 15
    return found


def test_every_binding_has_an_id_and_a_tooltip() -> None:
    for binding in bindings():
        assert isinstance(binding, Binding), binding
        assert binding.id, binding
        assert binding.tooltip, binding
        assert binding.description, binding


def test_ids_are_unique() -> None:
    ids = [binding.id for binding in bindings()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("keys", [(), ("tab",), ("q",), ("f1",)])
async def test_nothing_that_is_bound_while_running_is_without_either(keys: tuple[str, ...]) -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test() as pilot:
        await settle(pilot, session)
        await pilot.press(*keys)
        active = [found.binding for found in app.screen.active_bindings.values()]
        known = {binding.id for binding in bindings()}
        assert len(active) >= 4
        # Textual's own scrolling of the help text is the one exception.
        for binding in active:
            if not binding.action.startswith(("scroll_", "page_")):
                assert binding.id in known, binding


async def test_a_binding_can_be_remapped() -> None:
    session = running()
    app = DenetApp(session, on_quit="leave")
    async with app.run_test() as pilot:
        await settle(pilot, session)
        app.set_keymap({"app.quit": "x"})
        await pilot.press("q")
        assert app.is_running
        await pilot.press("x")
    assert app.return_value == "leave"
