"""What a cgroup is called."""

from __future__ import annotations

import pytest

from denet_tui.system.cgroup import short_name


@pytest.mark.parametrize(
    ("path", "called"),
    [
        ("/", "/"),
        ("/user.slice", "/user.slice"),
        ("/system.slice/ssh.service", "ssh.service"),
        ("/system.slice/a.service/worker", "a.service/worker"),
        ("/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + "ab" * 32 + ".scope", "cri-containerd-abababababab"),
        ("/docker/" + "cd" * 32 + "/init", "cdcdcdcdcdcd/init"),
    ],
)
def test_what_a_cgroup_is_called(path: str, called: str) -> None:
    assert short_name(path) == called
