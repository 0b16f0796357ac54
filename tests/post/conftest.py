"""Runs with mails, made by the command line as a CRM team makes them, and a way to say more to it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mail_shop import CONFIG, KEY, ODD, USERS

from reportgen.cli import main
from reportgen.data.shop import make_shop

Say = Callable[..., int]


@pytest.fixture(scope="session", name="shop")
def _shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables and settings of a shop in which some people have no good address."""
    folder = tmp_path_factory.mktemp("mail-shop")
    shop = make_shop(USERS)
    users = shop.users.assign(opted_out=False, email=[f"reader{at}@example.org" for at in range(USERS)])
    users["locale"] = ["zh-CN" if at % 3 == 0 else "en" for at in range(USERS)]
    users.loc[list(ODD), "email"] = list(ODD.values())
    users.loc[7, "name"] = "Eve\r\nBcc: victim@evil.test"
    users.loc[8, "name"] = "=?utf-8?q?=0D=0ABcc=3A_v=40evil.test?="
    users.loc[9, "name"] = "Zoë 👩‍👩‍👧 王"
    users.loc[10, "opted_out"] = True
    items = shop.items.assign(tags=[",".join(tags) for tags in shop.items["tags"]])
    for name, frame in {"events": shop.events, "items": items, "users": users}.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    (folder / "reportgen.toml").write_text(CONFIG, encoding="utf-8")
    return folder


@pytest.fixture(name="say")
def _say(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """``say("send", run, ...)``: the exit code of a command line; ``build`` gets the shop's tables."""
    monkeypatch.setenv("REPORTGEN_KEY", KEY)
    for name in ("SOURCE_DATE_EPOCH", "REPORTGEN_SMTP_USER", "REPORTGEN_SMTP_PASSWORD"):
        monkeypatch.delenv(name, raising=False)

    def say(verb: str, *words: object) -> int:
        tables = [part for name in ("events", "items", "users") for part in (f"--{name}", str(shop / f"{name}.csv"))]
        more = [*tables, "--config", str(shop / "reportgen.toml")] if verb == "build" else []
        return main([verb, *more, *map(str, words)])

    return say


@pytest.fixture(scope="session", name="built")
def _built(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with both kinds of mail beside pages; nobody may change it."""
    out = tmp_path_factory.mktemp("mail-run") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPORTGEN_KEY", KEY)
        patch.delenv("SOURCE_DATE_EPOCH", raising=False)
        tables = [part for name in ("events", "items", "users") for part in (f"--{name}", str(shop / f"{name}.csv"))]
        words = ["build", *tables, "--config", str(shop / "reportgen.toml"), "--format", "html,json,eml,crm"]
        assert main([*words, "--out", str(out), "--quiet"]) == 3
    return out
