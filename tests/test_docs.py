"""What the documents say is tried: settings parse, the README's code runs, links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from reportgen import Dataset, make_shop
from reportgen.config import Config, load_config

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


def _block(page: Path, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    assert found, f"{page.name} has no {language} block"
    return found[1]


def test_the_settings_page_is_a_valid_configuration() -> None:
    config = Config.from_dict(tomllib.loads(_block(ROOT / "docs" / "configuration.md", "toml")))
    assert config.report == Config().report, "the defaults on the page are not the defaults of the code"
    assert config.features["material"].label["zh-CN"] == "材质"


def test_the_settings_page_names_every_section() -> None:
    raw = tomllib.loads(_block(ROOT / "docs" / "configuration.md", "toml"))
    assert set(raw) == set(Config().to_dict())


def test_the_example_for_an_untouched_export_is_valid() -> None:
    assert load_config(ROOT / "docs" / "examples" / "uci-raw.toml").items.on_duplicate == "most_frequent"


def test_the_code_in_the_readme_runs() -> None:
    shop = make_shop(n_users=80, n_items=120)
    code = (
        _block(ROOT / "README.md", "python")
        .replace('"u1"', repr(shop.users["user_id"][0]))
        .replace('"u2"', repr(shop.users["user_id"][1]))
    )
    scope: dict[str, object] = {"events": shop.events, "items": shop.items}
    exec(compile(code, "README.md", "exec"), scope)
    assert isinstance(scope["data"], Dataset)
    assert str(scope["html"]).startswith("<!DOCTYPE html>")
    assert bytes(scope["pdf"]).startswith(b"%PDF-")  # type: ignore[arg-type]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_documents_resolve(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_explain_can_be_called_whatever_was_imported_before() -> None:
    for first in ("", "import reportgen.explain.why; ", "from reportgen import explain_many; "):
        code = f"{first}from reportgen import explain; import reportgen.explain.privacy; assert callable(explain); explain()"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "missing 3 required positional arguments" in done.stderr
