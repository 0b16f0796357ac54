"""``diff_runs``: what changed between the reasons that two runs gave, user by user and over all, and what may be why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import fsum
from pathlib import Path
from typing import Any

import orjson

from reportgen.audit.compare import find_causes
from reportgen.audit.place import read_manifest
from reportgen.errors import ConfigError, InputError, OutputError
from reportgen.output.durable import open_inside
from reportgen.output.entries import MADE, PATH, read_entry
from reportgen.output.packs import read_listing, read_report

#: Shares that differ by less are the same.
_SAME = 5e-7
_WORD = "json"


@dataclass
class Said:
    """What one record says.

    Attributes
    ----------
    items : list of str
        Products in their order.
    shares : dict of str to float
        Of each kind of evidence in their points; of another model, of each feature in its weights where its table splits them.
    weights : dict of (str, str) to float
        Of another model, the share of each history item in the weight of each product; empty for our own.
    """

    items: list[str]
    shares: dict[str, float]
    weights: dict[tuple[str, str], float] = field(default_factory=dict)


@dataclass
class Diff:
    """What `diff_runs` found.

    Attributes
    ----------
    users : list of dict
        Users in both runs whose record changed: ``user``, ``new`` and ``gone`` products, ``moved`` ones (rank before and after),
        ``shares`` (kind of evidence -> change), ``weights`` (of another model: products with other weights).
    summary : dict
    causes : list of dict
    """

    users: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    causes: list[dict[str, str]] = field(default_factory=list)


def diff_runs(first: Path, second: Path) -> Diff:
    """Compare two runs that were made with the same secret.

    Raises
    ------
    ConfigError
        The runs have different secrets, so that nobody is the same in both.
    InputError
        A run holds no records (format ``json``).
    OutputError
        A run is damaged.
    """
    before, after = read_manifest(first), read_manifest(second)
    if before["key_id"] != after["key_id"]:
        raise ConfigError(f"{first} and {second} were made with different keys, so no user can be found in both")
    old, new = _records(first, before), _records(second, after)
    diff = Diff(causes=[vars(cause) for cause in find_causes(before, after)])
    kinds: defaultdict[str, list[float]] = defaultdict(list)
    overlaps, counts = [], Counter[str]()
    for key in sorted(old.keys() & new.keys()):
        found = _changed(old[key], new[key])
        union = set(old[key].items) | set(new[key].items)
        overlaps.append(len(set(old[key].items) & set(new[key].items)) / len(union) if union else 1.0)
        for kind in old[key].shares.keys() | new[key].shares.keys():
            kinds[kind].append(new[key].shares.get(kind, 0.0) - old[key].shares.get(kind, 0.0))
        counts["list_changed"] += old[key].items != new[key].items
        counts["reasons_changed"] += bool(found.get("shares") or found.get("weights"))
        if found:
            diff.users.append({"user": key} | found)
    both = len(overlaps)
    diff.summary = {
        "runs": [before["run_id"], after["run_id"]],
        "users_in_both": both,
        "only_in_first": len(old) - both,
        "only_in_second": len(new) - both,
        "same": both - len(diff.users),
        **{name: counts[name] for name in ("list_changed", "reasons_changed")},
        "mean_overlap_of_lists": round(fsum(overlaps) / both, 6) if both else None,
        "mean_change_of_share": {kind: round(fsum(kinds[kind]) / both, 6) for kind in sorted(kinds)},
    }
    return diff


def _changed(old: Said, new: Said) -> dict[str, Any]:
    """What changed for one user; empty when nothing did."""
    ranks, now = ({item: rank for rank, item in enumerate(said.items, 1)} for said in (old, new))
    shares = {
        kind: round(change, 6)
        for kind in sorted(old.shares.keys() | new.shares.keys())
        if abs(change := new.shares.get(kind, 0.0) - old.shares.get(kind, 0.0)) > _SAME
    }
    moved = {item: [ranks[item], now[item]] for item in new.items if item in ranks and ranks[item] != now[item]}
    found: dict[str, Any] = {
        "new": [item for item in new.items if item not in ranks],
        "gone": [item for item in old.items if item not in now],
        "moved": moved,
        "shares": shares,
        "weights": _other_weights(old, new),
    }
    return {name: value for name, value in found.items() if value}


def _other_weights(old: Said, new: Said) -> list[str]:
    """Products of both lists on whose reasons another model's weight lies otherwise."""
    both = set(old.items) & set(new.items)
    pairs = {pair for pair in old.weights.keys() | new.weights.keys() if pair[0] in both}
    gaps = {pair: abs(new.weights.get(pair, 0.0) - old.weights.get(pair, 0.0)) for pair in pairs}
    return sorted({item for (item, _), gap in gaps.items() if gap > _SAME})


def _records(run: Path, manifest: dict[str, Any]) -> dict[str, Said]:
    found = {key: _said(data, key) for key, data in _read_all(run, manifest)}
    if not found:
        raise InputError(f"{run} holds no records; runs are compared by them: build with --format html,json")
    return found


def _read_all(run: Path, manifest: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    for output in manifest["outputs"]:
        path = output["path"]
        if (match := PATH.fullmatch(path)) is not None and match["format"] == _WORD:
            try:
                with open_inside(run, path) as stream:
                    yield match["key"], stream.read()
            except OSError as error:
                raise OutputError(f"{run}: {path} cannot be read ({error.strerror}); verify the run first") from error
        elif path.startswith("packs/") and path[6:-4].isdigit():
            for entry in map(read_entry, read_listing(run, int(path[6:-4]))):
                if entry.status == MADE and entry.format == _WORD:
                    yield entry.key, read_report(run, entry)


def _said(data: bytes, key: str) -> Said:
    try:
        products = orjson.loads(data)["recommendations"]
        points, weights = defaultdict[str, float](float), dict[tuple[str, str], float]()
        names = [str(product.get("item_id") or product.get("title")) for product in products]
        for name, product in zip(names, products, strict=True):
            for kind, value in product["heads"].items() if "heads" in product else _features(product):
                points[kind] += abs(value)
            if "heads" not in product:
                weights |= {(name, _place(reason)): reason["share"] for reason in product["reasons"]}
        total = fsum(points.values())
        return Said(names, {kind: value / total for kind, value in points.items()} if total else {}, weights)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OutputError(f"the record of {key} is damaged ({error}); verify the run first") from error


def _features(product: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The weights of another model by feature."""
    for reason in product["reasons"]:
        yield from reason.get("by_feature", {}).items()


def _place(reason: dict[str, Any]) -> str:
    """What tells a reason from the others of a product: the item, or the group that it sums."""
    return str(reason.get("history_item_id") or reason.get("title") or ("folded" if "folded" in reason else "others"))
