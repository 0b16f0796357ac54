"""The chapters of an audit report about another model: its attention is told as attention, and only what was measured as an effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reportgen.audit.audit_blocks import Block, Cell, Facts, Row, Section, Table, Text, bar, row
from reportgen.audit.audit_sections import Plain, against, age, columns_of, concentration, kind_cells, paid, scope
from reportgen.audit.audit_sections_run import case_lead, cases, controlled, exceptional, modelled, owner_of, proven
from reportgen.audit.audit_sections_trust import fair
from reportgen.audit.audit_words import Speaker
from reportgen.text import clean

_NONE = "\u2013"
#: Figures of where the weight lies, in their order; each is told where there is one.
_LIES = ("strongest", "effective", "same_category", "same_brand", "elsewhere", "no_event", "hidden", "whole", "adds_up")
_NAME = 80


def foreign_sections(plain: Plain, settings: Mapping[str, Any], told: Speaker) -> list[Section]:
    """The chapters in the order of every audit report."""
    kind = plain["statistics"]["foreign"]["kind"]
    return [
        scope(plain, told, "audit.looked.candidates", "audit.looked.events"),
        looked(plain, told),
        concentration(plain, told, f"looked_{kind}"),
        age(plain, told, "looked_age", "audit.looked.no_weight"),
        paid(plain, told, "_foreign"),
        borne_out(plain, told),
        Section("stable", told.say("audit.stable.heading"), (Text(told.say("audit.looked.stable"), "notice"),)),
        fair(plain, told),
        private(plain, told),
        exceptional(plain, told),
        cases(plain, told, _case),
        controlled(plain, told),
        modelled(plain, settings, told, tuple(_card(plain, settings, told))),
        proven(plain, told),
    ]


def foreign_lead(plain: Plain, told: Speaker) -> str:
    """The finding in one or two sentences."""
    statistics, found = plain["statistics"], plain["statistics"]["foreign"]
    strongest, agrees = found["lies"]["strongest"], found["measured"]["first_agrees"]
    first = told.say("audit.looked.list", statistics["people"])
    if strongest is None:
        return told.sentences(first, told.say("audit.looked.no_weight"))
    share = told.percent(strongest["mean"], 0)
    on_one = told.say(f"audit.looked.lead_{found['kind']}", share=share)
    if agrees is None:
        return told.sentences(first, on_one, told.say("audit.looked.lead_not_measured"))
    return told.sentences(first, on_one, told.say("audit.looked.lead_measured", share=told.percent(agrees["mean"], 0)))


def foreign_key(plain: Plain, told: Speaker) -> tuple[str, str, str]:
    """The key figure that stands where others have what a few items decide: how much was measured."""
    measured = plain["statistics"]["foreign"]["measured"]
    share = measured["products"] / measured["of"] if measured["of"] else None
    return told.say("audit.looked.key_measured"), told.percent(share, 0), "" if share else "warn"


def looked(plain: Plain, told: Speaker) -> Section:
    """Where the weight lies."""
    found = plain["statistics"]["foreign"]
    kind, model = found["kind"], _model(plain, told)
    first = told.say("audit.looked.model", model=model) if model else told.say("audit.looked.model_unnamed")
    blocks: list[Block] = [Text(told.sentences(first, told.say(f"audit.looked.what_{kind}")))]
    blocks += [Text(told.sentences(*_how(one, told)), "note") for one in found["how"] if any(_how(one, told))]
    figures = [("weighted", found["weighted"]), *((name, found["lies"][name]) for name in _LIES)]
    rows = [_lies(name, figure, told) for name, figure in figures if figure is not None]
    caption = told.say(f"audit.looked.caption_{kind}")
    columns = columns_of(told, (("figure", "wide"), ("share", "plot"), ("value_interval", "num")))
    blocks.append(Table(caption, columns, tuple(rows), told.say("audit.whisker"), "bars"))
    if plain["statistics"]["evidence"]:
        blocks.append(_features(plain["statistics"]["evidence"], told))
    if outside := found["outside"]["items"]:
        blocks.append(Text(told.say("audit.looked.outside", outside)))
    heading = told.say(f"audit.looked.heading_{kind}")
    return Section("drives", heading, (*blocks, *against(plain["against"], told)))


def _model(plain: Plain, told: Speaker) -> str:
    model = plain["run"]["model"] or {}
    text = clean(" ".join(str(model[part]) for part in ("name", "version") if model.get(part)), _NAME)
    return told.foreign(text) if text else ""


def _how(how: Plain, told: Speaker) -> Iterator[str]:
    """How heads and layers were put together, in the words of the pages."""
    if how["aggregation"]:
        yield told.say("foreign.aggregation", text=told.foreign(how["aggregation"]))
    for part, usual in (("heads", ("mean", "max")), ("layers", ("last", "mean"))):
        if how[part]:
            key = f"foreign.{part}_{how[part] if how[part] in usual else 'one'}"
            yield told.say(key, how[f"n_{part}"], name=told.foreign(how[part]))


def _lies(name: str, figure: Plain, told: Speaker) -> Row:
    counted = name == "effective"  # a number of items, which has no place on a scale of shares
    plot = Cell("bar") if counted else bar(figure["mean"], figure["low"], figure["high"], 1.0)
    head = Cell("head", told.say(f"audit.looked.{name}"), told.say(f"audit.looked.{name}_what"))
    return row(head, plot, told.num(figure, "effective" if counted else ""))


def _features(evidence: Any, told: Speaker) -> Table:
    rows = [row(*cells) for cells in kind_cells(evidence, told)]
    columns = columns_of(told, (("feature", "wide"), ("share", "plot"), ("share_interval", "num")))
    return Table(told.say("audit.looked.features"), columns, tuple(rows), kind="bars")


def borne_out(plain: Plain, told: Speaker) -> Section:
    """How far measured effects bear the weights out; that nothing was measured is said, and how it could be."""
    found = plain["statistics"]["foreign"]
    measured, blocks = found["measured"], list[Block]()
    if found["kind"] == "contribution":
        adds_up = found["lies"]["adds_up"]
        key = "audit.looked.sums_unknown" if adds_up is None else "audit.looked.sums"
        blocks.append(Text(told.say(key, share=told.percent(adds_up and adds_up["mean"]))))
    if not measured["products"]:
        blocks.append(Text(told.say("audit.looked.not_measured"), "notice"))
        return Section("faithful", told.say("audit.trust.heading"), tuple(blocks))
    part, whole = told.count(measured["products"]), told.count(measured["of"])
    lead = told.say("audit.looked.measured", measured["people"], part=part, whole=whole)
    blocks.append(Text(told.sentences(lead, *(told.say(f"foreign.by_{by}") for by in measured["by"]))))
    rows = [_agreement(name, measured[name], told) for name in ("tau", "first_agrees", "top3", "effect_strongest")]
    columns = columns_of(told, (("figure", "wide"), ("value_interval", "num")))
    caption = told.say("audit.looked.agreement")
    blocks.append(Table(caption, columns, tuple(found for found in rows if found), told.say("audit.looked.chance")))
    disagrees = measured["disagrees"]
    if found["kind"] == "attention" and disagrees is not None:
        key = "audit.looked.disagree" if disagrees["count"] else "audit.looked.agree"
        blocks.append(Text(told.say(key, disagrees["count"]), "notice" if disagrees["count"] else ""))
    blocks.append(Text(told.say("foreign.effects_no_sum"), "note"))
    return Section("faithful", told.say("audit.trust.heading"), tuple(blocks))


def _agreement(name: str, figure: Plain | None, told: Speaker) -> Row | None:
    if figure is None:
        return None
    head = Cell("head", told.say(f"audit.looked.{name}"), told.say(f"audit.looked.{name}_what"))
    return row(head, told.num(figure, "ratio" if name == "tau" else ""))


def private(plain: Plain, told: Speaker) -> Section:
    """What the pages do not name. It cannot be left out of what the model has counted."""
    statistics = plain["statistics"]
    usage, hidden = statistics["privacy"]["usage"], statistics["privacy"]["folded"]
    people = told.count(hidden["count"]) if hidden else _NONE
    facts = (
        (told.say("audit.looked.events_all"), told.count(usage["events"])),
        (told.say("audit.looked.events"), told.count(usage["used"])),
        (told.say("audit.private.after"), told.count(usage["after"])),
        (told.say("audit.looked.not_named"), told.count(statistics["privacy"]["folded_items"])),
        (told.say("audit.looked.hidden"), told.figure(statistics["foreign"]["lies"]["hidden"])),
        (told.say("audit.private.folded_people"), people),
    )
    return Section(
        "private", told.say("audit.looked.private_heading"), (Text(told.say("audit.looked.private")), Facts(facts))
    )


def _case(case: Plain, told: Speaker) -> Iterator[Block]:
    yield case_lead(case, told, ("audit.looked.case_used", "audit.looked.case_sums", "audit.looked.case_no_sums"))
    if (record := case["record"]) is None:
        return
    columns = (
        ("rank", "slim"),
        ("product", "wide"),
        (f"looked_{record['kind']}", "long"),
        ("effect", "long"),
        ("score", "num"),
    )
    rows = [_product(product, told) for product in record["products"]]
    yield Table(told.say("audit.looked.case_caption"), columns_of(told, columns), tuple(rows), "", "case")


def _product(product: Plain, told: Speaker) -> Row:
    shares = [f"{told.title(one['title'])} ({told.percent(one['share'], 0)})" for one in product["looked"]]
    effects = [f"{told.title(one['title'])} ({told.number(one['effect'], 2)})" for one in product["effects"]]
    score = product["score"]
    return row(
        Cell("num", told.count(product["rank"])),
        Cell("head", told.title(product["title"])),
        Cell("words", told.words.list(shares) or _NONE),
        Cell("words", told.words.list(effects) or told.say("audit.looked.effect_none")),
        Cell("num", _NONE if score is None else told.number(score, 2)),
    )


def _card(plain: Plain, settings: Mapping[str, Any], told: Speaker) -> Iterator[tuple[str, str]]:
    """Model card: what the operator told us of the model, and no more."""
    model, found = plain["run"]["model"] or {}, plain["statistics"]["foreign"]
    yield told.say("audit.model.id"), told.foreign(model.get("id", ""))
    yield told.say("audit.looked.card_name"), _model(plain, told) or told.say("audit.not_entered")
    yield told.say("audit.model.form"), told.say(f"audit.looked.card_{found['kind']}")
    pooled = told.say("audit.yes" if model.get("softmax_pooled") else "audit.no")
    yield told.say("audit.looked.card_pooled"), pooled
    yield told.say("audit.model.fitted"), told.say("audit.looked.card_unknown")
    yield told.say("audit.model.purpose"), owner_of(settings, "purpose", told)
    yield told.say("audit.model.limits"), told.say(f"audit.looked.card_limits_{found['kind']}")
