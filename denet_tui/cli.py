"""Commands and options; each body hands over to a room below."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from denet_tui import __version__, debug
from denet_tui.model import PASSED
from denet_tui.visible import complain, write

FAILED = 125
USAGE = 64
"""For wrong words to the commands about the machine, as sysexits.h has it: what they run is not somebody else's."""
_ABOUT_THE_MACHINE = ("diag", "setup")
_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Commands(click.Group):
    """Reports every failure as one line; denet-tui's own failures are 125, as env(1) and timeout(1) have it."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command line and exit."""
        _open_standard_streams()
        debug.take_last_resort()
        try:
            status = super().main(*args, **{"prog_name": "denet-tui", **kwargs, "standalone_mode": False})
        except click.exceptions.Exit as error:
            status = error.exit_code
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx else "denet-tui"
            about_the_machine = where.rpartition(" ")[2] in _ABOUT_THE_MACHINE
            fail(f"{error.format_message().rstrip('.')}; see `{where} --help`", USAGE if about_the_machine else FAILED)
        except click.Abort:
            status = 130
        except BrokenPipeError:
            status = FAILED
        except Exception as error:  # noqa: BLE001 - the last resort
            status = debug.mistake(error, FAILED)
        sys.exit(status if isinstance(status, int) else 0)


def _need_proc(name: str) -> None:
    """Exit where there is no /proc: the kernel's own word about processes, limits and mounts is read there."""
    if not Path("/proc/self/status").exists():
        text = "/proc is not mounted here, and nothing can be told without it; as root: mount -t proc proc /proc"
        fail(text, 1 if name in _ABOUT_THE_MACHINE else FAILED)


def _open_standard_streams() -> None:
    """Where 0, 1 or 2 is closed, the next file opened would become the command's input or output."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:  # or print() would write to stdout instead
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - open as long as we run


def fail(text: str, status: int = FAILED) -> NoReturn:
    """One clear line on stderr, and out."""
    sys.exit(complain(text, status))


class _Seconds(click.FloatRange):
    """A range that nan is not in, though it is neither below nor above it."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        """Raise click.BadParameter for what is out of range."""
        seconds = float(super().convert(value, parameter, context))
        if math.isnan(seconds):
            self.fail(f"{value} is not a number of seconds", parameter, context)
        return seconds


_attach_method = partial(
    click.option,
    "--attach-method",
    "--way",
    "method",
    type=click.Choice(["auto", "raw", "tracefs"]),
    default="auto",
    show_default=True,
)


def watching_options(command: _Command) -> _Command:
    """The options that run and attach share."""
    for option in reversed(
        [
            click.option("-o", "--output-file", "recording", type=Path, help="Write a recording (JSON Lines)."),
            click.option("--json", "as_json", is_flag=True, help="Stream the recording to stdout; implies --no-tui."),
            click.option("--summary", type=Path, help="Write the summary alone to this file (JSON)."),
            click.option("--no-tui", is_flag=True, help="No screen; a summary table on stderr at the end."),
            click.option(
                "--interval",
                type=_Seconds(0.1, 10),
                help="Seconds per tick; 0.5 where the settings file does not say otherwise (`denet-tui settings`).",
            ),
            click.option("--syscalls", default="", help="Count only these: names and %classes, comma-separated."),
            _attach_method(help="Raw tracepoints, or tracefs tracepoints."),
            click.option(
                "--rows",
                type=click.IntRange(1, 1 << 20),
                default=65536,
                show_default=True,
                help="Process x syscall rows kept between two ticks.",
            ),
            click.option("--as-root", is_flag=True, help="Under sudo, run or attach as root instead of as you."),
            click.option("--no-sudo", is_flag=True, help="Do not ask sudo to load the BPF program."),
        ]
    ):
        command = option(command)
    return command


def global_options(command: _Command) -> _Command:
    """--debug and --log-file, which may stand after the command's name too."""
    command = click.option("--log-file", type=Path, help="Write debug messages here instead of to stderr.")(command)
    return click.option("--debug", is_flag=True, envvar="DENET_DEBUG", help="Say everything that the loader saw.")(
        command
    )


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(__version__, prog_name="denet-tui", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Watch a command's syscalls, exactly and live, with its whole process tree.

    \b
    sudo denet-tui                        watch the whole machine; set up first what is missing
    sudo denet-tui run -- make -j4        watch a command
    sudo denet-tui attach 1234            watch a running process
    sudo denet-tui machine                watch every process of this machine
    sudo denet-tui selftest               1,000 known calls, counted and compared
    sudo denet-tui diag                   what works here, what does not, and what to do about it
    sudo denet-tui setup                  put right what does not, shown before and undone on request
    """  # noqa: D301 - \b is click's: lines as they are
    if context.invoked_subcommand != "settings":
        _need_proc(context.invoked_subcommand or "")
    if context.invoked_subcommand is None:
        from denet_tui.commands import home

        if home.has_terminal():
            home.home()
        write(f"{context.get_help()}\n", sys.stdout)


@main.command(context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@watching_options
@click.option(
    "--user",
    help="Run the command as this user (needs root), in a session of its own; of your environment it gets only "
    f"{', '.join(PASSED)}, beside that user's HOME, USER, LOGNAME, SHELL and the PATH of a login.",
)
@click.option(
    "--output", default=None, metavar="pane|FILE|null", help="Where the command's output goes (default: the screen)."
)
@click.option(
    "--on-quit",
    type=click.Choice(["ask", "kill", "leave"]),
    default="ask",
    show_default=True,
    help="What happens to a command that still runs when denet-tui ends.",
)
@global_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(command: tuple[str, ...], **options: Any) -> NoReturn:
    """Watch COMMAND and all its descendants."""
    from denet_tui.commands import run as watching
    from denet_tui.commands import targets

    watching.start(targets.CommandTarget(command), targets.WatchRequest(**options))


@main.command()
@watching_options
@global_options
@click.argument("pid", type=click.IntRange(1))
def attach(pid: int, **options: Any) -> NoReturn:
    """Watch the running process PID and its descendants."""
    from denet_tui.commands import run as watching
    from denet_tui.commands import targets

    watching.start(targets.ProcessTarget(pid), targets.WatchRequest(**options))


@main.command()
@watching_options
@global_options
def machine(**options: Any) -> NoReturn:
    """Watch every process of this machine."""
    from denet_tui.commands import run as watching
    from denet_tui.commands import targets

    watching.start(targets.MachineTarget(), targets.WatchRequest(**options))


@main.command()
@click.option("--syscall", default="read", show_default=True, help="Which call to make.")
@_attach_method()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@global_options
def selftest(syscall: str, **options: Any) -> NoReturn:
    """Make 1,000 known calls, count them, and compare."""
    from denet_tui.commands import run as watching
    from denet_tui.commands import targets

    watching.selftest(syscall, targets.WatchRequest(**options))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout (report/diag.schema.json).")
@click.option(
    "--report", "report_file", type=Path, metavar="FILE", help="Write the complete report to share (Markdown)."
)
@click.option("--only", multiple=True, metavar="ID", help="Run this check; may be given again, or with commas.")
@click.option("--strict", is_flag=True, help="Exit with 2 where there are warnings.")
@click.option("--no-redact", is_flag=True, help="Leave names, folders and addresses in the report.")
@global_options
def diag(only: tuple[str, ...], **options: Any) -> NoReturn:
    """Look at everything that tracing needs: what was seen, why it matters, how to put it right.

    Exits with 0 where watching works here, 1 where it does not, 2 for warnings under --strict, 64 for wrong
    options, 70 where a check broke.
    """
    from denet_tui.commands import diag

    ids = tuple(word.strip().upper() for each in only for word in each.split(",") if word.strip())
    diag.diag(diag.DiagRequest(only=ids, **options))


@main.command()
@click.option("--plan", is_flag=True, help="Show what would be done, and change nothing.")
@click.option("--yes", is_flag=True, help="Apply the plan without asking.")
@click.option("--only", multiple=True, metavar="ID", help="This check or fix only; may be given again, or with commas.")
@click.option("--undo", is_flag=True, help="Give back what was there before; with --only, before these fixes.")
@click.option("--permanent", is_flag=True, help="Prefer what stays after a reboot.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout; applies only with --yes.")
@global_options
def setup(only: tuple[str, ...], **options: Any) -> NoReturn:
    """Put right what keeps tracing from working: the safest fix for each finding, shown before it is made.

    At a terminal, and without any of these options, it guides through all of it on a screen.

    Exits with 0 where watching works here (with --plan: and nothing is left to do), 1 where it does not, 64 for
    wrong options, 70 where setup broke.
    """
    from denet_tui.commands import setup

    ids = tuple(word.strip() for each in only for word in each.split(",") if word.strip())
    if not ids and not any(options.values()):
        from denet_tui.commands import home

        if home.has_terminal():
            home.wizard()
    setup.setup(setup.SetupRequest(only=ids, **options))


@main.command("settings")
@click.option("--keys", is_flag=True, help="Instead: every binding by its name, with its keys and what it does.")
def settings_command(*, keys: bool) -> None:
    """Print a settings file with every field explained; the real one is ~/.config/denet-tui/settings.toml."""
    from denet_tui.commands import preferences

    write(preferences.list_bindings() if keys else preferences.example(), sys.stdout)
