"""Drives the outside validators. Each function starts its program once, for any number of files, because the start is dear."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

HERE = Path(__file__).resolve().parent
MODULES = HERE / "node_modules"
#: Seconds after which a validator hangs; far more than any of them takes.
PATIENCE = 600


@dataclass(frozen=True)
class Verdict:
    """What veraPDF says of one file by one profile; `failures` maps a rule such as ``7.1-3`` to its first message and place."""

    passed: bool
    rules: int
    checks: int
    failures: dict[str, str]


@dataclass(frozen=True)
class View:
    """A window: its width in CSS pixels, and the colour scheme that the reader prefers."""

    width: int
    scheme: str

    def __str__(self) -> str:
        return f"{self.width} {self.scheme}"


#: Wide and phone, light and dark.
VIEWS = tuple(View(width, scheme) for width in (1280, 320) for scheme in ("light", "dark"))


@dataclass(frozen=True)
class Finding:
    """One thing that a checker of pages objects to."""

    rule: str
    message: str


@dataclass(frozen=True)
class Visit:
    """What a browser found on one page in one view.

    Attributes
    ----------
    elements : list of str
        Tag and attribute names of every element, in document order.
    dialogs, requests, complaints : list of str
        Dialogs opened, addresses asked for beside the page itself and ``data:``, lines of the console.
    overflow : int
        CSS pixels by which the page is wider than the window.
    background : str
        Computed colour of the body.
    violations, incomplete : list of dict
        Of axe-core: rule, target, html, reason.
    passes : list of str
        Rules of axe-core that had something to look at and were content with it.
    """

    elements: list[str] = field(repr=False)
    dialogs: list[str]
    requests: list[str]
    complaints: list[str]
    overflow: int
    background: str
    violations: list[dict[str, str]]
    incomplete: list[dict[str, str]]
    passes: list[str] = field(repr=False)


def run_vera(java: str, jar: Path, jobs: Iterable[tuple[str, Path]]) -> dict[tuple[str, Path], Verdict]:
    """Validate (profile, file) pairs with veraPDF; profiles are ``ua1`` and ``3a``."""
    told = "".join(f"{profile}\t{path}\n" for profile, path in jobs)
    done = _run([java, "-XX:+UseSerialGC", "-cp", jar, HERE / "VeraCheck.java"], told, (0, 1))
    found = {}
    for line in map(json.loads, done.splitlines()):
        failures = {f["rule"]: f"{f['message']} at {f['where']}" for f in line["failures"]}
        key = (line["profile"], Path(line["file"]))
        found[key] = Verdict(line["passed"], line["rules"], line["checks"], failures)
    return found


def run_browser(
    node: str, chromium: str, pages: Mapping[str, Path], views: Sequence[View] = VIEWS, axe: bool = True
) -> dict[str, dict[View, Visit]]:
    """Open each page in each view; with `axe`, judge it there."""
    told = {
        "chromium": chromium,
        "axe": axe,
        "pages": [{"name": name, "file": str(path)} for name, path in pages.items()],
        "views": [{"width": view.width, "scheme": view.scheme} for view in views],
    }
    found: dict[str, dict[View, Visit]] = {name: {} for name in pages}
    for line in map(json.loads, _run([node, HERE / "browse.js"], json.dumps(told)).splitlines()):
        name, view = line.pop("name"), View(line.pop("width"), line.pop("scheme"))
        found[name][view] = Visit(**({"violations": [], "incomplete": [], "passes": []} | line))
    return found


def run_vnu(java: str, pages: Mapping[str, Path]) -> dict[str, list[Finding]]:
    """Errors of the Nu Html Checker by page."""
    jar = MODULES / "vnu-jar" / "build" / "dist" / "vnu.jar"
    command = [java, "-Xss2m", "-XX:+UseSerialGC", "-jar", jar, "--format", "json", "--errors-only", "--stdout"]
    found: dict[str, list[Finding]] = {name: [] for name in pages}
    names = {path.as_uri(): name for name, path in pages.items()}
    said = _run([*command, "--exit-zero-always", *pages.values()])
    for message in json.loads(said)["messages"]:
        address = str(message.get("url", "")).replace("file:/", "file:///", 1).replace("file://///", "file:///", 1)
        found[names[address]].append(Finding(message["type"], message["message"]))
    return found


def run_html_validate(node: str, pages: Mapping[str, Path]) -> dict[str, list[Finding]]:
    """Errors and warnings of html-validate by page, by the rules of ``htmlvalidate.json``."""
    program = MODULES / ".bin" / "html-validate"
    command = [node, program, "--config", HERE / "htmlvalidate.json", "--formatter", "json", *pages.values()]
    found: dict[str, list[Finding]] = {name: [] for name in pages}
    names = {str(path): name for name, path in pages.items()}
    for page in json.loads(_run(command, allowed=(0, 1))):
        found[names[page["filePath"]]] += [
            Finding(m["ruleId"], f"line {m['line']}: {m['message']}") for m in page["messages"]
        ]
    return found


@dataclass(frozen=True)
class Support:
    """What caniemail says that some mail programs do not show, or only in part."""

    severity: str
    title: str
    clients: list[str]
    notes: list[str] = field(repr=False)


def run_caniemail(node: str, pages: Mapping[str, Path], clients: Sequence[str]) -> dict[str, list[Support]]:
    """Errors and warnings by page, for programs given by patterns such as ``gmail.*``."""
    told = {"clients": list(clients), "pages": [{"name": name, "file": str(path)} for name, path in pages.items()]}
    said = _run([node, HERE / "cie.mjs"], json.dumps(told))
    return {
        line["name"]: [Support(**found) for found in line["findings"]] for line in map(json.loads, said.splitlines())
    }


def _run(command: Sequence[Any], told: str = "", allowed: tuple[int, ...] = (0,)) -> str:
    """Standard output of a program; an error with what it said where it ends in another way than allowed."""
    with TemporaryFile(
        "w+", encoding="utf-8"
    ) as out:  # a program of Node that ends at once loses what a pipe does not hold
        done = subprocess.run(
            [str(part) for part in command], input=told, stdout=out, stderr=subprocess.PIPE, encoding="utf-8", timeout=PATIENCE,
            check=False,
        )  # fmt: skip
        out.seek(0)
        said = out.read()
    if done.returncode not in allowed:
        raise RuntimeError(
            f"{Path(command[0]).name} ended with {done.returncode}\n{said[-2000:]}\n{done.stderr[-4000:]}"
        )
    return said
