"""Helpers for tests of sealed runs: make, change, look."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from reportgen.audit.seal import canonical
from reportgen.audit.verify import verify_run
from reportgen.cli import main
from reportgen.data.shop import make_shop

SECRET = "0123456789abcdef0123456789abcdef"
KINDS = ("files", "packs")


def make_inputs(folder: Path, users: int) -> list[str]:
    """Write the tables of a made-up shop; return the words that name them."""
    shop, words = make_shop(users), []
    for name in ("events", "items", "users"):
        getattr(shop, name).to_csv(folder / f"{name}.csv", index=False)
        words += [f"--{name}", str(folder / f"{name}.csv")]
    return words


def call(*words: object) -> int:
    return main([str(word) for word in words])


def manifest_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "manifest.json").read_bytes())
    return found


def edit(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest as a forger would: in its own form."""
    plain = manifest_of(run)
    change(plain)
    (run / "manifest.json").write_bytes(canonical(plain))


def relist(run: Path, path: str) -> None:
    """Make the manifest list a file as it is now."""
    data = (run / path).read_bytes()

    def change(plain: dict[str, Any]) -> None:
        plain["outputs"] = [out for out in plain["outputs"] if out["path"] != path]
        kinds = {out["path"].rpartition(".")[2]: out["media_type"] for out in manifest_of(run)["outputs"]}
        kind = kinds.get(path.rpartition(".")[2], "application/x-ndjson")
        line = {"path": path, "sha256": sha256(data).hexdigest(), "bytes": len(data), "media_type": kind}
        plain["outputs"] = sorted([*plain["outputs"], line], key=lambda out: str(out["path"]))

    edit(run, change)


def found(run: Path, **given: Any) -> str:
    """All findings as one text."""
    return "\n".join(map(str, verify_run(run, **given).findings))


def reports_of(run: Path, word: str = "json") -> list[str]:
    return sorted(path.relative_to(run).as_posix() for path in run.glob(f"reports/*/*.{word}"))


def keys_of(run: Path) -> list[str]:
    """Users with a leaf."""
    from reportgen.audit.leaves import read_leaves, text_key

    return [text_key(raw) for raw in read_leaves(run, 10**6).keys]
