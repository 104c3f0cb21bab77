"""`setup --json` is as its schema says, whatever the machine; the schema is wrong about nothing."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
from referencing import Registry, Resource

from denet_tui.checks.host import Host
from denet_tui.commands.setup import Setup, SetupRequest
from denet_tui.helper import check_runner
from denet_tui.repair.steps import Settings
from tests.checks.fake import FakeHost
from tests.repair.test_policy import machines

DIAG, SETUP = (
    json.loads(resources.files("denet_tui.report").joinpath(f"{name}.schema.json").read_text())
    for name in ("diag", "setup")
)
VALIDATOR = jsonschema.Draft202012Validator(
    SETUP, registry=Registry().with_resource("diag.schema.json", Resource.from_contents(DIAG))
)


def parsed(text: str) -> dict[str, Any]:
    """What `setup --json` printed, valid."""
    found: dict[str, Any] = json.loads(text)
    VALIDATOR.validate(found)
    return found


@pytest.mark.slow
def test_every_machines_plan_is_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, set[str]] = {}
    look = check_runner.run
    for host in machines():
        found_here = look(cast("Host", host))
        monkeypatch.setattr(check_runner, "run", lambda *_, found=found_here: found)

        def same(host: FakeHost = host) -> FakeHost:
            return host

        settings = Settings(state=f"{tmp_path}/state")
        Setup(SetupRequest(plan=True, as_json=True, permanent=True), same, settings=settings).run()
        found = parsed(capsys.readouterr().out)
        only = tuple(found["offered"])
        Setup(SetupRequest(plan=True, as_json=True, only=only), same, settings=settings).run()
        for name, items in parsed(capsys.readouterr().out).items():
            if isinstance(items, list) and items:
                seen.setdefault(name, set()).update(key for item in items if isinstance(item, dict) for key in item)
    assert {"plan", "advice", "verified"} <= seen.keys()


def test_the_schema_is_one_and_refuses_what_is_not_in_it() -> None:
    jsonschema.Draft202012Validator.check_schema(SETUP)
    empty: dict[str, Any] = {name: [] for name in SETUP["required"]}
    empty |= {"format": 1, "version": "1", "ready": None, "way": "raw"}
    VALIDATOR.validate(empty)
    for wrong in (
        {"more": 1},
        {"format": 2},
        {"way": "other"},
        {"offered": ["FS-001"]},
        {"undone": [{"id": "FS-001.x"}]},
        {"plan": [{"id": "FS-001.x"}]},
        {"verified": [{"id": "FS-001"}]},
    ):
        with pytest.raises(jsonschema.ValidationError):
            VALIDATOR.validate(empty | wrong)
