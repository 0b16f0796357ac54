"""Runs of a small shop, made once: sealed ones as single files and packs, signed, the second chained to the first; ones to report on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from counted import AUDITED, CONFIG, run
from PIL import Image
from sealed import SECRET, call, make_inputs

from reportgen.config import Config

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
def few(shop: Path, inputs: list[str]) -> dict[str, Path]:
    """Runs of eight users by kind, for tests that copy one again and again. Nobody may change them."""
    usual = ("--limit", "8", "--retention-until", "2026-08-01", "--quiet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPORTGEN_KEY", SECRET)
        assert call("build", *inputs, "--out", shop / "few", *usual) == 0
        assert call("build", *inputs, "--out", shop / "few-packs", *usual, "--packs", "--shard-size", "5") == 0
    return {"files": shop / "few", "packs": shop / "few-packs"}


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


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A run of `AUDITED` by name, made when it is first asked for. Nobody may change them."""
    folder = tmp_path_factory.mktemp("audited")
    return lru_cache(lambda name: run(folder / name, **AUDITED[name]))


@pytest.fixture(scope="session")
def with_logo(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A run of one user whose operator has a logo, ``svg`` or ``png``; made when it is first asked for. Nobody may change it."""
    folder = tmp_path_factory.mktemp("logo")
    (folder / "sign.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 10"><path d="M0 0h40v10z" fill="#204060"/></svg>',
        "utf-8",
    )
    Image.new("RGB", (80, 20), "#204060").save(folder / "sign.png")

    def made(kind: str) -> Path:
        look = {"logo": str(folder / f"sign.{kind}"), "logo_alt": "Sign of <the> shop"}
        return run(folder / kind, segments=False, limit=1, config=Config.from_dict(CONFIG | {"look": look}))

    return lru_cache(made)
