"""Law packs: the built-in ones are whole, wrong ones are refused by name, and only facts decide about a status."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reportgen.audit.lawpacks import (
    MISSING,
    NOT_APPLICABLE,
    PROVIDED,
    STATUSES,
    Control,
    controls,
    counted,
    gaps,
    load_packs,
    pack_hashes,
    packs_of,
)
from reportgen.audit.lawpacks_file import fields_without_probe, known_fields, parse_pack, read_pack
from reportgen.audit.probes import DOCUMENT, PROBES, Facts, facts_of_run, find
from reportgen.cli import main
from reportgen.config import Config, load_config
from reportgen.config_audit import LAW_PACKS
from reportgen.errors import ConfigError, OutputError
from reportgen.languages import LOCALES

ROOT = Path(__file__).resolve().parents[2]
HASH = "0" * 64

OWN = """
schema = "reportgen.lawpack/1"
id = "own"
version = "1"
as_of = 2026-01-01
title = { en = "Ours" }
applies_if = { en = "Is it ours?" }
note = { en = "A test." }
[[sources]]
id = "rule"
name = "House rule"
publication = "Board"
[[controls]]
id = "who"
requirement = { en = "Say who." }
source = "rule"
place = "1"
fields = ["operator.name"]
"""

MANIFEST: dict[str, Any] = {
    "run_id": "ab12",
    "as_of": "2026-01-31T00:00:00Z",
    "tool": {"name": "reportgen", "version": "1.0"},
    "python": "3.12.1",
    "packages": {"numpy": "2.0"},
    "templates": HASH,
    "settings": {"config": {"privacy": {}}, "options": {}},
    "model": {"id": "m1", "heads": ["together", "brand"], "users": 20, "items": 30, "users_learnt": 12},
    "users": {"total": 5, "reported": 3, "set_aside": 1, "opted_out": 1, "not_chosen": 0},
    "inputs": [{"table": "events", "name": "e.csv", "sha256": HASH}],
    "outputs": [{"path": "index.html", "sha256": HASH}],
    "key_id": "cd34",
    "pseudonym": "base32(HMAC-SHA256)",
    "merkle": {"root": HASH, "leaves": 3},
    "previous_run": {"run_id": "ef56", "statement_sha256": HASH},
    "sampling": {"commitment": HASH},
    "law_packs": [{"id": "eu-dsa", "version": "1", "sha256": HASH}],
    "retention_until": "2027-01-01",
}
_LINKS = {
    name: f"https://example.org/{name}" for name in ("change", "object", "switch_off", "non_personalised", "complaint")
}
CONFIG = Config.from_dict(
    {
        "operator": {"name": "Shop", "purpose": "p", "contact": "c", "address": "a", "retention": "r", "links": _LINKS},
        "mail": {"unsubscribe": "https://example.org/stop"},
        "items": {"columns": {"sponsored": "ad", "price_personalised": "pp"}},
        "audit": {
            "documents": {
                name.removeprefix(DOCUMENT): "shelf 3" for name in known_fields() if name.startswith(DOCUMENT)
            }
        },
    }
).to_dict()
UNIT = 1_000_000
STATISTICS: dict[str, Any] = {
    "unit": UNIT,
    "sums": {
        "": {
            "": {
                name: [4, 2 * UNIT, UNIT]
                for name in ("reasoned", "strongest", "kind/together", "kind/brand", "age/0", "sponsored", "priced")
            }
        },
        "country": {"SE": {"reasoned": [2, 1, 1]}, "FI": {"reasoned": [2, 1, 1]}},
    },
    "counts": {"counterfactual/smallest": 3, "counterfactual/not asked": 1, "usage/used": 40},
    "stability": {"n": 20},
}
FIDELITY: dict[str, Any] = {
    "measured": True,
    "n_users": 50,
    "methods": {name: {"comprehensiveness@3": {"mean": mean}} for name, mean in (("ours", 0.6), ("random", 0.2))},
    "randomised": {"rank": {"mean": 0.1}},
}
FILES = frozenset({"errors.jsonl", "audit/seal.dsse.json", "audit/salts.bin"})
FULL = Facts(MANIFEST, CONFIG, STATISTICS, FIDELITY, FILES)
EMPTY = Facts({}, {})


def _texts(pack_name: str) -> list[dict[str, str]]:
    pack = read_pack(pack_name)
    return [pack.title, pack.applies_if, pack.note, *(control.requirement for control in pack.controls)]


@pytest.mark.parametrize("name", LAW_PACKS)
def test_a_built_in_pack_is_whole(name: str) -> None:
    pack = read_pack(name)
    assert pack.id == name
    assert len(pack.controls) >= 6
    for texts in _texts(name):
        assert set(texts) == set(LOCALES)
        assert all(text.strip() for text in texts.values())
        assert re.search("[\u4e00-\u9fff]", texts["zh-CN"])
    assert {control.source for control in pack.controls} == {source.id for source in pack.sources}


def test_every_field_has_a_probe_and_every_probe_is_described() -> None:
    assert fields_without_probe() == []
    assert {name for name in known_fields() if not name.startswith(DOCUMENT)} == set(PROBES)
    for spec in known_fields().values():
        assert set(spec.label) == set(spec.remedy) == set(LOCALES)


def test_every_field_is_asked_or_listed_on_the_page() -> None:
    page = (ROOT / "docs" / "law-packs.md").read_text("utf-8")
    assert [name for name in known_fields() if f"| `{name}` |" not in page] == []


def test_no_text_claims_that_a_law_is_kept() -> None:
    data = "".join(path.read_text("utf-8") for path in (ROOT / "reportgen/audit/packs_law").glob("*.toml")).casefold()
    assert "compliant" not in data
    assert "compliance" not in data
    assert "合规" not in data
    assert not any("complian" in status for status in STATUSES)


@pytest.mark.parametrize("name", sorted(known_fields()))
def test_a_probe_finds_what_is_there_and_nothing_else(name: str) -> None:
    assert find(name, FULL), f"{name} is not found though it is there"
    assert find(name, EMPTY) is None
    empty = Facts(json.loads(json.dumps(MANIFEST)) | {"model": None, "users": [], "merkle": "x"}, Config().to_dict())
    if name.startswith(("operator.", "links.", "mail.", "documents.", "statistics.", "fidelity.", "report.")):
        assert find(name, empty) is None


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("operator.name", replace(FULL, config={"operator": {"name": " \t"}})),
        ("privacy.sensitive", replace(FULL, config={"privacy": {"sensitive": "show"}})),
        ("privacy.support_floor", replace(FULL, config={"privacy": {"support_floor": 1}})),
        ("fidelity.measured", replace(FULL, fidelity={"measured": False, "reason": "few"})),
        ("fidelity.randomised", replace(FULL, fidelity=FIDELITY | {"measured": False})),
        ("run.signature", replace(FULL, files=FILES - {"audit/seal.dsse.json"})),
        ("privacy.erasure", replace(FULL, files=FILES - {"audit/salts.bin"})),
        ("run.errors", replace(FULL, files=frozenset())),
        ("run.complete", replace(FULL, manifest=MANIFEST | {"users": MANIFEST["users"] | {"reported": 4}})),
        (
            "run.inputs",
            replace(FULL, manifest=MANIFEST | {"inputs": [{"table": "events", "name": "e", "sha256": "x"}]}),
        ),
        ("run.outputs", replace(FULL, manifest=MANIFEST | {"outputs": [{"path": "index.html"}]})),
        ("model.learnt", replace(FULL, manifest=MANIFEST | {"model": {"users_learnt": 0}})),
        ("model.words", replace(FULL, manifest=MANIFEST | {"model": {"heads": ["fabric"]}})),
        ("users.opted_out", replace(FULL, manifest=MANIFEST | {"users": {"opted_out": 0}})),
        (
            "statistics.segments",
            replace(FULL, statistics=STATISTICS | {"sums": {"\u0001language": {"en": {}, "sv": {}}}}),
        ),
        ("report.counterfactuals", replace(FULL, statistics={"counts": {"counterfactual/not asked": 9}})),
        ("report.reasons", replace(FULL, statistics={"unit": UNIT, "sums": {"": {"": {"reasoned": [4, 0, 0]}}}})),
        ("report.reasons", replace(FULL, record={"recommendations": [{"reasons": []}]})),
        ("report.sums", replace(FULL, record={"recommendations": [{"base": 1.0, "score": 3.0, "reasons": []}]})),
        ("statistics.sponsored", replace(FULL, config={})),
        ("privacy.retention_until", replace(FULL, manifest=MANIFEST | {"retention_until": None})),
    ],
)
def test_a_probe_is_not_taken_in(name: str, facts: Facts) -> None:
    assert find(name, FULL)
    assert find(name, facts) is None


def columns_read(table: str, *files: dict[str, str] | None) -> dict[str, object]:
    return MANIFEST | {"users": {"opted_out": 0}, "inputs": [{"table": table, "columns": one} for one in files]}


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (({"user_id": "id", "opted_out": "optout"},), "0 (optout)"),
        (({"user_id": "id"},), None),
        (({"opted_out": "opted_out"}, {"opted_out": "optout"}), "0 (opted_out, optout)"),
        (({"opted_out": "opted_out"}, {"user_id": "user_id"}), None),  # of half the people it is not known
        ((), "0 (no)"),  # a manifest of before columns were listed: what the configuration maps must be there
    ],
)
def test_a_column_that_was_read_counts_whatever_stands_in_it(
    files: tuple[dict[str, str], ...], found: str | None
) -> None:
    config = CONFIG | {"users": {"columns": {"opted_out": "no"}}}
    facts = replace(FULL, manifest=columns_read("users", *files), config=config)
    assert find("users.opted_out", facts) == found


def test_a_mapped_column_of_a_table_that_was_not_given_is_missing() -> None:
    config = CONFIG | {"users": {"columns": {"opted_out": "no"}}}
    facts = replace(FULL, manifest=columns_read("items", {"item_id": "item_id"}), config=config)
    assert find("users.opted_out", facts) is None


def test_shares_of_evidence_are_means_over_everybody_with_a_reason() -> None:
    sums = {"strongest": [4, 1, 1], "kind/together": [4, 3 * UNIT, 1], "kind/brand": [1, UNIT, 1]}
    facts = replace(FULL, statistics={"unit": UNIT, "sums": {"": {"": sums}}})
    assert find("statistics.evidence", facts) == "together 75.0 %, brand 25.0 %"


def test_an_empty_operator_is_missing_and_a_filled_one_is_provided() -> None:
    empty, full = ({(c.pack, c.id): c.status for c in controls(facts)} for facts in (EMPTY, FULL))
    assert set(empty.values()) == {MISSING}
    assert set(full.values()) == {PROVIDED}
    assert counted(controls(FULL))[MISSING] == 0
    assert gaps(controls(FULL)) == ()


def test_one_missing_field_makes_exactly_its_controls_missing() -> None:
    config = json.loads(json.dumps(CONFIG))
    config["operator"]["links"]["object"] = ""
    found = controls(replace(FULL, config=config))
    asking = [f"{c.pack}/{c.id}" for c in found if "links.object" in [field.name for field in c.fields]]
    assert [f"{c.pack}/{c.id}" for c in found if c.status == MISSING] == asking
    (gap,) = gaps(found)
    assert (gap.field, list(gap.controls)) == ("links.object", asking)
    assert "[operator.links] object" in gap.remedy["en"]


def _declared(**said: str) -> list[Control]:
    config = json.loads(json.dumps(CONFIG))
    config["audit"]["not_applicable"] = said
    return [c for c in controls(replace(FULL, config=config)) if c.status == NOT_APPLICABLE]


def test_only_the_operator_declares_that_something_does_not_apply() -> None:
    assert _declared() == []
    assert {c.pack for c in _declared(**{"eu-dsa": "no platform"})} == {"eu-dsa"}
    (one,) = _declared(**{"eu-dsa/paid-ranking": "nobody pays\u202e"})
    assert (one.id, one.reason) == ("paid-ranking", "nobody pays")


@pytest.mark.parametrize(
    ("table", "key", "near"),
    [
        ("not_applicable", "eu-dssa", '"eu-dsa"'),
        ("not_applicable", "eu-dsa/paid-rankin", '"eu-dsa/paid-ranking"'),
        ("documents", "impact_assesment", '"impact_assessment"'),
    ],
)
def test_a_declaration_about_nothing_names_the_nearest(table: str, key: str, near: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f'[audit] {table}: unknown key "{key}"; did you mean {near}')):
        pack_hashes(Config.from_dict({"audit": {table: {key: "a reason"}}}))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('id = "own"', 'id = "own"\nautor = "me"', 'unknown key "autor"; did you mean'),
        ('"operator.name"', '"operator.nmae"', 'unknown field "operator.nmae"; did you mean "operator.name"?'),
        ('source = "rule"', 'source = "rul"', 'unknown key "rul"; did you mean "rule"?'),
        ('place = "1"', 'place = "1"\nsecondry = true', 'unknown key "secondry"; did you mean "secondary"?'),
        ('place = "1"', "", 'needs the key "place"'),
        ('{ en = "Say who." }', '{ fr = "Dis qui." }', 'unknown key "fr"'),
        ('{ en = "Say who." }', '{ en = " " }', "needs words"),
        ("2026-01-01", '"yesterday"', "allowed: a date"),
        ("lawpack/1", "lawpack/9", "the one that this version reads"),
        ('fields = ["operator.name"]', "fields = []", "needs at least one field"),
        ('id = "own"', 'id = "Own pack"', "is not a name of small letters"),
        ("[[controls]]", "[[control]]", 'unknown key "control"'),
        ("[[sources]]", "fields = 1\n[[sources]]", "fields"),
        ('schema = "reportgen.lawpack/1"', "schema = ", "is not valid TOML"),
    ],
)
def test_a_wrong_pack_is_refused_by_name(old: str, new: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    assert old in OWN
    path.write_text(OWN.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_pack(str(path))
    assert told in str(caught.value)
    assert "own.toml" in str(caught.value)
    assert "\n" not in str(caught.value).split(" (")[0]


def test_controls_twice_and_packs_twice_are_refused(tmp_path: Path) -> None:
    twice = OWN + OWN[OWN.index("[[controls]]") :]
    with pytest.raises(ConfigError, match=re.escape("[controls who] is there twice")):
        parse_pack(twice.encode(), "own.toml")
    (tmp_path / "own.toml").write_text(OWN.replace('"own"', '"eu-dsa"'))
    with pytest.raises(ConfigError, match='"eu-dsa" is there twice'):
        load_packs(["eu-dsa", str(tmp_path / "own.toml")])
    assert load_packs([str(tmp_path / "own.toml")])[0].title == {"en": "Ours"}


def test_a_pack_adds_documents_and_nothing_else() -> None:
    spec = '\n[fields."{}"]\nlabel = {{ en = "L" }}\nremedy = {{ en = "R" }}\n'
    own = OWN.replace('"operator.name"', '"documents.oath"') + spec.format("documents.oath")
    pack = parse_pack(own.encode(), "own.toml")
    (none,) = controls(Facts({}, {"audit": {"documents": {}}}), [pack])
    (found,) = controls(Facts({}, {"audit": {"documents": {"oath": "safe"}}}), [pack])
    assert (none.status, found.status, found.fields[0].value) == (MISSING, PROVIDED, "safe")
    with pytest.raises(ConfigError, match="a pack can add documents only"):
        parse_pack((OWN + spec.format("run.oath")).encode(), "own.toml")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"x\.toml"):
        parse_pack(data, "x.toml")


def test_the_example_on_the_page_is_a_pack() -> None:
    page = (ROOT / "docs" / "law-packs.md").read_text("utf-8")
    pack = parse_pack(page.split("```toml\n")[1].split("```")[0].encode(), "page.toml")
    assert pack.controls[0].person
    assert controls(FULL, [pack])[0].status == MISSING


def test_paths_start_at_the_folder_of_the_configuration_and_no_manifest_holds_them(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    (tmp_path / "reportgen.toml").write_text('[audit]\nlaw_packs = ["uk-ico", "own.toml"]\n')
    config = load_config(tmp_path / "reportgen.toml")
    hashes = pack_hashes(config)
    assert list(hashes) == ["uk-ico", "own"]
    assert hashes["own"] == {"version": "1", "as_of": "2026-01-01", "sha256": sha256(OWN.encode()).hexdigest()}
    plain = config.to_dict()
    assert plain["audit"]["law_packs"] == ["uk-ico", "own.toml"]
    assert str(tmp_path) not in json.dumps(plain)


def test_the_packs_of_a_run_are_asked_again_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    config = {"audit": {"law_packs": ["own.toml"]}}
    rows = [{"id": "own", "sha256": sha256(OWN.encode()).hexdigest()}]
    facts = Facts({"law_packs": rows}, config)
    with pytest.raises(ConfigError, match="name it with --law-pack"):
        controls(facts)
    assert [pack.id for pack in packs_of(facts, [tmp_path / "own.toml"])] == ["own"]
    (tmp_path / "own.toml").write_text(OWN.replace("Say who.", "Say why."))
    with pytest.raises(ConfigError, match="is not the law pack that the run was given"):
        packs_of(facts, [tmp_path / "own.toml"])


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ({"law_packs": ["eu-gdrp"]}, 'did you mean "eu-gdpr"'),
        ({"law_pack": ["eu-gdpr"]}, 'did you mean "law_packs"'),
        ({"not_applicable": {"eu-dsa": "  "}}, "eu-dsa needs words"),
        ({"law_packs": "eu-gdpr"}, "allowed: a list"),
    ],
)
def test_a_wrong_audit_table_is_refused(given_: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        Config.from_dict({"audit": given_})


def test_facts_are_read_from_a_run_and_never_through_a_link(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="its run did not end"):
        facts_of_run(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST | {"settings": {"config": CONFIG}}))
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "statistics.json").write_text(json.dumps(STATISTICS))
    (tmp_path / "audit" / "seal.dsse.json").write_text("{}")
    facts = facts_of_run(tmp_path, {"evidence": []})
    assert facts.config == CONFIG
    assert facts.statistics == {"evidence": []} | STATISTICS
    assert find("run.signature", facts) == "audit/seal.dsse.json"
    assert find("fidelity.measured", facts) is None
    (tmp_path / "audit" / "fidelity.json").symlink_to(tmp_path / "manifest.json")
    with pytest.raises(OutputError, match=r"fidelity\.json is damaged"):
        facts_of_run(tmp_path)


def test_the_verb_prints_what_a_pack_asks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.toml").write_text(OWN.replace("Say who.", "Say who\\u0007\\u202e."))
    assert main(["lawpack", str(tmp_path / "own.toml")]) == 0
    out = capsys.readouterr().out
    assert "who: Say who" in out
    assert "operator.name: Who is responsible | Fill in [operator] name." in out
    assert "\u202e" not in out
    assert "\x07" not in out
    assert main(["lawpack", "eu-gdpr", "--locale", "zh-CN"]) == 0
    assert "个人" in capsys.readouterr().out
    assert main(["lawpack", str(tmp_path / "none.toml")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "cannot be read" in error


def test_a_law_pack_that_cannot_be_used_stops_a_build_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reportgen.toml").write_text('[audit]\nlaw_packs = ["gone.toml"]\n')
    words = ["--events", "none.csv", "--items", "none.csv", "--config", str(tmp_path / "reportgen.toml")]
    assert main(["build", *words, "--out", str(tmp_path / "run")]) == 1
    assert "gone.toml: cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
