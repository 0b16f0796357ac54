"""The written form of a report's JSON: real and hostile reports keep to it, and whoever breaks it is caught."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crafted import craft, random_explanation, usual
from jsonschema import Draft202012Validator

from reportgen.config import Config
from reportgen.explain.explanation import Counterfactual, Explanation
from reportgen.report.build import Reader, build_report
from reportgen.report.document import Report, json_schema

SCHEMA = json_schema()
CHECK = Draft202012Validator(SCHEMA)
FOUND = (Counterfactual((0, 1), "proven", 1, 7, 5), Counterfactual((), "best found", 2, 2, 3), None)
HOSTILE = (
    "",
    "\u202egnp.exe",
    "<script>alert(1)</script>",
    '","recommendations":[',
    "%s%d%%",
    "\\",
    "\x00\x1f\x7f",
    "e\u0301" * 90,
)

CASES: dict[str, Callable[[], Explanation]] = {
    "random": lambda: random_explanation(1),
    "others and folded": lambda: random_explanation(3, k=4, j=60, hidden=[5]),
    "all folded": lambda: random_explanation(4, j=3, hidden=[0, 1, 2]),
    "counterfactuals": lambda: replace(random_explanation(5), counterfactuals=FOUND),
    "cold": lambda: craft(np.zeros((2, 0, 4))),
    "no product": lambda: craft(np.zeros((0, 3, 4))),
    "only against": lambda: craft([[[0, -0.2, 0, 0]], [[0, 0, 0, 0]]]),
    "tiny": lambda: craft([[[1e-17, 2e-5, 0, 0]], [[0, 3e-300, 0, 0]]], base=[1e-5, 0.0]),
    "big": lambda: craft([[[1e5, 2e4, 0, 0]], [[0, -3e3, 0, 1]]], base=[0.0, 2e4]),
    "few takers": lambda: craft([[[1.0, 0, 0, 0]]], popularity=2),
    "hostile": lambda: craft([[[0.3, 0.1, 0, 0]] * len(HOSTILE)] * 2, titles=HOSTILE, picks=HOSTILE[1:3], kinds=HOSTILE),
}  # fmt: skip
CONFIGS = {
    "usual": Config(),
    "operator": Config.from_dict({"operator": {"name": "<b>", "links": {"object": "https://shop.test/no"}}}),
    "nothing allowed": Config.from_dict({"privacy": {"fields": {"page": [], "record": []}}}),
}


def problems(told: Any) -> list[str]:
    return [f"{list(error.absolute_path)}: {error.message[:200]}" for error in CHECK.iter_errors(told)]


def reports(fitted: list[Explanation]) -> Iterator[Report]:
    for why in [*(make() for make in CASES.values()), *fitted]:
        for config in CONFIGS.values():
            for locale in ("en", "zh-CN"):
                yield build_report(why, locale, config=config, reader=Reader("key", "Ann"), synthetic=True)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"].endswith("/2020-12/schema")
    SCHEMA["properties"].keys()
    json_schema()["properties"].clear()
    assert json_schema() == SCHEMA  # a caller's own copy


def test_every_report_keeps_to_it(fitted: list[Explanation]) -> None:
    seen = 0
    for report in reports(fitted):
        assert problems(json.loads(report.to_json())) == []
        seen += 1
    assert seen >= 100


def parts(schema: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema inside the schema."""
    if isinstance(schema, dict):
        if {"type", "const", "enum", "$ref", "oneOf"} & schema.keys() and not at.endswith("properties"):
            yield at, schema
        for name, inside in schema.items():
            yield from parts(inside, f"{at}/{name}")
    elif isinstance(schema, list):
        for place, inside in enumerate(schema):
            yield from parts(inside, f"{at}/{place}")


def test_every_field_is_described_and_every_object_is_closed() -> None:
    seen = 0
    for at, schema in parts(SCHEMA):
        described = "description" in schema or "$ref" in schema or schema == {"type": "null"} or at.count("/oneOf/")
        assert described or at.endswith("additionalProperties"), at
        if "object" in schema.get("type", ()) and "properties" in schema:
            assert schema["additionalProperties"] is False, at
            assert set(schema["required"]) == set(schema["properties"]), at  # no key comes and goes
            seen += 1
    assert seen >= 15


def objects(told: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where objects with fixed keys stand: those by kind of evidence have the operator's own."""
    if isinstance(told, dict):
        if path[-1:] not in (("by_head",), ("heads",)):
            yield path
        for name, inside in told.items():
            yield from objects(inside, (*path, name))
    elif isinstance(told, list):
        for place, inside in enumerate(told):
            yield from objects(inside, (*path, place))


def broken(told: dict[str, Any], path: tuple[Any, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A copy of the whole, and the object in it that stands at `path`."""
    whole = copy.deepcopy(told)
    here: Any = whole
    for step in path:
        here = here[step]
    return whole, here


@pytest.fixture(scope="module")
def rich() -> dict[str, Any]:
    """One report with every kind of object in it, and few of each."""
    why = replace(random_explanation(3, k=3, j=40, hidden=[5]), counterfactuals=FOUND)
    report = build_report(why, config=CONFIGS["operator"], reader=Reader("key"))
    told: dict[str, Any] = json.loads(report.to_json())
    for item in told["recommendations"]:
        item["reasons"] = [*item["reasons"][:1], *item["reasons"][30:]]
    for item in told["page"]["items"]:
        item["ledger"]["rows"] = item["ledger"]["rows"][-2:]
    assert problems(told) == []
    return told


def test_a_field_that_is_left_out_is_caught(rich: dict[str, Any]) -> None:
    seen = 0
    for path in objects(rich):
        for name in list(broken(rich, path)[1]):
            whole, here = broken(rich, path)
            del here[name]
            assert problems(whole), (path, name)
            seen += 1
    assert seen >= 150


def test_a_field_that_is_not_named_is_caught(rich: dict[str, Any]) -> None:
    for path in objects(rich):
        whole, here = broken(rich, path)
        here["user_id"] = "raw"
        assert problems(whole), path


def test_a_value_of_another_type_is_caught(rich: dict[str, Any]) -> None:
    for path in objects(rich):
        for name in list(broken(rich, path)[1]):
            whole, here = broken(rich, path)
            here[name] = True  # of no field
            assert problems(whole), (path, name)


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("as_of",), "yesterday"),
        (("schema",), "reportgen.record/2"),
        (("recommendations", 0, "rank"), 0),
        (("recommendations", 0, "support"), -1),
        (("recommendations", 0, "reasons", 0, "attention_weight"), 1.5),
        (("recommendations", 0, "reasons", 0, "by_head", "brand"), "0.1"),
        (("recommendations", 0, "counterfactual", "minimal"), "certain"),
        (("recommendations", 0, "counterfactual", "events"), []),  # without events `none_up_to` must be there
        (("page", "items", 0, "ledger", "rows", 0, "share"), 101),
        (("page", "items", 0, "ledger", "rows", 0, "points"), 0.5),
        (("page", "items", 0, "ledger", "rows", 0, "kind"), "bonus"),
        (("page", "sections", 2, "links", 0, "url"), "javascript:alert(1)"),
        (("page", "direction"), "up"),
    ],
)
def test_a_wrong_value_is_caught(rich: dict[str, Any], path: tuple[Any, ...], wrong: Any) -> None:
    whole, here = broken(rich, path[:-1])
    here[path[-1]] = wrong
    assert len(problems(whole)) == 1


def test_the_data_of_a_report_are_those_of_its_json() -> None:
    report = usual()
    assert report.to_dict() == json.loads(report.to_json())
    assert {name: part for name, part in report.to_dict().items() if name != "page"} == report.record
