"""Sealed runs of a small shop, made once: single files and packs, signed, the second chained to the first."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sealed import SECRET, call, make_inputs

USERS = 36


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret of all runs here, and no key to sign with but those that a test names."""
    monkeypatch.setenv("REPORTGEN_KEY", SECRET)
    monkeypatch.delenv("REPORTGEN_SIGNING_KEY", raising=False)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sealed")


@pytest.fixture(scope="session")
def inputs(shop: Path) -> list[str]:
    """Words that name the tables."""
    return make_inputs(shop, USERS)


@pytest.fixture(scope="session")
def sealed(shop: Path, inputs: list[str]) -> dict[str, Path]:
    """Two finished runs by kind, and the pair of keys. Nobody may change them."""
    private, public = (shop / "keys" / f"reportgen-signing.{end}" for end in ("key", "pub"))
    usual = ("--signing-key", private, "--retention-until", "2026-08-01", "--quiet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPORTGEN_KEY", SECRET)
        assert call("keygen", "--out", shop / "keys", "--quiet") == 0
        assert call("build", *inputs, "--out", shop / "files", *usual) == 0
        packs = ("--packs", "--shard-size", "20", "--previous", shop / "files")
        assert call("build", *inputs, "--out", shop / "packs", *usual, *packs) == 0
    return {"files": shop / "files", "packs": shop / "packs", "private": private, "public": public}
