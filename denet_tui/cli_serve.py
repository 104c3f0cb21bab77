"""The command line of serve."""

from __future__ import annotations

from typing import Any, NoReturn

import click

from denet_tui.commands.command_line import examples
from denet_tui.commands.options import choosing_options, counting_options, global_options


@click.command(
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
    short_help="Watch without a screen, for Prometheus to scrape.",
    epilog=examples(
        ("sudo denet-tui serve", "the whole machine"),
        ("sudo denet-tui serve --unit nginx.service", "a service"),
        ("denet-tui serve -- make -j4", "a command, as long as it runs"),
        ("sudo denet-tui serve --listen unix:metrics 1234", "processes, for who may open that file"),
    ),
)
@click.option(
    "--listen",
    default="127.0.0.1:9783",
    show_default=True,
    metavar="HOST:PORT|unix:PATH",
    help="Where metrics are to be had; by whoever reaches it, without a password.",
)
@click.option("--otlp", metavar="URL", help="Send them to a collector of OpenTelemetry as well, every 15 s.")
@click.option(
    "--max-series",
    "most",
    type=click.IntRange(200, 100_000),
    default=3000,
    show_default=True,
    help="Series at most; what has none is in those labelled `other`. A thousand cost 10 ms a scrape.",
)
@click.option(
    "--run-as",
    metavar="USER",
    help="Become this user once the program is loaded (needs root; default: who called sudo, or nobody).",
)
@counting_options
@choosing_options
@global_options
@click.argument("words", nargs=-1, metavar="[PID...|COMMAND...]", type=click.UNPROCESSED)
def serve(words: tuple[str, ...], *, listen: str, otlp: str | None, most: int, **options: Any) -> NoReturn:
    """Watch the machine, processes or a command without a screen, and serve what is counted to Prometheus.

    Served are numbers of calls, of errors and of what could not be counted, and latencies, by names of cgroups,
    programs, system calls and errnos; no arguments, paths, or ids of processes.
    """
    from denet_tui.commands import serve as serving
    from denet_tui.commands import targets

    serving.serve(words, targets.WatchRequest(no_tui=True, **options), listen, otlp, most)
