"""The command line: the clock, the environment, the terminal, exit codes. What a verb does stands in `reportgen.verbs`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module

from reportgen.errors import ReportgenError
from reportgen.verbs.console import Terminal
from reportgen.verbs.door import DONE, FAILED, INTERRUPTED, USAGE, Door
from reportgen.verbs.options import make_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns
    -------
    int
        0 done; 1 an error, told in one line on stderr; 2 usage; 3 done, but some users were set aside; 130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["--version"]:
        return _version()
    try:
        given = make_parser().parse_args(words)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE
    console = Terminal(
        sys.stderr, sys.stdout, (time.monotonic, time.perf_counter), given.quiet, given.log_format == "json"
    )
    try:
        return _do(given, _door(console))
    except ReportgenError as error:
        return console.error(str(error), error.exit_code)
    except KeyboardInterrupt:
        return console.error("interrupted; go on with --resume, or begin again with --overwrite", INTERRUPTED)
    except OSError as error:
        return console.error(f"{error.strerror or error}; check the disk and the rights of the folders", FAILED)


def _do(given: argparse.Namespace, door: Door) -> int:
    """Each verb is a module of its own, loaded when it is asked for: ``run(given, door)`` returns the exit code."""
    from reportgen.batch.signals import interrupting

    run: Callable[[argparse.Namespace, Door], int] = import_module(f"reportgen.verbs.{given.verb}").run
    with interrupting():
        return run(given, door)


def _version() -> int:
    from reportgen.version import VERSION

    print(f"reportgen {VERSION}")
    return DONE


def _door(console: Terminal) -> Door:
    return Door(
        console, os.environ, lambda: sys.stdout.buffer, time.time, time.monotonic, time.perf_counter, _peak, time.sleep
    )


def _peak() -> int:
    """Most memory used so far, in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
