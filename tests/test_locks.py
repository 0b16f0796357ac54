"""The lock files pin what pip will ask for."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"


def wanted_with_extras() -> set[tuple[str, str]]:
    """Packages that an installed package wants with an extra: (name, extra)."""
    found = (
        re.match(r"([\w.-]+)\[([\w,-]+)\](?!.*extra ==)", line)
        for dist in distributions()
        for line in dist.requires or []
    )
    return {(match[1].lower(), match[2]) for match in found if match}


@pytest.mark.parametrize("file", ["lock.txt", "dev.txt"])
def test_a_package_that_is_wanted_with_an_extra_is_pinned_with_it(file: str) -> None:
    """Where it is not, pip takes the newest release for the extra, finds no hash, and stops."""
    text = (REQUIREMENTS / file).read_text("utf-8")
    assert ("fonttools", "woff") in wanted_with_extras()
    for name, extra in wanted_with_extras():
        if re.search(rf"^{re.escape(name)}\b", text, re.MULTILINE):
            assert re.search(rf"^{re.escape(name)}\[{re.escape(extra)}\]==", text, re.MULTILINE), (file, name, extra)


def test_the_libraries_of_the_extractors_are_pinned_beside_the_rest_and_not_in_it() -> None:
    """They would add half a gigabyte to every environment; PyTorch's pin is the one that the benchmarks ask for."""
    project = tomllib.loads((REQUIREMENTS.parent / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    models, torch, recbole, dev = (
        (REQUIREMENTS / f"{name}.txt").read_text("utf-8") for name in ("models", "torch", "recbole", "dev")
    )
    pinned = set(re.findall(r"^([\w.-]+)==", models + dev, re.MULTILINE))
    assert {re.split("[>=]", wanted)[0] for wanted in extras["models"]} - {"torch"} <= pinned
    assert re.findall(r"^torch==\S+(?= --hash=sha256:[0-9a-f]{64}$)", torch, re.MULTILINE) == extras["sasrec"]
    assert extras["sasrec"][0] in extras["models"]
    assert len(re.findall(r"^recbole==\S+ --hash=sha256:[0-9a-f]{64}$", recbole, re.MULTILINE)) == 1
    assert not re.search(r"^(torch|keras|implicit|nvidia-\S*)==", dev, re.MULTILINE)
    assert not set(re.findall(r"^\S+==.*", models, re.MULTILINE)) & set(re.findall(r"^\S+==.*", dev, re.MULTILINE))


def test_no_lock_file_names_an_address() -> None:
    for path in REQUIREMENTS.glob("*.txt"):
        assert not re.search(r"^--\w|://", path.read_text("utf-8"), re.MULTILINE), path.name


def test_the_lock_of_the_validators_names_hashes_and_no_place_to_take_them_from() -> None:
    folder = Path(__file__).resolve().parent / "validators"
    lock = json.loads((folder / "package-lock.json").read_text("utf-8"))
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert len(packages) > 50
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert package["integrity"].startswith("sha512-"), name
    wanted = json.loads((folder / "package.json").read_text("utf-8"))["devDependencies"]
    assert lock["packages"][""]["devDependencies"] == wanted
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
