"""What comes from the terminal: a paste is one event up to its end, and one thread at a time reads."""

from __future__ import annotations

import os
import selectors
from codecs import getincrementaldecoder
from collections.abc import Iterable
from contextlib import suppress

from textual import events
from textual._parser import ParseError
from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

_READ = 4096
"""Bytes that are read at once."""
_WAIT_S = 0.1
"""Between two looks at whether an escape was the key, and whether the app is left."""


class PasteParser(XTermParser):
    """Textual's, which takes an escape in a paste for the beginning of a key: what follows would be typed."""

    def __init__(self, debug: bool = False) -> None:  # noqa: FBT001, FBT002 (Textual's)
        super().__init__(debug)
        self._pasting = False
        self._pieces: list[str] = []
        self._seen = ""
        """The last characters before those that come next: a mark may come in two reads."""

    def feed(self, data: str) -> Iterable[Message]:
        """The events in what was read; empty at the end, as Textual has it."""
        if not data:
            yield from super().feed(data)
        while data:
            mark = BRACKETED_PASTE_END if self._pasting else BRACKETED_PASTE_START
            at = (self._seen + data).find(mark)
            cut = at + len(mark) - len(self._seen) if at >= 0 else len(data)
            piece, data = data[:cut], data[cut:]
            self._seen = "" if at >= 0 else (self._seen + piece)[1 - len(mark) :]
            if self._pasting:
                self._pieces.append(piece)
            else:
                yield from super().feed(piece)
            if at >= 0:
                if self._pasting:
                    yield self._end()
                self._pasting = not self._pasting

    def _end(self) -> events.Paste:
        text = "".join(self._pieces).removesuffix(BRACKETED_PASTE_END)
        self._pieces.clear()
        for _ in super().feed(BRACKETED_PASTE_END):  # the empty paste that Textual's parser has seen
            pass
        return events.Paste(text.replace("\x00", ""))


class PasteDriver(LinuxDriver):
    """Textual's with that parser."""

    def _sigcont_application(self, *_: object) -> None:
        """In the app's own turn: what the signal has interrupted may hold a lock that taking the terminal waits for."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(super()._sigcont_application)

    def start_application_mode(self) -> None:
        """Take the terminal: also where that was done and not undone, as when SIGCONT comes by itself.

        The kernel sends that with SIGHUP (ioctl_tty(2)); Textual's second thread would leave the first without an end.
        """
        if self._key_thread is not None and self._key_thread.is_alive():
            self.suspend_application_mode()
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def run_input_thread(self) -> None:
        """Read the terminal until it or the app is left; raises OSError where it is gone."""
        parser, decoder = PasteParser(self._debug), getincrementaldecoder("utf-8")("replace")
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(_WAIT_S):
                    data = os.read(self.fileno, _READ)
                    if not data:
                        break
                    text = decoder.decode(data)
                    for event in parser.feed(text) if text else ():  # nothing would be the end
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)
        with suppress(EOFError, ParseError):
            for _ in parser.feed(""):
                pass
