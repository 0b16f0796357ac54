"""Cut the power of a real file system during runs and right after them, mount it again, go on, and compare every byte.

    python benchmarks/power_cut.py [--times N] [--seed N] [--quick]        (as root, on Linux)

An ext4 file system in a file is mounted through a loop device. ``EXT4_IOC_SHUTDOWN`` without a flush of the journal ends it as a power
cut does: what was not synced is gone, and nothing more is written. Half of the cuts come at a random moment of a run, half right after a
run has ended with exit code 0. The mount options change from turn to turn. After mounting it again:

* after exit 0 every file is there, byte by byte, before anything is resumed;
* a report or pack that has its own name is whole, and a manifest that is there lists whole files only;
* after ``--resume`` the hash of every file but the status is that of an undisturbed run: nothing lost, torn or doubled.

Some turns at the end are a control: there the run's syncs do nothing, and the loss must be noticed. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import platform
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from _small_run import SmallRun, compared, ended, hashes

SHUTDOWN, WITHOUT_FLUSH = 0x8004587D, 2
OPTIONS = ("loop", "loop,data=writeback", "loop,noauto_da_alloc", "loop,commit=1", "loop,nobarrier")
SIZE, CONTROLS = 128 << 20, 4


class Disk:
    """An ext4 file system in a file, made anew for each turn."""

    def __init__(self, folder: Path) -> None:
        self.image, self.place = folder / "disk.img", folder / "disk"
        self.place.mkdir()

    def format(self) -> None:
        with open(self.image, "wb") as file:
            file.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(self.image)], check=True)

    def mount(self, options: str) -> None:
        subprocess.run(["mount", "-o", options, str(self.image), str(self.place)], check=True)

    def cut(self) -> None:
        at = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(at, SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(at)

    def umount(self) -> None:
        subprocess.run(["umount", str(self.place)], check=True)


@contextmanager
def syncs(real: bool) -> Iterator[None]:
    """Processes forked in this block sync; or they only say so."""
    before = os.fsync
    if not real:
        os.fsync = lambda _: None  # type: ignore[assignment]
    try:
        yield
    finally:
        os.fsync = before


def cut_midway(run: SmallRun, disk: Disk, packs: bool, after: float) -> int:
    """Begin a run and cut the power after some seconds; return how it ended. The process is killed, as by a power cut."""
    pid, _ = run.begin(disk.place / "run", packs, resume=False)
    time.sleep(after)
    disk.cut()
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return ended(pid)


def torn(found: dict[str, str], wanted: dict[str, str]) -> str:
    """What has a name of its own and is not whole, before anything is resumed."""
    names = [path for path in found if path.startswith(("reports/", "packs/")) and not Path(path).name.startswith(".")]
    bad = [path for path in names if found[path] != wanted.get(path)]
    if "manifest.json" in found:
        bad += [path for path in wanted if found.get(path) != wanted[path]]
    return f"torn: {bad[:3]} of {len(bad)}" if bad else ""


def turn(
    run: SmallRun, disk: Disk, packs: bool, wanted: dict[str, str], options: str, after: float | None
) -> tuple[str, str]:
    """One cut; return how the run ended, and what is wrong."""
    out = disk.place / "run"
    disk.format()
    disk.mount(options)
    if after is None:
        code = run.finish(out, packs, resume=False)
        disk.cut()
    else:
        code = cut_midway(run, disk, packs, after)
    disk.umount()
    disk.mount(options)
    try:
        found = hashes(out) if out.exists() else {}
        wrong = compared(found, wanted) if code == 0 else torn(found, wanted)
        if again := run.finish(out, packs, resume=True):
            wrong += f"; resumed with {again}: {run.told.read_text('utf-8').strip()}"
        else:
            wrong += compared(hashes(out), wanted)
        return str(code), wrong
    finally:
        disk.umount()


def main() -> None:
    """Cut, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="10 cuts")
    given = parser.parse_args()
    if os.geteuid() != 0 or sys.platform != "linux":
        raise SystemExit("this needs root on Linux: it mounts a file system and shuts it down")
    times, chance = 10 if given.quick else given.times, random.Random(given.seed)
    figures = Counter[str](violations=0)
    with tempfile.TemporaryDirectory() as place:
        run = SmallRun.of(24, 4, Path(place, "told.txt"))
        disk, whole = Disk(Path(place)), {}
        for packs in (False, True):
            start, out = time.monotonic(), Path(place, f"packs-{packs}")
            if run.finish(out, packs, resume=False):
                raise SystemExit("the undisturbed run failed")
            whole[packs] = hashes(out), time.monotonic() - start
        for number in range(times + CONTROLS):
            control, packs, options = number >= times, number // 2 % 2 == 1, OPTIONS[number % len(OPTIONS)]
            wanted, seconds = whole[packs]
            after = None if control or number % 2 else chance.uniform(0.0, 1.5 * seconds)
            with syncs(real=not control):
                code, wrong = turn(run, disk, packs, wanted, options, after)
            if control:
                figures["control/noticed"] += bool(wrong)
                continue
            figures[f"cut/{'midway' if after is not None else 'after exit 0'}"] += 1
            figures[f"ended/{code}"] += 1
            if wrong:
                figures["violations"] += 1
                print(
                    f"cut {number}, {options}, packs {packs}, after {after}: ended with {code}; {wrong}",
                    file=sys.stderr,
                )
    conditions = {
        "seed": given.seed,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "controls": CONTROLS,
    }
    print(json.dumps({"benchmark": "power_cut", "figures": dict(figures), "conditions": conditions}))
    raise SystemExit(figures["violations"] > 0 or figures["control/noticed"] < CONTROLS)


if __name__ == "__main__":
    main()
