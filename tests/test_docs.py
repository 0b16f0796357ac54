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
    ROOT / "README.zh-CN.md",
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


#: A block of code, fenced or indented.
_CODE = re.compile(r"^```\w*\n(.*?)^```|((?:^ {4}[^\n]*\n)+)", re.DOTALL | re.MULTILINE)


def _code(text: str) -> list[str]:
    """Code blocks, line by line, without the comments, which are translated."""
    lines = ["".join(found.groups("")) for found in _CODE.finditer(text)]
    return [re.sub(r"(?:^|\s)#.*", "", line).strip() for block in lines for line in block.splitlines()]


def _facts(text: str) -> tuple[list[str], list[str], list[str]]:
    """Figures, code words and links of the prose."""
    prose = _CODE.sub("", text)
    links = re.findall(r"\]\(([^)]+)\)", prose)
    words = [" ".join(word.split()) for word in re.findall(r"`([^`]+)`", prose)]
    figures = re.findall(r"\d(?:[\d.,]*\d)?", re.sub(r"`[^`]+`|\]\([^)]+\)|PDF/\S+|UTF-8", "", prose))
    return sorted(figures), sorted(words), sorted(links)


def test_the_chinese_readme_has_the_same_commands_and_figures() -> None:
    """`README.zh-CN.md` follows `README.md`: change both."""
    english, chinese = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh-CN.md"))
    assert len(_code(english)) >= 12
    assert _code(chinese) == _code(english)
    figures, words, links = _facts(english)
    more_figures, more_words, more_links = _facts(chinese)
    assert more_figures == figures
    assert not set(words) - set(more_words)
    assert set(more_links) - {"README.md", "docs/words.md"} == set(links) - {"README.zh-CN.md", "docs/words.md"}
    changed = _code(english.replace("--pdf-limit 50", "--pdf-limit 60"))
    assert changed != _code(chinese)  # control


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
