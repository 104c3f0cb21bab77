"""Starts the privileged loader, and receives its descriptors."""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import time
from contextlib import suppress
from typing import Any, NamedTuple

from denet_tui.bpf.facts import Facts
from denet_tui.bpf.failure import LoadError
from denet_tui.bpf.process import PROGRAM, LoaderProcess, waiting
from denet_tui.bpf.request import Request, write_reply
from denet_tui.syscalls import how_ended

METHODS = {"raw": "raw tracepoints", "tracefs": "tracefs tracepoints"}


class Kernel(NamedTuple):
    """What the loader handed over: open descriptors by name, and how it attached."""

    maps: dict[str, int]
    links: dict[str, int]
    method: str
    notes: tuple[str, ...]
    bcc: str
    output: str
    """What libbcc and LLVM printed while loading."""
    verified: dict[str, int]
    """Instructions of each program that the verifier walked, by event; 0 where the kernel does not say."""


class Loading:
    """A loader on its way; it works while this process does other things, and `receive` waits for it."""

    def __init__(
        self,
        request: Request = Request(),  # noqa: B008 - frozen
        *,
        only_uid: int | None = None,
        channel: socket.socket | None = None,
        program: tuple[str, ...] = PROGRAM,
    ) -> None:
        """Start it with this process's privilege; must be called before `become`.

        `only_uid` is whose calls alone may be counted, None: everyone's. With a `channel` it gets its request and
        answers there; then there is nothing to `receive` here. `program` is for tests.
        """
        self.started = time.monotonic()
        ready = bool(channel is None and program == PROGRAM and waiting)
        who = "everyone" if only_uid is None else str(only_uid)
        loader = waiting.pop() if ready else LoaderProcess(program, who, channel)
        self._channel, self.process, self._output = loader.channel, loader, loader.output
        if channel is None:
            with suppress(OSError):  # `receive` says what became of it
                self._channel.sendall(f"{who}\n".encode() * ready + request.line())

    def receive(self, timeout: float = 50.0) -> Kernel:
        """The descriptors; raises LoadError where the loader failed, died, or said nothing for `timeout` seconds."""
        left = max(0.1, self.started + timeout - time.monotonic())
        try:
            reply, descriptors = read_reply(self._channel, left)
        except TimeoutError:
            self.cancel()
            raise LoadError(
                "loader", f"the loader did not answer within {timeout:.0f} s; see --debug", output=self.output()
            ) from None
        except (OSError, ValueError, struct.error):
            raise LoadError("loader", f"the loader {self._fate()} before it was done", output=self.output()) from None
        finally:
            self._channel.close()
        self.process.wait()
        output = self.output()
        os.close(self._output)
        return kernel_of({"output": output, **reply}, descriptors)

    def wait(self, timeout: float = 50.0) -> bool:
        """For one that answers another process: until its end, at most `timeout` seconds; whether it has loaded."""
        ended = self.process.wait(timeout)
        if ended is None:
            self.cancel()
        os.close(self._output)
        return ended not in (None, 1)  # where it was killed, that is not known

    def cancel(self) -> None:
        """End the loader where it still runs. One that cannot be ended from here ends itself (loader.SECONDS)."""
        with suppress(PermissionError):
            self.process.kill()
            self.process.wait(1)

    def output(self) -> str:
        """What the loader printed so far, libbcc's and LLVM's text included."""
        size = os.fstat(self._output).st_size
        return os.pread(self._output, size, 0).decode(errors="replace")

    def _fate(self) -> str:
        code = self.process.wait(2)
        if code is None:
            self.cancel()
            return "went silent"
        return how_ended(code)


def read_reply(channel: socket.socket, seconds: float) -> tuple[dict[str, Any], list[int]]:
    """A loader's answer and its descriptors; raises TimeoutError, OSError, ValueError, struct.error."""
    channel.settimeout(seconds)
    head, descriptors, _, _ = socket.recv_fds(channel, 4, 64)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    (length,) = struct.unpack("<I", head)
    with channel.makefile("rb") as stream:
        return json.loads(stream.read(length)), descriptors


def refuse(channel: socket.socket, error: LoadError) -> None:
    """Answer in the place of a loader that is not started."""
    failure = {"method": "raw", **error.as_dict()}
    write_reply(channel, {"failures": [failure], "output": ""}, [])


def kernel_of(reply: dict[str, Any], descriptors: list[int]) -> Kernel:
    """What a loader's answer says; raises LoadError where that is a failure."""
    if not descriptors:
        raise _failure(reply)
    if len(descriptors) < len(reply["names"]):  # the kernel passes on as many as fit below RLIMIT_NOFILE
        for descriptor in descriptors:
            os.close(descriptor)
        raise LoadError("loader", os.strerror(errno.EMFILE), errno.EMFILE)
    kinds: dict[str, dict[str, int]] = {"maps": {}, "links": {}}
    for (kind, name), descriptor in zip(reply["names"], descriptors, strict=True):
        kinds[kind][name] = descriptor
    # Where raw tracepoints were refused first and are here all the same, it was for what they were to tell besides.
    instead = ", calls alone are watched" if reply["method"] == "raw" else ""
    notes = [
        f"{METHODS[failure['method']]}{_with(failure)} did not work{instead}: {failure['text']}"
        for failure in reply["failures"]
    ]
    return Kernel(
        kinds["maps"],
        kinds["links"],
        reply["method"],
        (*notes, *reply["notes"]),
        reply["bcc"],
        reply["output"],
        reply["verified"],
    )


def _with(failure: dict[str, Any]) -> str:
    return f" with --detail {failure['detail']}" if failure.get("detail", "calls") != "calls" else ""


def _failure(reply: dict[str, Any]) -> LoadError:
    """One error for all attach methods that were tried; the first is the preferred one, and says it best."""
    output = reply["output"]
    failures = [
        LoadError(each["stage"], each["text"], each.get("errno"), output, each["method"]) for each in reply["failures"]
    ]
    first, text = failures[0], failures[0].text
    if first.stage != "bcc" and len({failure.text for failure in failures}) > 1:
        text = "; ".join(f"{METHODS[failure.method]}: {failure.text}" for failure in failures)
    error = LoadError(first.stage, text, first.number, output, first.method)
    error.failures = tuple(failures)
    if "facts" in reply:  # the loader's own: this process has given its privilege away by now
        error.facts = Facts.of_dict(reply["facts"])
    return error
