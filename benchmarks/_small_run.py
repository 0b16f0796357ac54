"""A small whole run that can be begun again and again: everything is loaded once, and each run is a fork of this process.

Python takes a second to start and to import; a run of a dozen users takes a tenth of one. So a script that disturbs hundreds of runs
forks them. Each run goes through what ``reportgen build`` does once it has read its tables.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import _one_thread  # noqa: F401  (before NumPy)

from reportgen import AttentionScorer, Dataset
from reportgen.batch.settings import RunSettings
from reportgen.data.shop import make_shop
from reportgen.errors import ReportgenError
from reportgen.report.record import iso
from reportgen.verbs.build import make_run
from reportgen.verbs.console import Terminal
from reportgen.verbs.door import Door

#: How a run ends that none of our errors has ended.
BUG = 99
NOTE = Path(".work", "unwatched", "build")


@dataclass(frozen=True)
class SmallRun:
    """Data, a fitted scorer and settings of a run; `out` is put in when it begins. What it says goes to the file `told`."""

    settings: RunSettings
    data: Dataset
    scorer: AttentionScorer
    told: Path

    @classmethod
    def of(cls, users: int, shard: int, told: Path) -> SmallRun:
        """Make a shop and fit a scorer."""
        shop = make_shop(users)
        data = Dataset.from_frames(shop.events, shop.items, shop.users)
        scorer = AttentionScorer(random_state=0).fit(data)
        as_of = int(data.timestamps.max())
        settings = RunSettings(
            Path(), b"a key for benchmarks, not a secret", as_of, iso(as_of), shard=shard, synthetic=True
        )
        run = cls(settings, data, scorer, told)
        with (
            TemporaryDirectory() as place
        ):  # all that is imported late is here now, and is not loaded again in every fork
            for packs in (False, True):
                run._run(replace(settings, out=Path(place, f"{packs}"), packs=packs))
        return run

    def begin(self, out: Path, packs: bool, resume: bool, gate: bool = False) -> tuple[int, Callable[[], None]]:
        """Fork a run; return its process id, and what opens its gate where it is to wait for that."""
        read, write = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            self._be(out, packs, resume, read if gate else None)
        os.close(read)

        def go() -> None:
            with suppress(BrokenPipeError):
                os.write(write, b"!")
            os.close(write)

        if not gate:
            os.close(write)
        return pid, go

    def finish(self, out: Path, packs: bool, resume: bool) -> int:
        """Fork a run and wait for its end; return the exit code, negative for a signal."""
        pid, _ = self.begin(out, packs, resume)
        return ended(pid)

    def _be(self, out: Path, packs: bool, resume: bool, gate: int | None) -> None:
        """The whole life of the forked process."""
        code = BUG
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if gate is not None:
                os.read(gate, 1)
            code = self._run(replace(self.settings, out=out, packs=packs, resume=resume))
        finally:
            os._exit(code)

    def _run(self, settings: RunSettings) -> int:
        with open(self.told, "w", encoding="utf-8") as stream, open(os.devnull, "w", encoding="utf-8") as nowhere:
            # Clocks that stand still: how often the status is written must not depend on how busy this machine is.
            console = Terminal(stream, nowhere, (float, float), quiet=True)
            door = Door(console, {}, lambda: sys.stdout.buffer, float, float, float, int, float)
            try:
                return make_run(settings, self.data, self.scorer, door)
            except ReportgenError as error:
                return console.error(str(error), error.exit_code)
            except OSError as error:  # as the command line does
                return console.error(f"{error.strerror}; check the disk and the rights of the folders", 1)
            except BaseException as error:
                stream.write(f"{type(error).__name__}: {error}\n")
                return BUG


def ended(pid: int) -> int:
    """Wait for the end of a process; its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def hashes(out: Path) -> dict[str, str]:
    """SHA-256 of every file of a run but its status, which tells when."""
    found = [path for path in out.rglob("*") if path.is_file() and path.name != "run_status.json"]
    return {path.relative_to(out).as_posix(): sha256(path.read_bytes()).hexdigest() for path in found}


def compared(found: dict[str, str], wanted: dict[str, str]) -> str:
    """In which files a run differs from an undisturbed one: lost, too many, or torn; empty when it is the same."""
    lost, more = wanted.keys() - found.keys(), found.keys() - wanted.keys()
    torn = {path for path in wanted.keys() & found.keys() if wanted[path] != found[path]}
    told = {"lost": lost, "too many": more, "other bytes": torn}
    return "; ".join(f"{what}: {sorted(paths)[:3]} of {len(paths)}" for what, paths in told.items() if paths)
