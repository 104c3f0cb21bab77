"""Commands and options; each body hands over to a room below."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import click

from denet_tui import __version__
from denet_tui.cli_serve import serve
from denet_tui.commands.command_line import Commands, examples, need_proc
from denet_tui.commands.options import (
    a_file,
    a_tool,
    attach_method,
    checks,
    choosing_options,
    file_name,
    files,
    forms,
    global_options,
    only,
    recordings,
    running,
    topics,
    until_last,
    watching_options,
    words,
)
from denet_tui.system import debug
from denet_tui.system.visible import write
from denet_tui.watch.ends import what_kill_ends
from denet_tui.watch.passed import PASSED


@click.group(
    cls=Commands,
    commands=[serve],
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    subcommand_metavar="[COMMAND | PROGRAM] [ARGS]...",
    sections={
        "Watch": ("run", "attach", "machine", "serve"),
        "Look at a recording": ("view", "report", "diff", "export"),
        "Make it work here": ("setup", "diag", "selftest"),
        "Understand it": ("guide", "explain"),
        "More": ("settings", "help"),
    },
    otherwise="run",
    epilog=examples(
        ("sudo denet-tui", "set up what is missing, then watch all"),
        ("denet-tui make -j4", "watch a command; its files stay yours"),
        ("sudo denet-tui attach 1234", "watch a running process"),
    ),
)
@click.version_option(__version__, prog_name="denet-tui", message="%(prog)s %(version)s")
@global_options
@click.pass_context
def main(context: click.Context, /, **given: Any) -> None:
    """Watch a command's system calls, exactly and live, with its whole process tree."""
    asked = {name: value for name, value in given.items() if value}
    context.default_map = dict.fromkeys(Commands.of(context).commands, asked)
    if context.invoked_subcommand not in ("settings", "help"):
        need_proc(context.invoked_subcommand or "")
    if context.invoked_subcommand is None:
        from denet_tui.commands import home
        from denet_tui.commands.targets import WatchRequest

        if home.has_terminal():
            home.home(WatchRequest(**given))
        write(f"{context.get_help()}\n", sys.stdout)


@main.command(
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
    epilog=examples(
        ("denet-tui run -- make -j4", "watch a build"),
        ("denet-tui run --no-tui --syscalls %file -- ls -l", "no screen, a table of the file calls at the end"),
        ("denet-tui run -o build.jsonl -- make", "record it as well"),
    ),
)
@watching_options
@click.option(
    "--user",
    help="Run the command as this user (needs root), in a session of its own; of your environment it gets only "
    f"{', '.join(PASSED)}, beside that user's HOME, USER, LOGNAME, SHELL and the PATH of a login.",
)
@a_file("--output", type=file_name, metavar="pane|FILE|null", help="Where its output goes (default: the screen).")
@click.option(
    "--on-quit",
    type=click.Choice(["ask", "kill", "leave"]),
    default="ask",
    show_default=True,
    help=f"What happens to a command that still runs when denet-tui ends: {what_kill_ends()}",
)
@until_last
@global_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, shell_complete=files)
def run(command: tuple[str, ...], **options: Any) -> NoReturn:
    """Watch COMMAND and all its descendants."""
    from denet_tui.commands import run as watching
    from denet_tui.commands import targets

    watching.start(targets.CommandTarget(command), targets.WatchRequest(**options))


@main.command(
    short_help="Watch running processes (by id or name) and their descendants.",
    epilog=examples(
        ("sudo denet-tui attach 1234", "watch a process and all that it starts"),
        ("sudo denet-tui attach --no-tui --all nginx", "by name; a table when all have ended, or at ctrl+c"),
        ("sudo denet-tui attach -o web.jsonl 1234 php-fpm", "several together; record them"),
    ),
)
@watching_options
@choosing_options
@click.option("--all", "every", is_flag=True, help="Where several have that name, watch them all.")
@until_last
@global_options
@running()
def attach(processes: tuple[str, ...], *, every: bool, **options: Any) -> NoReturn:
    """Watch running processes, by their ids or names, and their descendants, until all have ended.

    Where one name is given and several processes have it, they are listed; with --all, and among several words, a
    name means all that have it. With --user, --cgroup, --unit or --container in their place: as `denet-tui machine`.
    """
    from denet_tui.commands import run as watching
    from denet_tui.commands import targets

    watching.attach(processes, targets.WatchRequest(**options), every=every)


@main.command(
    epilog=examples(
        ("sudo denet-tui machine", "every process of this machine"),
        ("sudo denet-tui machine --unit nginx.service", "a service, whatever it starts"),
        ("sudo denet-tui machine --user www-data --syscalls %network", "the network calls of a user"),
        ("sudo denet-tui machine --json > all.jsonl", "a stream for another program"),
        ("sudo denet-tui machine --no-tui -o all.jsonl.gz --max-size 2G --keep 7d", "the last days, in parts"),
    )
)
@watching_options
@choosing_options
@global_options
def machine(**options: Any) -> NoReturn:
    """Watch every process of this machine, or those of a user, a cgroup, a unit or a container.

    Those that come later are included. In a cgroup is what makes a call, forks or is forked there: what moves in is
    watched from its next call on, what moves out stays watched, and what that forks is not.
    """
    from denet_tui.commands import run as watching
    from denet_tui.commands import targets

    watching.machine(targets.WatchRequest(**options))


@main.command(
    epilog=examples(
        ("denet-tui view build.jsonl", "space plays, + - set the speed, T goes to a moment, J to an event; ? has more"),
        ("ssh -n HOST sudo denet-tui run --json -- make 2> said | denet-tui view -", "another machine"),
    )
)
@global_options
@recordings(metavar="FILE|-")
def view(recording: str, **options: Any) -> NoReturn:
    """Show a recording on the live screen; - reads a stream. Files that denet wrote will do as well."""
    from denet_tui.commands import targets
    from denet_tui.commands import view as viewing

    viewing.view(recording, targets.WatchRequest(**options))


@main.command(
    epilog=examples(
        ("denet-tui report build.jsonl", "what stood out, all calls, and which programs made them"),
        ("denet-tui report --markdown build.jsonl", "the same for a comment"),
        ("denet-tui report --csv build.jsonl", "a row per program and system call"),
    )
)
@forms
@global_options
@recordings(metavar="FILE|-")
def report(recording: str, form: Any, **options: Any) -> NoReturn:
    """Sum a recording up, what stood out first."""
    from denet_tui.commands import report as reporting
    from denet_tui.commands import targets

    reporting.report(recording, form, targets.WatchRequest(**options))


@main.command(
    epilog=examples(
        ("denet-tui export --to folded build.jsonl | flamegraph.pl > build.svg", "a flame graph of the time in calls"),
        ("denet-tui export --to openmetrics build.jsonl", "for Prometheus and what reads its files"),
        ("denet-tui export --to perfetto build.jsonl > build.pftrace", "for https://ui.perfetto.dev"),
    )
)
@a_tool
@global_options
@recordings(metavar="FILE|-")
def export(recording: str, tool: Any, **options: Any) -> NoReturn:
    """Write a recording in the form of another tool.

    folded: a line per process tree and system call, with the time in it in us (flamegraph.pl, speedscope).
    perfetto: processes, what they executed, slow and long calls, and rates over time; needs the package perfetto.
    """
    from denet_tui.commands import export as exporting
    from denet_tui.commands import targets

    exporting.export(recording, tool, targets.WatchRequest(**options))


@main.command(
    context_settings={"ignore_unknown_options": True},
    epilog=examples(
        ("denet-tui diff before.jsonl after.jsonl", "what appeared, vanished, grew, slowed"),
        ("denet-tui diff --base a1 a2 a3 --new b1 b2 b3", "medians of several runs; how far they differ is noise"),
        ("denet-tui diff a b --fail-on 'openat.errors > +10%'", "exit status 1 where it is so"),
    ),
)
@click.option("--fail-on", "rules", multiple=True, metavar="RULE", help="Exit with 1 where this is so; repeatable.")
@global_options
@recordings(metavar="A B | --base A... --new B...", nargs=-1, required=True, type=click.UNPROCESSED)
def diff(recording: tuple[str, ...], rules: tuple[str, ...], **options: Any) -> NoReturn:
    """Compare recordings of before and after, by program and system call, as Markdown; times only of three a side.

    A RULE is [PROGRAM/]SYSCALL.calls|errors|time|p10 > [+]NUMBER[%|ns|us|ms|s]: with + by how much more, else how much
    at most; */ is each program by itself, *. any call; p10 is what nine of ten take at least. Exits with 0, 1 where a
    rule is broken, and 125 where it cannot be decided: something cannot be read, is cut off or not exact, a rule names
    what there is not, or asks how much more time (time, p10 with +) of fewer than three different recordings a side.
    """
    from denet_tui.commands import diff as differing
    from denet_tui.commands import targets

    differing.diff(recording, rules, targets.WatchRequest(**options))


@main.command(
    epilog=examples(
        ("sudo denet-tui selftest", "1,000 reads, by each attach method"),
        ("sudo denet-tui selftest --syscall getppid", "another call"),
        ("sudo denet-tui selftest --attach-method tracefs --json", "by one of them, for a script"),
    )
)
@click.option("--syscall", default="read", show_default=True, help="Which call to make.")
@attach_method()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@global_options
def selftest(syscall: str, **options: Any) -> NoReturn:
    """Make 1,000 known calls, count them, and compare."""
    from denet_tui.commands import run as watching
    from denet_tui.commands import targets

    watching.selftest(syscall, targets.WatchRequest(**options))


@main.command(
    short_help="Say what works here, what does not, and what to do about it.",
    epilog=examples(
        ("sudo denet-tui diag", "everything"),
        ("sudo denet-tui diag --only FS-001", "one check"),
        ("sudo denet-tui diag --report report.md", "a report to share, secrets replaced"),
    ),
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout (report/diag.schema.json).")
@a_file("--report", "report_file", metavar="FILE", help="Write the complete report to share (Markdown).")
@only(help="Run this check; may be given again, or with commas.")
@click.option("--strict", is_flag=True, help="Exit with 2 where there are warnings.")
@click.option("--no-redact", is_flag=True, help="Leave names, folders and addresses in the report.")
@global_options
def diag(only: tuple[str, ...], **options: Any) -> NoReturn:
    """Look at everything that tracing needs: what was seen, why it matters, how to put it right.

    Exits with 0 where watching works here, 1 where it does not, 2 for warnings under --strict, 64 for wrong
    options, 70 where a check broke.
    """
    from denet_tui.commands import diag

    diag.diag(diag.DiagRequest(only=tuple(map(str.upper, only)), **options))


@main.command(
    short_help="Put right what keeps tracing from working, step by step.",
    epilog=examples(
        ("sudo denet-tui setup", "step by step, on a screen"),
        ("denet-tui setup --plan", "what would be done"),
        ("sudo denet-tui setup --undo", "give everything back"),
    ),
)
@click.option("--plan", is_flag=True, help="Show what would be done, and change nothing.")
@click.option("--yes", is_flag=True, help="Apply the plan without asking.")
@only(help="This check or fix only; may be given again, or with commas.")
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

    where_to = {name: options[name] for name in ("debug", "log_file")}
    if not only and not any(options[name] for name in options.keys() - where_to):
        from denet_tui.commands import home
        from denet_tui.commands.targets import WatchRequest

        if home.has_terminal():
            home.wizard(WatchRequest(**where_to))
    setup.setup(setup.SetupRequest(only=only, **options))


@main.command(
    "settings",
    short_help="Print a settings file with every field explained.",
    epilog=examples(
        ("denet-tui settings", "the file, with every field explained"),
        ("denet-tui settings > ~/.config/denet-tui/settings.toml", "begin with it"),
        ("denet-tui settings --keys", "every key that can be changed"),
    ),
)
@click.option("--keys", is_flag=True, help="Instead: every binding by its name, with its keys and what it does.")
@global_options
def settings_command(*, keys: bool, **options: Any) -> None:
    """Print a settings file with every field explained; the real one is ~/.config/denet-tui/settings.toml."""
    from denet_tui.commands import preferences

    debug.follow(**options)
    preferences.log_where(os.environ)
    write(preferences.list_bindings() if keys else preferences.example(), sys.stdout)


@main.command(
    "guide",
    context_settings={"ignore_unknown_options": True},  # what is pasted has some
    short_help="The troubleshooting guide of denet: what to do here instead.",
    epilog=examples(
        ("denet-tui guide", "all of it"),
        ('denet-tui guide "Map not found"', "by a symptom"),
        ("denet-tui guide getcap", "by a command or a file of the guide"),
    ),
)
@words()
@global_options
def guide_command(words: tuple[str, ...], **options: Any) -> int:
    """Look up words of denet's troubleshooting guide: what to do here instead, and where the guide is wrong, why."""
    from denet_tui.commands import guide

    debug.follow(**options)
    return guide.show(" ".join(words))


@main.command(
    "explain",
    context_settings={"ignore_unknown_options": True},  # what is pasted has some
    short_help="Why a check, an errno or an error text matters, and what helps.",
    epilog=examples(
        ("denet-tui explain KERN-004", "a check: why, fix, undo"),
        ("denet-tui explain EPERM", "an errno of loading"),
        ('denet-tui explain "Need super-user privileges"', "an error text, pasted whole"),
    ),
)
@words(shell_complete=checks)
@global_options
def explain_command(words: tuple[str, ...], **options: Any) -> int:
    """Explain a check, an errno, an error text or a setting, as this machine has it."""
    from denet_tui.commands import guide

    if not "".join(words).strip():
        raise click.UsageError("say what is to be explained: a check, an errno, an error text or a setting")
    debug.follow(**options)
    return guide.tell(" ".join(words))


@main.command(
    "help",
    epilog=examples(
        ("denet-tui help run", "what run can do"),
        ("denet-tui help exit status", "a topic"),
        ("denet-tui help --man | man -l -", "all commands, as a manual page"),
    ),
)
@topics()
@click.option("--man", is_flag=True, help="All of it as a manual page (man 7 man).")
@global_options
@click.pass_context
def help_command(context: click.Context, /, topic: tuple[str, ...], *, man: bool, **_: Any) -> None:
    """Say what a command does and takes, or what is known about a topic."""
    from denet_tui.commands import manual, topics

    text = manual.page(context) if man else topics.tell(context, " ".join(topic))
    write(f"{text}\n", sys.stdout)
