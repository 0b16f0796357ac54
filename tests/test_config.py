"""``reportgen.toml``: defaults, every section, and errors that name the remedy."""

from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from reportgen.config import Config, load_config
from reportgen.errors import ConfigError

FULL = """
[input]
id_type = "text"
encoding = "latin-1"
delimiter = ";"
timezone = "Europe/Berlin"
time_unit = "ms"
timestamp_format = "%d.%m.%Y"
earliest = 2001-02-03
max_ratio = 100
max_cell = 5000
max_rows = 1000

[events]
default_type = "wish"
columns = {user_id = "customer"}
types = {BUY = "purchase"}
values = {wish = 0.7, view = 1}
returns = {negative_quantity = false, order_id_prefix = "C", low_rating = 1}

[[events.exclude]]
reason = "fees"
column = "stock"
values = ["POST"]

[[events.exclude]]
reason = "no price"
column = "price"
at_most = 0

[items]
on_duplicate = "most_frequent"
tags_separator = "|"
columns = {item_id = "stock"}

[[items.exclude]]
reason = "fees"
column = "stock"
pattern = "POST|M"

[users]
segments = ["club"]
columns = {user_id = "customer"}

[weights]
columns = {weight = "attention"}

[recommendations]
columns = {item_id = "sku"}

[ablation]
columns = {removed_item_id = "without"}

[features]
style = "category"
colours = {kind = "tags", column = "colour", label = {en = "colour", "zh-CN" = "颜色"}}

[privacy]
sensitive = "exclude"
support_floor = 10
show_name = false
rules = {category = ["Health"], title_pattern = "(?i)test", source = ["gift"]}
fields = {page = ["price"], record = ["title"]}

[operator]
name = "Shop"
purpose = "To show things."
contact = "help@shop.test"
address = "Street 1"
retention = "One year"
links = {change = "https://shop.test/settings", complaint = "mailto:dpo@shop.test"}

[look]
accent = "#1A2b3c"
font = "Noto Sans"
footer = "Thank you"
logo = "logo.svg"
logo_alt = "Example Shop"
paper = "Letter"

[mail]
from_address = "hello@shop.test"
from_name = "Hello"
reply_to = "help@shop.test"
postal_address = "Street 2"
list_id = "why.shop.test"
unsubscribe = "https://shop.test/stop/{token}"
unsubscribe_address = "stop@shop.test"
merge_unsubscribe = "*|UNSUB|*"
subject = {en = "Your list", zh-CN = "您的列表"}

[report]
n = 3
reasons = 4
history_cap = 50
locale = "zh-CN"
title_length = 80
synthetic = true

[audit]
law_packs = ["eu-gdpr", "own.toml"]
not_applicable = {"eu-gdpr/portability" = "a test"}
documents = {impact_assessment = "file 7"}
"""


def test_every_setting_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "reportgen.toml"
    path.write_text(FULL, encoding="utf-8")
    config = load_config(path)
    plain, usual = config.to_dict(), Config().to_dict()
    unchanged = [(s, k) for s in usual for k in usual[s] if plain[s][k] == usual[s][k]]
    assert unchanged == []
    assert config.events.exclude[1].at_most == 0.0
    assert config.features["style"].kind == "category"
    assert config.features["colours"].label["zh-CN"] == "颜色"
    assert config.events.value_of()["view"] == 1.0
    assert config.input.earliest == date(2001, 2, 3)


def test_defaults_are_what_an_empty_file_gives(tmp_path: Path) -> None:
    path = tmp_path / "empty.toml"
    path.write_text("")
    config = load_config(path)
    assert config == Config()
    assert config.privacy.sensitive == "fold"
    assert (config.privacy.support_floor, config.privacy.show_name) == (5, True)
    assert (config.report.n, config.report.history_cap, config.report.locale) == (5, 200, "en")
    assert config.events.value_of() == {
        "purchase": 1.0, "cart": 0.5, "view": 0.2, "rating": 1.0, "return": -1.0, "hide": -1.0,
    }  # fmt: skip
    assert config.input.earliest == date(1990, 1, 1)


def test_the_plain_form_is_canonical_json() -> None:
    one = Config.from_dict({"events": {"values": {"b": 1.0, "a": 2.0}}, "report": {"n": 3}})
    other = Config.from_dict({"report": {"n": 3}, "events": {"values": {"a": 2, "b": 1}}})
    assert json.dumps(one.to_dict()) == json.dumps(other.to_dict())
    assert json.dumps(one.to_dict()) != json.dumps(Config().to_dict())
    assert one.to_dict()["input"]["earliest"] == "1990-01-01"


def test_settings_are_frozen_and_can_be_sent_to_a_worker() -> None:
    config = Config()
    with pytest.raises(FrozenInstanceError):
        config.report.n = 6  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(config)) == config


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        ({"evnts": {}}, ('unknown key "evnts"', 'did you mean "events"?')),
        ({"input": {"encodings": "x"}}, ("[input]", '"encodings"', '"encoding"')),
        ({"events": {"columns": {"usr_id": "x"}}}, ("[events] columns", '"usr_id"', '"user_id"')),
        ({"items": {"columns": {"Title": "x"}}}, ("[items] columns", 'did you mean "title"')),
        ({"operator": {"links": {"chnge": "https://x.test"}}}, ("[operator.links]", '"chnge"', '"change"')),
        ({"events": {"returns": {"low": 1}}}, ("[events.returns]", '"low"', '"low_rating"')),
        ({"report": 5}, ("[report]", "must be a table", "5")),
        ({"report": {"n": "5"}}, ("report.n = '5'", "a whole number")),
        ({"report": {"n": True}}, ("report.n = True", "a whole number")),
        ({"report": {"n": 2.5}}, ("report.n = 2.5", "a whole number")),
        ({"report": {"n": 0}}, ("[report] n", "too small", "1")),
        ({"report": {"synthetic": 1}}, ("report.synthetic = 1", "true or false")),
        ({"report": {"locale": "de"}}, ("[report] locale: 'de'", "use one of en, zh-CN")),
        ({"input": {"max_ratio": float("nan")}}, ("input.max_ratio", "a finite number")),
        ({"input": {"max_ratio": float("inf")}}, ("input.max_ratio", "a finite number")),
        ({"input": {"encoding": "utf8-ish"}}, ("utf8-ish", "text encoding")),
        ({"input": {"encoding": "base64"}}, ("base64", "text encoding")),
        ({"input": {"delimiter": ";;"}}, ("';;'", "one character")),
        ({"input": {"delimiter": '"'}}, ("one character other than a quote",)),
        ({"input": {"timezone": "Mars/Base"}}, ("Mars/Base", "IANA name")),
        ({"input": {"timezone": "../etc/passwd"}}, ("IANA name",)),
        ({"input": {"time_unit": "ns"}}, ("input.time_unit = 'ns'", '"s", "ms", "us"')),
        ({"input": {"earliest": "1990"}}, ("input.earliest = '1990'", "a date like")),
        ({"events": {"default_type": "buy"}}, ('"buy"', "[events.values]")),
        ({"events": {"types": {"B": "purchse"}}}, ('"purchse"', 'did you mean "purchase"')),
        ({"events": {"values": {"purchase": "1"}}}, ("events.values.purchase = '1'", "a finite number")),
        ({"events": {"exclude": {"reason": "x"}}}, ("events.exclude", "a list")),
        ({"events": {"exclude": [{"reason": "x"}]}}, ("[events.exclude]", 'needs the key "column"')),
        ({"events": {"exclude": [{"reason": "x", "column": "c"}]}}, ('"x"', "exactly one of values, pattern, at_most")),
        (
            {"items": {"exclude": [{"reason": "x", "column": "c", "pattern": "a", "at_most": 0}]}},
            ("exactly one of values, pattern, at_most",),
        ),
        ({"events": {"exclude": [{"reason": "x", "column": "c", "pattern": "("}]}}, ("regular expression",)),
        ({"items": {"on_duplicate": "merge"}}, ("items.on_duplicate = 'merge'", '"most_frequent"')),
        ({"users": {"segments": "club"}}, ("users.segments = 'club'", "a list")),
        ({"features": {"style": "categry"}}, ("features.style.kind = 'categry'", '"category"')),
        ({"features": {"style": {"label": {}}}}, ("[features.style]", 'needs the key "kind"')),
        ({"features": {"title": "text"}}, ("[features] title", "another name")),
        ({"features": {"price": "category"}}, ("[features] price", '"price"')),
        ({"features": ["style"]}, ("features = ['style']", "a table")),
        ({"privacy": {"sensitive": "hide"}}, ("privacy.sensitive = 'hide'", '"fold"')),
        ({"privacy": {"rules": {"title_pattern": "["}}}, ("[privacy.rules] title_pattern", "regular expression")),
        (
            {"operator": {"links": {"object": "javascript:alert(1)"}}},
            ("[operator.links] object", "https://... or mailto:"),
        ),
        ({"operator": {"links": {"object": "http://x.test"}}}, ("https://... or mailto:",)),
        ({"look": {"accent": "red"}}, ("'red'", "#1a2b3c")),
        ({"look": {"logo": "logo.exe"}}, ("'logo.exe'", "png, svg or jpg")),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(raw: dict[str, Any], parts: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_dict(raw, "shop.toml")
    message = str(caught.value)
    assert message.startswith("shop.toml: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("content", "message"), [(b"[input", "not valid TOML"), (b"x = '\xff'", "not valid TOML"), (None, "cannot be read")]
)
def test_a_file_that_is_no_settings(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "shop.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"shop.toml: .*{message}"):
        load_config(path)


def test_a_feature_may_use_a_usual_column() -> None:
    config = Config.from_dict({"features": {"category": "category", "price": "price", "tags": "tags", "brand": "text"}})
    assert {name: feature.kind for name, feature in config.features.items()} == {
        "category": "category", "price": "price", "tags": "tags", "brand": "text",
    }  # fmt: skip
