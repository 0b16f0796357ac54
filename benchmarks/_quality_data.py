"""Public data for the quality benchmarks, read into a `Dataset`. Nothing of it is kept in the repository.

MovieLens 100k (Harper and Konstan, TiiS 2015) is taken out of the wheel of a Python package that carries it as an example. Its
licence allows use and not redistribution, so it is fetched when it is needed and stays in a cache folder.
Online Retail (Chen, 2015, doi:10.24432/C5BW33) is read from a folder that the caller has: `docs/real-input.md`.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from reportgen import Dataset, make_shop

SHARED = Path(os.environ.get("REPORTGEN_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
PACKAGE = "recbole==1.2.1"
WHEEL = "recbole-1.2.1-py3-none-any.whl"
SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
_INSIDE = "recbole/dataset_example/ml-100k/ml-100k"


class NoDataError(Exception):
    """The data are not here and cannot be fetched; the text says what to do."""


def cached_wheel() -> Path:
    """Where a downloaded wheel lies, or would lie."""
    return Path(tempfile.gettempdir()) / "reportgen-bench" / WHEEL


def find_wheel(given: Path | None) -> Path:
    """The wheel that holds MovieLens 100k: the one given, the one in the cache, or a fresh download.

    Raises
    ------
    NoDataError
        No network, or a file that is not the published one.
    """
    path = given or cached_wheel()
    if given is None and not path.is_file():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", PACKAGE, "--dest", str(path.parent)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            raise NoDataError(f"pip cannot download {PACKAGE}; say --wheel PATH")
    if not path.is_file():
        raise NoDataError(f"there is no file {path.name}; say --wheel PATH")
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise NoDataError(f"{path.name} is not the published {PACKAGE}: its SHA-256 differs")
    return path


def movielens(wheel: Path) -> Dataset:
    """MovieLens 100k: 943 users, 1,682 items, 100,000 events.

    Every rating counts as taking the film, a low one too: the question is what people go on to watch, as in the usual
    implicit-feedback protocol. Each event is an order of its own. The order is the timestamp, and the order of the
    file within one second. The catalogue has the title, the genres as tags and the release year as category.
    """
    with zipfile.ZipFile(wheel) as archive:
        events = _atomic(archive, "inter", ["user_id", "item_id", "rating", "timestamp"])
        items = _atomic(archive, "item", ["item_id", "title", "category", "tags"])
    events = events.assign(when=events["timestamp"].astype(float)).sort_values("when", kind="stable")
    return Dataset.from_frames(
        pd.DataFrame(
            {
                "user_id": events["user_id"],
                "item_id": events["item_id"],
                "timestamp": pd.to_datetime(events["when"], unit="s").astype("datetime64[us]"),
                "event_type": "purchase",
                "order_id": [f"{place:06d}" for place in range(len(events))],
            }
        ),
        items.assign(tags=items["tags"].str.split(" ")),
    )


def _atomic(archive: zipfile.ZipFile, kind: str, names: list[str]) -> pd.DataFrame:
    """One tab-separated table of the wheel, all text."""
    raw = io.BytesIO(archive.read(f"{_INSIDE}.{kind}"))
    return pd.read_csv(raw, sep="\t", header=0, names=names, dtype=str, keep_default_na=False, quoting=3)


def online_retail(shared: Path) -> Dataset:
    """Online Retail: purchases and returns of 4,362 users by invoice, 3,676 items.

    Raises
    ------
    NoDataError
        The folder is not there.
    """
    folder = shared / "uci-online-retail"
    if not (folder / "interactions.parquet").is_file():
        raise NoDataError(f"there is no {folder.name}/interactions.parquet; say --shared DIR")
    return Dataset.from_files(folder / "interactions.parquet", folder / "items.parquet")


def synthetic(n_users: int, n_items: int) -> Dataset:
    """The made-up shop of the package, purchases and all else."""
    shop = make_shop(n_users, n_items, random_state=0)
    return Dataset.from_frames(shop.events, shop.items, shop.users)


def keep_users(data: Dataset, n_users: int, seed: int = 0) -> Dataset:
    """A random sample of users with their whole histories; the items stay."""
    if n_users >= data.user_ids.size:
        return data
    chosen = np.sort(np.random.default_rng(seed).choice(data.user_ids.size, n_users, replace=False))
    return take_users(data, chosen)


def take_users(data: Dataset, chosen: np.ndarray) -> Dataset:
    """The same data with the users of these codes (sorted) alone."""
    length = np.diff(data.indptr)[chosen]
    indptr = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    event = np.arange(indptr[-1]) - np.repeat(indptr[:-1], length) + np.repeat(data.indptr[chosen], length)
    parts = {name: getattr(data, name)[event] for name in ("items", "timestamps", "types", "values", "orders")}
    users = data.users.iloc[chosen].reset_index(drop=True)
    return replace(data, user_ids=data.user_ids[chosen], indptr=indptr, users=users, **parts)


def without_order(data: Dataset, seed: int = 0) -> Dataset:
    """The same events of each user in a random order, each an order of its own: when something happened is forgotten."""
    user = np.repeat(np.arange(data.user_ids.size), np.diff(data.indptr))
    mixed = np.lexsort((np.random.default_rng(seed).random(user.size), user))
    orders = (np.arange(user.size) - data.indptr[user]).astype(data.orders.dtype)
    parts = {name: getattr(data, name)[mixed] for name in ("items", "types", "values")}
    return replace(data, orders=orders, **parts)
