"""End a run at every single system call that touches its output, go on with it, and compare every byte.

    python benchmarks/every_call.py [--every K] [--users N] [--form files|packs] [--quick]

The calls of one whole run are recorded with strace: making, writing, syncing, renaming and removing files and folders. Then there is one
run for each of them that is killed as it makes that call; and one for each that is told an error: ``EIO`` of a sync, no room of
everything else. It must end with exit code 1 and one line, or be complete in spite of it. After ``--resume`` the hash of every file must
be that of an undisturbed run. The last line is one JSON object. Needs strace. ``--every K`` takes each K-th call only.

Which process makes the shards again does not matter for this, so most runs are resumed in the calling process, by taking its note away;
each `WATCHED`-th is resumed as it is, which starts a process that is watched.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from _small_run import NOTE, SmallRun, compared, ended, hashes

CALLS = ("openat", "write", "pwrite64", "ftruncate", "rename", "renameat", "renameat2", "fsync", "fdatasync", "mkdir", "mkdirat",
         "unlink", "unlinkat", "rmdir", "link", "linkat", "symlinkat")  # fmt: skip
WATCHED = 25
_LINE = re.compile(r"(?P<name>\w+)\((?P<rest>.*)")


@dataclass(frozen=True)
class Point:
    """The n-th call of that name in a run."""

    call: str
    number: int


def traced(run: SmallRun, out: Path, packs: bool, *words: str) -> int:
    """Make a run under strace; return how it ended."""
    pid, go = run.begin(out, packs, resume=False, gate=True)
    tracer = subprocess.Popen(["strace", "-qq", "-y", "-p", str(pid), *words], stderr=subprocess.DEVNULL)
    while "TracerPid:\t0" in Path(f"/proc/{pid}/status").read_text("ascii"):
        if tracer.poll() is not None:
            raise SystemExit("strace cannot trace here")
        time.sleep(0.001)
    go()
    code = ended(pid)
    tracer.wait()
    return code


def points_of(run: SmallRun, out: Path, packs: bool, wanted: dict[str, str]) -> list[Point]:
    """Every call of an undisturbed run that touches its output, in order."""
    record = out.parent / "calls.txt"
    if traced(run, out, packs, "-o", str(record), "-e", f"trace={','.join(CALLS)}") or hashes(out) != wanted:
        raise SystemExit("the undisturbed run failed")
    points, counted = [], Counter[str]()
    for line in record.read_text("utf-8", "replace").splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        name, rest = found["name"], found["rest"]
        counted[name] += 1
        if str(out) in rest and (name != "openat" or "O_CREAT" in rest):
            points.append(Point(name, counted[name]))
    shutil.rmtree(out)
    return points


@dataclass
class Tally:
    """What came of all points."""

    run: SmallRun
    folder: Path
    figures: Counter[str]
    ends: Counter[str]
    turns: int = 0

    def turn(self, form: str, point: Point, harm: str, wanted: dict[str, str]) -> None:
        """Do harm at one point, go on, and compare."""
        out, packs = self.folder / "run", form == "packs"
        place = f"{point.call}:{harm}:when={point.number}"
        code = traced(self.run, out, packs, "-o", "/dev/null", "-e", f"trace={point.call}", "-e", f"inject={place}")
        told = self.run.told.read_text("utf-8")
        kind = "kill" if harm.startswith("signal") else harm.partition("=")[2]
        self.ends[f"{kind}/{code}"] += 1
        borne = code == 0 and not harm.startswith("signal") and not compared(hashes(out), wanted)
        wrong = ("" if borne else self._ended_badly(harm, code, told)) or self._resumed(out, packs, wanted)
        self.turns += 1
        self.figures[f"{form}/{kind}"] += 1
        if wrong:
            self.figures["violations"] += 1
            print(f"{form}, {place}: ended with {code} ({told.strip()}); {wrong}", file=sys.stderr)
        shutil.rmtree(out, ignore_errors=True)

    def _ended_badly(self, harm: str, code: int, told: str) -> str:
        if harm.startswith("signal"):
            return "" if code == -9 else "it was not killed"
        fine = code == 1 and told.count("\n") == 1 and ("cannot be" in told or "check the disk" in told)
        return "" if fine else "no clear error"

    def _resumed(self, out: Path, packs: bool, wanted: dict[str, str]) -> str:
        if self.turns % WATCHED:
            with suppress(OSError):
                (out / NOTE).unlink()
        again = self.run.finish(out, packs, resume=True)
        if again:
            return f"resumed with {again} ({self.run.told.read_text('utf-8').strip()})"
        return compared(hashes(out), wanted)


def harm_of(point: Point) -> str:
    """The error that a call is told: a sync that of a failing disk, the others that of a full one."""
    return "error=EIO" if point.call in ("fsync", "fdatasync") else "error=ENOSPC"


def main() -> None:
    """Record, do harm everywhere, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--users", type=int, default=12)
    parser.add_argument("--form", action="append", choices=("files", "packs"), help="only one of the two")
    parser.add_argument("--quick", action="store_true", help="each 12th call")
    given = parser.parse_args()
    if shutil.which("strace") is None:
        raise SystemExit("strace is not installed: apt-get install strace")
    every, start = 12 if given.quick else given.every, time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        run = SmallRun.of(given.users, max(given.users // 3, 1), Path(place, "told.txt"))
        tally = Tally(run, Path(place), Counter(violations=0), Counter())
        for form in given.form or ("files", "packs"):
            out, packs = tally.folder / "run", form == "packs"
            if run.finish(out, packs, resume=False):
                raise SystemExit(f"the undisturbed run failed: {run.told.read_text('utf-8')}")
            wanted = hashes(out)
            shutil.rmtree(out)
            points = points_of(run, out, packs, wanted)
            tally.figures[f"{form}/calls"] = len(points)
            for point in points[::every]:
                tally.turn(form, point, "signal=KILL", wanted)
                if point.call not in ("unlink", "unlinkat", "rmdir"):  # taking away needs no room
                    tally.turn(form, point, harm_of(point), wanted)
    figures = dict(tally.figures) | {f"ended/{name}": count for name, count in sorted(tally.ends.items())}
    conditions = {"users": given.users, "every": every, "python": platform.python_version(),
                  "seconds": round(time.monotonic() - start)}  # fmt: skip
    print(json.dumps({"benchmark": "every_call", "figures": figures, "conditions": conditions}))
    raise SystemExit(tally.figures["violations"] > 0)


if __name__ == "__main__":
    main()
