"""The chapters of an audit report about exceptions, cases, controls, the model, the data and the proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any

from reportgen.audit.audit_blocks import Block, Cell, Facts, Heading, Lines, Row, Section, Table, Text, row
from reportgen.audit.audit_sections import Plain, columns_of
from reportgen.audit.audit_words import Speaker
from reportgen.audit.sampling import EACH, OF_ALL

_NONE = "\u2013"


def exceptional(plain: Plain, told: Speaker) -> Section:
    """What to look at first."""
    met = [one for one in plain["exceptions"] if one["count"]]
    clear = [one for one in plain["exceptions"] if not one["count"]]
    blocks: list[Block] = [Text(told.say("audit.rule.lead"))]
    if met:
        blocks.append(_rules(met, told))
    else:
        blocks.append(Text(told.say("audit.rule.none")))
    if clear:
        names = [_numbered(one, told) for one in clear]
        blocks.append(Text(told.say("audit.rule.clear", what=told.words.list(names)), "note"))
    return Section("exceptions", told.say("audit.rule.heading"), tuple(blocks))


def _numbered(one: Plain, told: Speaker) -> str:
    return told.say("audit.rule.numbered", number=told.count(one["number"]), rule=told.say(f"audit.rule.{one['rule']}"))


def _rules(met: list[Any], told: Speaker) -> Table:
    rows = [
        row(
            Cell("num", told.count(one["number"])),
            Cell("head", told.say(f"audit.rule.{one['rule']}"), told.say(f"audit.rule.{one['rule']}_what")),
            Cell("tag" if one["severity"] == "high" else "words", told.say(f"audit.severity.{one['severity']}")),
            Cell("num", told.count(one["count"])),
            Cell("code", " ".join(one["examples"]) or _NONE),
        )
        for one in met
    ]
    columns = (("number", "slim"), ("rule", "wide"), ("severity", "words"), ("met", "num"), ("examples", "long"))
    return Table(
        told.say("audit.rule.caption"), columns_of(told, columns), tuple(rows), told.say("audit.rule.note"), "rules"
    )


def cases(plain: Plain, told: Speaker, tell: Callable[[Plain, Speaker], Iterator[Block]] | None = None) -> Section:
    """The users who were drawn, each with what the record says; `tell` where records are of another kind."""
    lead = told.say("audit.case.lead", each=told.count(EACH), of_all=told.count(OF_ALL))
    blocks: list[Block] = [Text(lead)]
    for place, case in enumerate(plain["cases"], start=1):
        blocks.append(
            Heading(
                told.say("audit.case.heading", number=told.count(place), key=told.foreign(case["key"])), f"case-{place}"
            )
        )
        blocks += (tell or _case)(case, told)
    if not plain["cases"]:
        blocks.append(Text(told.say("audit.case.none"), "notice"))
    return Section("cases", told.say("audit.case.chapter"), tuple(blocks))


def case_lead(case: Plain, told: Speaker, words: tuple[str, str, str]) -> Text:
    """How a case was drawn, and whether its record can be read and adds up; `words` names what was used, that it does and does not."""
    drawn = told.say("audit.case.stratum", stratum=told.say(f"audit.stratum.{case['stratum']}"))
    record = case["record"]
    if record is None:
        return Text(told.sentences(drawn, told.say("audit.case.unreadable"), told.foreign(case["trouble"])), "notice")
    used, sums, no_sums = words
    told_used = told.say(used, record["usage"]["used"])
    told_sums = told.say(sums if record["sums"] else no_sums)
    return Text(told.sentences(drawn, told_used, told_sums), "" if record["sums"] else "notice")


def _case(case: Plain, told: Speaker) -> Iterator[Block]:
    yield case_lead(case, told, ("audit.case.used", "audit.case.sums", "audit.case.no_sums"))
    if (record := case["record"]) and record["products"]:
        rows = [_product(product, told) for product in record["products"]]
        columns = (
            ("rank", "slim"),
            ("product", "wide"),
            ("because", "long"),
            ("without", "long"),
            ("score", "num"),
        )
        yield Table(told.say("audit.case.caption"), columns_of(told, columns), tuple(rows), "", "case")


def _product(product: Plain, told: Speaker) -> Row:
    reasons = [_reason(reason, told) for reason in product["reasons"]]
    without = product["without"]
    if without is None or not without:
        gone = told.say("audit.case.no_question" if without is None else "audit.case.no_set")
    else:
        gone = told.words.list([told.title(title) for title in without])
    return row(
        Cell("num", told.count(product["rank"])),
        Cell("head", told.title(product["title"])),
        Cell("words", told.words.list(reasons) or told.say("audit.case.popular")),
        Cell("words", gone),
        Cell("num", told.number(product["score"], 2)),
    )


def _reason(reason: Plain, told: Speaker) -> str:
    kind = told.kind(reason["kind"], True) if reason["kind"] else _NONE
    return told.say(
        "audit.case.reason", title=told.title(reason["title"]), share=told.percent(reason["share"], 0), kind=kind
    )


def controlled(plain: Plain, told: Speaker) -> Section:
    """The law packs: what the run provides, and what is missing."""
    found = plain["controls"]
    blocks: list[Block] = [Text(told.say("audit.control.lead"))]
    if found is None or not found["controls"]:
        blocks.append(Text(told.say("audit.control.none"), "notice"))
        return Section("controls", told.say("audit.control.heading"), tuple(blocks))
    counts = list(found["counts"].values())
    names = ("provided", "missing", "not_applicable")
    blocks.append(
        Facts(tuple((told.say(f"audit.status.{key}"), told.count(n)) for key, n in zip(names, counts, strict=True)))
    )
    for place, (pack, group) in enumerate(groupby(found["controls"], key=lambda one: one["pack"]), start=1):
        mine = list(group)
        blocks.append(Heading(_of(mine[0]["pack_title"], told), f"pack-{place}"))
        facts = told.say(
            "audit.control.pack",
            pack=told.foreign(pack),
            version=told.foreign(mine[0]["version"]),
            date=told.foreign(mine[0]["as_of"]),
        )
        blocks.append(
            Text(told.sentences(facts, told.say("audit.control.applies", question=_of(mine[0]["applies_if"], told))))
        )
        blocks.append(_pack(mine, told))
    return Section("controls", told.say("audit.control.heading"), tuple(blocks))


def _of(texts: Mapping[str, str], told: Speaker) -> str:
    found = texts.get(told.words.locale) or texts.get("en") or next(iter(texts.values()), "")
    return told.foreign(found)


def _pack(mine: list[Any], told: Speaker) -> Table:
    rows = []
    for one in mine:
        status = one["status"].partition(" (")[0].replace(" ", "_")
        rows.append(
            row(
                Cell("head", _of(one["requirement"], told), _source(one, told)),
                Cell("tag" if status == "missing" else "words", told.say(f"audit.status.{status}")),
                Cell("words", told.words.join(list(_fields(one, status, told)))),
            )
        )
    columns = (("requirement", "wide"), ("status", "words"), ("found", "long"))
    return Table(told.say("audit.control.caption"), columns_of(told, columns), tuple(rows), "", "controls")


def _source(one: Plain, told: Speaker) -> str:
    counsel = told.say("audit.control.counsel") if one["secondary"] else ""
    return told.sentences(told.foreign(one["source"]), counsel)


def _fields(one: Plain, status: str, told: Speaker) -> Iterator[str]:
    if status == "not_applicable":
        yield told.say("audit.control.declared", reason=told.foreign(one["reason"]))
        return
    for field in one["fields"]:
        label = _of(field["label"], told)
        if field["value"] is None:
            yield told.say("audit.control.missing", field=label, remedy=_of(field["remedy"], told))
        else:
            yield told.say("audit.control.field", field=label, value=told.foreign(field["value"]))


def modelled(
    plain: Plain, settings: Mapping[str, Any], told: Speaker, card: tuple[tuple[str, str], ...] | None = None
) -> Section:
    """Model card and data sheet; with `card` in place of what is said of our own model."""
    blocks: list[Block] = [
        Heading(told.say("audit.model.card"), "card"),
        Facts(card or _card(plain["run"], settings, told)),
        Heading(told.say("audit.data.heading"), "sheet"),
        *_sheet(plain["run"], settings.get("config") or {}, told),
    ]
    return Section("model", told.say("audit.model.heading"), tuple(blocks))


def _card(run: Plain, settings: Mapping[str, Any], told: Speaker) -> tuple[tuple[str, str], ...]:
    model = run["model"] or {}
    kinds = told.words.list([told.kind(head, True) for head in model.get("heads", ())])
    counts = {name: told.count(int(model.get(name, 0))) for name in ("users", "items")}
    card = [
        ("id", told.foreign(model.get("id", ""))), ("form", told.say("audit.model.form_text")), ("kinds", kinds or _NONE),
        ("half_lives", told.words.list([_life(life, told) for life in model.get("half_lives", ())]) or _NONE),
        ("fitted", told.say("audit.model.fitted_text", users=counts["users"], items=counts["items"])),
        ("learnt", told.count(int(model.get("users_learnt", 0)))), ("floor", told.count(int(model.get("min_support", 0)))),
        ("cap", told.count(int(model.get("history_cap", 0)))), ("purpose", owner_of(settings, "purpose", told)),
        ("limits", told.say("audit.model.limits_text")),
    ]  # fmt: skip
    return tuple((told.say(f"audit.model.{key}"), text) for key, text in card)


def _life(life: str, told: Speaker) -> str:
    return told.say("audit.model.never") if life == "inf" else told.number(float(life), 0)


def owner_of(settings: Mapping[str, Any], name: str, told: Speaker) -> str:
    """What the operator entered about himself, or that he did not."""
    text = ((settings.get("config") or {}).get("operator") or {}).get(name)
    return told.foreign(text) if isinstance(text, str) and text.strip() else told.say("audit.not_entered")


def _sheet(run: Plain, config: Mapping[str, Any], told: Speaker) -> Iterator[Block]:
    tables = run["tables"] or {}
    rows = [
        row(Cell("head", told.foreign(table)), Cell("num", told.count(found["rows"])), Cell("num", told.count(found["set_aside"])))
        for table, found in tables.items()
    ]  # fmt: skip
    columns = columns_of(told, (("table", "wide"), ("rows", "num"), ("aside", "num")))
    if rows:
        yield Table(told.say("audit.data.tables"), columns, tuple(rows))
    files = [
        row(
            Cell("head", told.foreign(file["name"]), _columns(file, told)),
            Cell("num", told.count(file["bytes"])),
            Cell("code", file["sha256"]),
        )
        for file in run["inputs"] or ()
    ]
    if files:
        yield Table(
            told.say("audit.data.files"),
            columns_of(told, (("file", "wide"), ("bytes", "num"), ("sha256", "long"))),
            tuple(files),
        )
    privacy = config.get("privacy") or {}
    sensitive = privacy.get("sensitive", "fold")
    yield Facts(
        (
            (told.say("audit.data.as_of"), told.day(run["as_of"])),
            (told.say("audit.data.sensitive"), told.say(f"audit.data.sensitive_{sensitive}")),
            (told.say("audit.data.floor"), told.count(int(privacy.get("support_floor", 0)))),
            (told.say("audit.data.retention"), owner_of({"config": config}, "retention", told)),
            (told.say("audit.data.made_up"), told.say("audit.yes" if run["synthetic"] else "audit.no")),
        )
    )


def _columns(file: Plain, told: Speaker) -> str:
    """The columns that were read from a file, by our names, and where they have another there, that one."""
    found = file.get("columns")
    if not isinstance(found, Mapping):
        return ""
    names = [ours if ours == theirs else f"{ours} = {theirs}" for ours, theirs in sorted(found.items())]
    return told.say("audit.data.columns", what=told.foreign(", ".join(names)))


def proven(plain: Plain, told: Speaker) -> Section:
    """What the report rests on, and how to check it without trusting anybody."""
    run, sources = plain["run"], plain["sources"]
    merkle, previous = run["merkle"] or {}, run["previous_run"] or {}
    facts = [
        (told.say("audit.proof.run"), told.foreign(run["run_id"])),
        *((path, told.foreign(digest)) for path, digest in sources.items()),
        (told.say("audit.proof.root"), told.foreign(merkle.get("root") or _NONE)),
        (told.say("audit.proof.leaves"), told.count(int(merkle.get("leaves", 0)))),
        (
            told.say("audit.proof.signed"),
            told.say("audit.proof.signed_yes" if plain["signed"] else "audit.proof.signed_no"),
        ),
        (told.say("audit.proof.previous"), told.foreign(previous.get("run_id") or _NONE)),
        (told.say("audit.proof.retention"), told.day(run["retention_until"]) if run["retention_until"] else _NONE),
        (told.say("audit.proof.versions"), _versions(run, told)),
    ]
    lines = "reportgen verify RUN --public-key KEY.pub\nsha256sum manifest.json audit/statistics.json"
    blocks = (
        Text(told.say("audit.proof.lead")),
        Facts(tuple(facts)),
        Text(told.say("audit.proof.how")),
        Lines(lines),
        Text(told.say("audit.proof.recount")),
    )
    return Section("proof", told.say("audit.proof.heading"), blocks)


def _versions(run: Plain, told: Speaker) -> str:
    tool = run["tool"] or {}
    packages = [f"{package} {version}" for package, version in (run["packages"] or {}).items()]
    return told.foreign(", ".join([f"{tool.get('name')} {tool.get('version')}", f"Python {run['python']}", *packages]))
