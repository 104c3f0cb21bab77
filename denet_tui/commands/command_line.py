"""The command line as a whole: which word is which command, how it fails, and how its help is laid out."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
from click.shell_completion import FishComplete, add_completion_class

from denet_tui.system import debug, files
from denet_tui.system.visible import ReaderLeftError, complain, shortened, write
from denet_tui.watch.find import in_shell

FAILED = 125
USAGE = 64
"""For a wrong command line of the commands about the machine (EX_USAGE of sysexits.h); they run nobody's command."""
ABOUT_THE_MACHINE = ("diag", "setup")
_ROOM = 74
"""Columns of an example beside its indentation, on a terminal of 80."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@add_completion_class
class WholeFish(FishComplete):
    """Click's, which cuts what is said of a word at its first comma."""

    name = "fish"
    source_template = FishComplete.source_template.replace('string split ","', 'string split -m 1 ","')


class Commands(click.Group):
    """Reports every failure as one line; denet-tui's own failures are 125, as env(1) and timeout(1) have it."""

    def __init__(
        self, *args: Any, sections: Mapping[str, tuple[str, ...]] | None = None, otherwise: str = "", **kwargs: Any
    ) -> None:
        """`sections` are the headings of the help; the command `otherwise` gets the words that begin with a program."""
        super().__init__(*args, **kwargs)
        self.sections, self._otherwise = sections or {}, otherwise

    @staticmethod
    def of(context: click.Context) -> Commands:
        """The commands that a context belongs to."""
        found = context.find_root().command
        assert isinstance(found, Commands)  # noqa: S101 - there is one group
        return found

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command line and exit."""
        _open_standard_streams()
        debug.take_last_resort()
        try:
            status = super().main(*args, **{"prog_name": "denet-tui", **kwargs, "standalone_mode": False})
            write("", sys.stdout)  # flushes: here a full disk can still be told
        except click.exceptions.Exit as error:
            status = error.exit_code
        except click.UsageError as error:
            # What the parser itself raises has no context.
            named = next((f" {word}" for word in sys.argv[1:] if word in self.commands), "")
            where = error.ctx.command_path if error.ctx else f"denet-tui{named}"
            about_the_machine = where.rpartition(" ")[2] in ABOUT_THE_MACHINE
            said = " ".join(error.format_message().split()).rstrip(".")
            text = f"{said}{self._whose(error)}; see `{where} --help`"
            status = complain(text, USAGE if about_the_machine else FAILED)
        except debug.LogError as error:
            status = complain(str(error), FAILED)
        except click.Abort:
            status = 130
        except ReaderLeftError as left:
            status = left.STATUS
        except Exception as error:  # noqa: BLE001 - the last resort
            if isinstance(error, OSError) and error.errno in _FULL:
                status = complain(f"what was asked for cannot be written: {files.explain(error)}", FAILED)
                sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - or Python tries again at its end
            else:
                status = debug.mistake(error, FAILED)
        sys.exit(status if isinstance(status, int) else 0)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """As click's, which writes what --help and --version say; raises ReaderLeftError."""
        with _told_by_click():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """As click's, which writes what --help says of a command; raises ReaderLeftError."""
        with _told_by_click():
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of that name, or the one for programs; raises click.UsageError."""
        name = args[0]
        if name in self.commands or name.startswith("-"):
            return super().resolve_command(ctx, args)
        import shutil  # it loads what packs archives, which takes a moment

        if self._otherwise and ("/" in name or shutil.which(name)):
            return self._otherwise, self.commands[self._otherwise], args
        if ctx.resilient_parsing:  # a shell completes what is typed
            return None, None, args
        raise self._unknown(ctx, name)

    def _whose(self, error: click.UsageError) -> str:
        """Where an option belongs that stands before the command that takes it; empty where that is not so."""
        if not isinstance(error, click.NoSuchOption) or error.ctx is None or error.ctx.parent is not None:
            return ""
        option = error.option_name
        names = sorted(
            self.commands, key=lambda name: name != self._otherwise
        )  # first what is meant where none is said
        takes = (name for name in names if any(option in each.opts for each in self.commands[name].params))
        return next((f" before a command: say `denet-tui {name} {option} ...`" for name in takes), "")

    def help_of(self, context: click.Context, name: str) -> str:
        """The help of a command, of all where `name` is empty; raises click.UsageError."""
        root = context.find_root()
        if not name:
            return root.get_help()
        if name not in self.commands:
            asked = shortened(name, _ROOM)
            may_tell = f"; `denet-tui explain {shlex.quote(asked)}` knows checks, errnos and error texts"
            raise click.UsageError(f"No such command or topic {asked!r}{self._close(name) or may_tell}", context)
        command = self.commands[name]
        return command.get_help(click.Context(command, parent=root, info_name=name))

    def _unknown(self, context: click.Context, name: str) -> click.UsageError:
        return click.UsageError(f"No such command or program {name!r}{self._close(name) or in_shell(name)}", context)

    def _close(self, name: str) -> str:
        import difflib  # takes a moment, which a run does not need

        close = difflib.get_close_matches(name, self.commands, n=1)
        return f": did you mean {close[0]}?" if close else ""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands under their headings."""
        wide = max(map(len, self.commands))
        for heading, names in self.sections.items():
            with formatter.section(heading):
                limit = formatter.width - formatter.current_indent - wide - 2
                formatter.write_dl(
                    [(name.ljust(wide), self.commands[name].get_short_help_str(limit)) for name in names]
                )


@contextmanager
def _told_by_click() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        write("", sys.stdout)  # raises ReaderLeftError where it is of standard output; click would exit with 1
        raise


def examples(*lines: tuple[str, str]) -> str:
    """Examples for the end of a help: commands, each with what it is for."""
    wide, longest = (max(map(len, column)) for column in zip(*lines, strict=True))
    between = "  " if wide + longest <= _ROOM else "\n      "
    text = "\n".join(
        f"  {command.ljust(wide) if between == '  ' else command}{between}{what}" for command, what in lines
    )
    return f"\b\nExamples:\n{text}"


def need_proc(name: str) -> None:
    """Exit where there is no /proc: the kernel's own word about processes, limits and mounts is read there."""
    if not Path("/proc/self/status").exists():
        text = "/proc is not mounted here, and nothing can be told without it; as root: mount -t proc proc /proc"
        sys.exit(complain(text, 1 if name in ABOUT_THE_MACHINE else FAILED))


def _open_standard_streams() -> None:
    """Where 0, 1 or 2 is closed, the next file opened would become the command's input or output."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:  # or print() would write to stdout instead
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - open as long as we run
