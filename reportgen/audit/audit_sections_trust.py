"""The chapters of an audit report about faithfulness, stability, fairness and privacy."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from reportgen.audit.audit_blocks import (
    Block,
    Cell,
    Facts,
    Heading,
    Row,
    Section,
    Table,
    Text,
    bar,
    largest,
    ratio_point,
    row,
)
from reportgen.audit.audit_sections import Plain, columns_of, histogram
from reportgen.audit.audit_words import Speaker
from reportgen.audit.statistics import OUTCOMES
from reportgen.audit.statistics_groups import OUTCOMES as MEASURES

#: Measures of faithfulness, and which way is better.
_FIDELITY = (
    ("comprehensiveness@3", "higher"), ("sufficiency@3", "lower"), ("pos@{n}", "lower"), ("neg@{n}", "higher"),
    ("del", "lower"), ("ins", "higher"), ("cdcg", "lower"), ("loo_rank", "higher"),
)  # fmt: skip
#: What stays or does not from refit to refit, and which way is better.
_STAYED = (
    ("top3", "higher"), ("first_reason", "higher"), ("first_item", "higher"), ("same_sign", "higher"), ("flipped", "lower"),
)  # fmt: skip
_METHODS = ("ours", "item_cosine", "embedding_cosine", "recency", "random")


def faithful(plain: Plain, told: Speaker) -> Section:
    """Do the reasons predict what the model does, and what was tried without them."""
    found = plain["fidelity"]
    blocks: list[Block] = [Text(told.say("audit.trust.exact"))]
    if found and found.get("measured"):
        blocks += _measured(found, told)
    else:
        reason = told.foreign(found["reason"]) if found and found.get("reason") else ""
        blocks.append(Text(told.sentences(told.say("audit.trust.not_measured"), reason), "notice"))
    return Section(
        "faithful", told.say("audit.trust.heading"), (*blocks, *_outcomes(plain, told), *_support(plain, told))
    )


def _measured(found: Plain, told: Speaker) -> list[Block]:
    methods = [name for name in _METHODS if name in found["methods"]]
    rows = []
    for form, better in _FIDELITY:
        measure = form.format(n=found["n"])
        means = [found["methods"][method].get(measure) for method in methods]
        if means[0] is None:
            continue
        key = form.partition("@")[0]
        cells = [
            Cell("num", told.number(mean["mean"], 2), told.say("audit.trust.error", error=told.number(mean["se"], 2)))
            if mean
            else Cell("num", "\u2013")
            for mean in means
        ]
        label = told.say(f"audit.fidelity.{key}", n=told.count(found["n"]))
        rows.append(row(Cell("head", label, told.say(f"audit.trust.{better}")), *cells))
    columns = (("figure", "wide"), *((f"method_{method}", "num") for method in methods))
    lead = told.say("audit.trust.lead", found["n_users"])
    return [
        Text(lead),
        Table(
            told.say("audit.trust.caption"),
            columns_of(told, columns),
            tuple(rows),
            told.say("audit.trust.note"),
            "dense",
        ),
    ]


def _outcomes(plain: Plain, told: Speaker) -> list[Block]:
    """What became of the question without what a product would leave its list."""
    found = plain["statistics"]["counterfactuals"]
    counts = [found["outcomes"][name] for name in OUTCOMES]
    if not sum(counts):
        return []
    names = [told.say(f"audit.outcome.{name.replace(', ', '_').replace(' ', '_')}") for name in OUTCOMES]
    blocks: list[Block] = [
        Heading(told.say("audit.outcome.heading"), "without"),
        Text(told.say("audit.outcome.lead")),
        histogram(told, told.say("audit.outcome.caption"), "outcome", names, counts),
    ]
    if sizes := found["sizes"]:
        labels = [
            told.say("audit.outcome.size_more" if size == "10" else "audit.outcome.size", int(size)) for size in sizes
        ]
        blocks.append(histogram(told, told.say("audit.outcome.sizes"), "size", labels, list(sizes.values())))
    unconfirmed = found["unconfirmed"]
    blocks.append(
        Text(
            told.say("audit.outcome.unconfirmed", unconfirmed)
            if unconfirmed
            else told.say("audit.outcome.all_confirmed")
        )
    )
    return blocks


def _support(plain: Plain, told: Speaker) -> list[Block]:
    """How many shoppers stand behind reasons that rest on others."""
    bins = plain["statistics"]["support"]["powers_of_two"]
    if not bins:
        return []
    floor = int((plain["run"]["model"] or {}).get("min_support", 0))
    ends = [(max(2 ** int(k), floor), 2 ** (int(k) + 1) - 1) for k in bins]
    names = [told.say("audit.support.bin", low=told.count(low), high=told.count(high)) for low, high in ends]
    return [
        Heading(told.say("audit.support.heading"), "support"),
        Text(told.say("audit.support.lead", floor)),
        histogram(told, told.say("audit.support.caption"), "support", names, list(bins.values())),
    ]


def stable(plain: Plain, told: Speaker) -> Section:
    """Would other people in the data have given the same reasons."""
    found = plain["stability"]
    if not found:
        blocks: list[Block] = [Text(told.say("audit.stable.none"), "notice"), Text(told.say("audit.stable.known"))]
    elif not found["measured"]:
        blocks = [Text(told.say("audit.stable.few", found["n_users"], needed=told.count(found["needed"])), "notice")]
    else:
        before = (plain["against"] or {}).get("stability") or {}
        blocks = _stayed(found, before if before.get("measured") else None, told)
    return Section("stable", told.say("audit.stable.heading"), tuple(blocks))


def _stayed(found: Plain, before: Plain | None, told: Speaker) -> list[Block]:
    """How much stayed from refit to refit: over all people, and person by person."""
    share = {name: told.percent(found[name]["mean"]) for name, _ in _STAYED}
    strongest = share.pop("top3")
    people = {"people": told.count(found["n_drawn"]), "users": told.count(found["n_users"])}
    rows = []
    for name, better in _STAYED:
        one, was = found[name], [told.num(before[name])] if before else []
        spread = told.say("audit.stable.spread", points=told.number(100 * found["spread"][name]))
        detail = told.say("audit.stable.detail", better=told.say(f"audit.trust.{better}"), spread=spread)
        label = Cell("head", told.say(f"audit.stable.{name}"), detail)
        rows.append(row(label, bar(one["mean"], one["low"], one["high"], 1.0), told.num(one), *was))
    columns = [("figure", "wide"), ("share", "plot"), ("share_interval", "num")]
    columns += [("before", "num")] if before else []
    return [
        Text(told.say("audit.stable.lead", found["n_boot"], **people)),
        Text(told.say("audit.stable.conclude", strongest=strongest, **share)),
        Table(
            told.say("audit.stable.caption"),
            columns_of(told, columns),
            tuple(rows),
            told.say("audit.stable.note"),
        ),
        _by_person(found, told),
        _control(found["unchanged"], told),
        Text(told.say("audit.stable.scope")),
    ]


def _by_person(found: Plain, told: Speaker) -> Table:
    """People by how often their first reason stayed."""
    counts, edges = found["by_user"]["first_reason"], [told.number(100 * edge, 0) for edge in found["edges"]]
    names = [told.say("audit.stable.below", low=low, high=high) for low, high in pairwise(edges[:-1])]
    names.append(told.say("audit.stable.bin", low=edges[-2], high=edges[-1]))
    table = histogram(told, told.say("audit.stable.by_person"), "refits", names, counts)
    return replace(table, columns=columns_of(told, (("refits", "wide"), ("share", "plot"), ("people", "num"))))


def _control(same: Plain, told: Speaker) -> Text:
    """One fit on all people as they are: it tells whether the model of the run was learnt from its data."""
    if all(same[name] == (better == "higher") for name, better in _STAYED):
        return Text(told.say("audit.stable.same"))
    share = {name: told.percent(same[name]) for name in ("first_reason", "first_item")}
    return Text(told.say("audit.stable.other_model", **share), "notice")


def fair(plain: Plain, told: Speaker) -> Section:
    """Outcomes by group, each beside the largest group."""
    tables = [table for table in plain["statistics"]["fairness"] if len(table["rows"]) > 1]
    blocks: list[Block] = [Text(told.say("audit.fair.lead")), Text(told.say("audit.fair.small"))]
    for place, table in enumerate(tables, start=1):
        blocks.append(Heading(told.dimension(table["dimension"]), f"fair-{place}"))
        blocks += _compared(table, told)
    single = [told.dimension(t["dimension"]) for t in plain["statistics"]["fairness"] if len(t["rows"]) == 1]
    if single:
        blocks.append(Text(told.say("audit.fair.single", what=told.words.list(single))))
    if not tables:
        blocks.append(Text(told.say("audit.fair.none"), "notice"))
    return Section("fair", told.say("audit.fair.heading"), tuple(blocks))


def _compared(table: Plain, told: Speaker) -> list[Block]:
    if table["reference"] is None:
        return [Text(told.say("audit.fair.all_small"), "notice")]
    rows: list[Row] = []
    for measure in MEASURES:
        figures = [line["figures"].get(measure) for line in table["rows"]]
        if any(figure and figure["mean"] for figure in figures):
            rows.append(Row(group=told.measure(measure)))
            rows += _lines(table, measure, figures, told)
    columns = (
        ("group", "wide"),
        ("value", "plot"),
        ("value_interval", "num"),
        ("ratio_plot", "plot"),
        ("ratio", "num"),
    )
    reference = told.group(table["dimension"], table["reference"])
    note = told.say("audit.hidden", table["hidden"]) if table["hidden"] else ""
    return [
        Table(told.say("audit.fair.caption", group=reference), columns_of(told, columns), tuple(rows), note, "compared")
    ]


def _lines(table: Plain, measure: str, figures: list[Any], told: Speaker) -> list[Row]:
    """One measure of all groups."""
    most = largest([figure and (figure["high"] or figure["mean"]) for figure in figures])
    found = []
    for line, figure in zip(table["rows"], figures, strict=True):
        group, reference = told.group(table["dimension"], line["group"]), line["group"] == table["reference"]
        people = told.say("audit.few_people") if line["people"] is None else told.say("audit.n_people", line["people"])
        if figure is None:
            blank = (Cell("bar"), Cell("num", told.say("audit.left_out")), Cell("ratio"), Cell("num", "\u2013"))
            found.append(Row((Cell("head", group, people), *blank), quiet=True))
            continue
        ratio = figure["ratio"]
        beside = told.say("audit.fair.reference") if reference else told.figure(ratio, "ratio")
        plots = bar(figure["mean"], figure["low"], figure["high"], most), ratio_point(ratio)
        numbers = told.num(figure, measure), Cell("num", beside, told.interval(ratio, "ratio"))
        found.append(row(Cell("head", group, people), plots[0], numbers[0], plots[1], numbers[1]))
    return found


def private(plain: Plain, told: Speaker) -> Section:
    """What was folded, excluded or left out, and what counted against."""
    found, against = plain["statistics"]["privacy"], plain["statistics"]["negative"]
    usage = found["usage"]
    facts = [
        (told.say("audit.private.used"), told.count(usage["used"])),
        (told.say("audit.private.excluded"), told.count(usage["excluded"])),
        (told.say("audit.private.capped"), told.count(usage["capped"])),
        (told.say("audit.private.after"), told.count(usage["after"])),
        (told.say("audit.private.folded"), told.count(found["folded_items"])),
        *((told.say(f"audit.private.{key}_people"), _people(found[key], told)) for key in ("folded", "mostly_folded", "excluded")),
        (told.say("audit.private.against"), told.count(against["lines"])),
        (told.say("audit.private.against_people"), _people(against["people"], told)),
    ]  # fmt: skip
    return Section(
        "private", told.say("audit.private.heading"), (Text(told.say("audit.private.lead")), Facts(tuple(facts)))
    )


def _people(found: Plain | None, told: Speaker) -> str:
    """How many people, with their share."""
    if found is None:
        return "\u2013"
    return told.count(found["count"]) + (f" ({told.percent(found['mean'])})" if found["count"] else "")
