"""The options that several commands have."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from denet_tui.system.visible import complain

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Seconds(click.FloatRange):
    """A range that nan is not in, though it is neither below nor above it."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        """Raise click.BadParameter for what is out of range."""
        seconds = float(super().convert(value, parameter, context))
        if math.isnan(seconds):
            self.fail(f"{value} is not a number of seconds", parameter, context)
        return seconds


_SIZES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TIMES = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class _Amount(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.3 alone
    """A whole number with a unit behind it, such as 2G or 7d; at least so much."""

    name = "amount"

    def __init__(self, units: dict[str, int], least: int) -> None:
        self._units, self._least = units, least

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        """The number of the smallest unit; raises click.BadParameter for what is none, and for too little."""
        if isinstance(value, int):
            return value
        units = {name.lower(): name for name in self._units}
        number, unit = value[:-1], units.get(value[-1:].lower(), "")
        if not unit or not (number.isascii() and number.isdecimal()) or len(number) > 9:
            self.fail(f"{value!r} is not a whole number and one of {', '.join(self._units)}", parameter, context)
        if (amount := int(number) * self._units[unit]) < self._least:
            name, size = next((unit, size) for unit, size in reversed(self._units.items()) if size <= self._least)
            self.fail(f"{value} is less than {self._least // size}{name}, the least", parameter, context)
        return amount


def file_name(word: str) -> str:
    """The same word; raises click.BadParameter for an empty one."""
    if not word:
        raise click.BadParameter("its name is empty")
    return word


def path(word: str) -> Path:
    """The Path of that name; raises click.BadParameter for an empty one."""
    return Path(file_name(word))


def _recording(word: str) -> Path:
    if word == "-":
        raise click.BadParameter("use --json for standard output")
    return path(word)


def _of_syscalls(_: click.Context, __: click.Parameter, text: str) -> str:
    if text and not text.replace(",", "").strip():
        raise click.BadParameter("it names no system call; leave it out to count all")
    return text


def _offered(word: str, **more: str) -> CompletionItem:
    from click.shell_completion import CompletionItem  # when a shell asks

    return CompletionItem(word, **more)


def files(_: click.Context, __: click.Parameter, word: str) -> list[CompletionItem]:
    """Has a shell complete names of files."""
    return [_offered(word, type="file")]


def checks(_: click.Context, __: click.Parameter, word: str) -> list[CompletionItem]:
    """Has a shell complete identities of checks."""
    from denet_tui.checks import catalogue

    return [_offered(each.id, help=each.title) for each in catalogue.ALL if each.id.startswith(word.upper())]


def _running(_: click.Context, __: click.Parameter, word: str) -> list[CompletionItem]:
    from denet_tui.watch import candidates

    return [_offered(name) for name in sorted(candidates.names()) if name.startswith(word)]


def _commands(context: click.Context, _: click.Parameter, word: str) -> list[CompletionItem]:
    root = context.find_root().command
    names = root.list_commands(context) if isinstance(root, click.Group) else []
    return [_offered(name) for name in names if name.startswith(word)]


def _ids(context: click.Context, _: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(word.strip() for each in given for word in each.split(",") if word.strip())
    if given and not found:
        raise click.UsageError(f"--only names nothing; `{context.command_path}` without it looks at all", context)
    return found


def _or_option(context: click.Context, _: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """An option of every command that stands alone is itself the word of the guide that is looked up."""
    flags = [each for each in context.command.params if isinstance(each, click.Option) and each.is_flag]
    said = (each for each in flags if context.get_parameter_source(each.name or "") is ParameterSource.COMMANDLINE)
    return given or tuple(each.opts[0] for each in said)


only = partial(click.option, "--only", multiple=True, metavar="ID", callback=_ids, shell_complete=checks)
words = partial(click.argument, "words", nargs=-1, callback=_or_option)
topics = partial(click.argument, "topic", nargs=-1, shell_complete=_commands)
a_file = partial(click.option, type=path, shell_complete=files)
recordings = partial(click.argument, "recording", shell_complete=files)


def _one_form(context: click.Context, option: click.Parameter, given: bool) -> None:  # noqa: FBT001 - click calls it so
    before = context.params.setdefault("form", "text")
    if given:
        if before != "text":
            raise click.UsageError(f"--{before} and --{option.name} are two forms: choose one", context)
        context.params["form"] = option.name


def forms(command: _Command) -> _Command:
    """The forms of a report, of which `form` is the one that was chosen, `text` where none was."""
    for name, text in (
        ("csv", "A row per program and system call, file, and failing path; in ns. A ' stands before = + - @ and '."),
        ("markdown", "Tables in Markdown."),
        ("json", "One JSON object."),
    ):
        command = click.option(f"--{name}", is_flag=True, expose_value=False, callback=_one_form, help=text)(command)
    return command


def _one_tool(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> str:
    if len(set(words)) > 1:
        raise click.BadParameter(f"{words[0]} and {words[1]} are two forms: choose one")
    return words[0]


a_tool = click.option(
    "--to",
    "tool",
    type=click.Choice(["folded", "openmetrics", "perfetto"]),
    multiple=True,
    required=True,
    callback=_one_tool,
    help="The form.",
)


def processes(_: click.Context, parameter: click.Parameter, words: tuple[str, ...]) -> tuple[str, ...]:
    """Ids of processes, or names; raises click.BadParameter for a number that is no id."""
    for word in words:
        if word.isdecimal() and (len(word) > 4000 or not int(word)):
            raise click.BadParameter("ids of processes begin with 1; see `ps -e`", param=parameter)
    return words


running = partial(
    click.argument, "processes", nargs=-1, metavar="PID|NAME...", callback=processes, shell_complete=_running
)
attach_method = partial(
    click.option,
    "--attach-method",
    "--way",
    "method",
    type=click.Choice(["auto", "raw", "tracefs"]),
    default="auto",
    show_default=True,
)


_RECORDING = [
    a_file(
        "-o",
        "--output-file",
        "recording",
        type=_recording,
        metavar="FILE",
        help="Write a recording (JSON Lines); packed where it ends in .gz or .zst.",
    ),
    click.option(
        "--max-size",
        type=_Amount(_SIZES, 1 << 20),
        metavar="SIZE",
        help="With -o: record in parts that together take so much (2G), the oldest of which go.",
    ),
    click.option(
        "--keep",
        type=_Amount(_TIMES, 60),
        metavar="TIME",
        help="With -o: record in parts, and let go what is so old (7d).",
    ),
    click.option("--json", "as_json", is_flag=True, help="Stream the recording to stdout; implies --no-tui."),
    click.option("--summary", type=path, shell_complete=files, help="Write the summary alone to this file (JSON)."),
    click.option("--no-host-name", is_flag=True, help="Leave this machine's name out of the recording."),
]


_interval = partial(click.option, "--interval", type=_Seconds(0.1, 10))
_COUNTING = [
    click.option(
        "--syscalls",
        default="",
        callback=_of_syscalls,
        help="Count only these: names, %classes, /regular expressions/, comma-separated; ! leaves one out.",
    ),
    attach_method(help="Raw tracepoints, or tracefs tracepoints."),
]
_LOADING = [
    click.option(
        "--rows",
        type=click.IntRange(1, 1 << 20),
        default=65536,
        show_default=True,
        help="Process x syscall rows kept between two ticks; of files, names and failing paths no more, either.",
    ),
    click.option("--as-root", is_flag=True, help="Under sudo, run or attach as root instead of as you."),
    click.option("--no-sudo", is_flag=True, help="Do not ask sudo to load the BPF program."),
]


def _all_of(options: Iterable[Callable[[_Command], _Command]], command: _Command) -> _Command:
    for option in reversed([*options]):
        command = option(command)
    return command


def watching_options(command: _Command) -> _Command:
    """The options that run and attach share."""
    shown = [
        click.option(
            "--execs",
            is_flag=True,
            help="Print what is executed, a line each, also in vain; implies --no-tui and --detail all.",
        ),
        click.option("--no-tui", is_flag=True, help="No screen; a summary table on stderr at the end."),
    ]
    detail = click.option(
        "--detail",
        type=click.Choice(["calls", "files", "all"]),
        help="Watch the calls alone, their files and paths too, or all there is (default for a screen and for "
        "files that are written).",
    )
    interval = _interval(
        help="Seconds per tick; 0.5 where the settings file does not say otherwise (`denet-tui settings`)."
    )
    return _all_of([*_RECORDING, *shown, interval, *_COUNTING, detail, *_LOADING], command)


def counting_options(command: _Command) -> _Command:
    """Those of them that are about the counting."""
    interval = _interval(help="Seconds per tick; 0.5 without this.")
    return _all_of([interval, *_COUNTING, *_LOADING], command)


until_last = click.option(
    "--until-last", is_flag=True, help="Go on until the last descendant has ended, daemons included (as strace -f)."
)


def choosing_options(command: _Command) -> _Command:
    """What attach and machine choose processes by; those that come later included."""
    for option in (
        click.option("--container", metavar="ID|NAME", help="Those of this container (docker, podman, containerd)."),
        click.option("--unit", metavar="NAME", help="Those of this unit of systemd, as nginx.service (needs root)."),
        click.option("--cgroup", metavar="PATH", help="Those in this cgroup (version 2) and below it (needs root)."),
        click.option("--user", metavar="NAME", help="Those of this user, as long as they are (needs root)."),
    ):
        command = option(command)
    return command


def _needless(_: click.Context, option: click.Parameter, given: bool) -> None:  # noqa: FBT001 - click calls it so
    if given:
        complain(f"{option.opts[0]} is not needed: system calls are always counted by eBPF")


def global_options(command: _Command) -> _Command:
    """What may stand before a command's name and after it."""
    for option in (
        click.option("--enable-ebpf", is_flag=True, hidden=True, expose_value=False, callback=_needless),
        a_file("--log-file", help="Write debug messages here instead of to stderr."),
        click.option("--debug", is_flag=True, envvar="DENET_DEBUG", help="Say everything that the loader saw."),
    ):
        command = option(command)
    return command
