"""A reader for small tables written in the test itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reportgen.config import Config
from reportgen.data.dataset import Dataset

HEADER = "user_id,item_id,timestamp"
ITEMS = "item_id,title\nA,Lamp\nB,Chair\n"


class Reader:
    """Writes tables as files and reads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def __call__(
        self, events: str | bytes, *, items: str | bytes = ITEMS, users: str | None = None, name: str = "events.csv",
        config: dict[str, Any] | None = None, **more: Any,
    ) -> Dataset:  # fmt: skip
        files = [self.write(name, events), self.write("items.csv", items)]
        files += [self.write("users.csv", users)] if users is not None else []
        return Dataset.from_files(*files, config=Config.from_dict(config or {}), **more)

    def rows(self, *rows: str, header: str = HEADER, **more: Any) -> Dataset:
        """Read events given as rows without header."""
        return self("\n".join((header, *rows)) + "\n", **more)


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


@pytest.fixture(scope="session")
def bad_inputs(shared_data: Path) -> dict[str, dict[str, Any]]:
    """The shared list of hostile inputs by id."""
    path = shared_data.parent / "bad_inputs.json"
    if not path.exists():
        pytest.skip("no shared data: bad_inputs.json is not beside the folder of real data sets")
    return {case["id"]: case for case in json.loads(path.read_text(encoding="utf-8"))}


@pytest.fixture(scope="session")
def found() -> Callable[..., dict[str, int]]:
    """Counts by reason of one table."""

    def count(data: Dataset, table: str = "events") -> dict[str, int]:
        return {problem.reason: problem.count for problem in data.problems if problem.table == table}

    return count
