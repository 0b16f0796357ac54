"""The chapters of an audit report that tell figures: from plain data to blocks in words. The order is that of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reportgen.audit.audit_blocks import Block, Cell, Facts, Heading, Row, Section, Table, Text, bar, heat, largest, row
from reportgen.audit.audit_words import Speaker

Plain = Mapping[str, Any]


def scope(
    plain: Plain, told: Speaker, candidates: str = "audit.scope.candidates", events: str = "audit.scope.events"
) -> Section:
    """What was looked at; `candidates` and `events` are the names of two counts, which mean something else of another's model."""
    run, sampling = plain["run"], plain["sampling"]
    users, people = run["users"], plain["statistics"]["people"]
    facts = [
        (told.say("audit.scope.reported"), told.count(users["reported"])),
        (told.say("audit.scope.set_aside"), told.count(users["set_aside"])),
        (told.say("audit.scope.opted_out"), told.count(users["opted_out"])),
        (told.say("audit.scope.not_chosen"), told.count(users["not_chosen"])),
        (told.say(candidates), told.count(plain["statistics"]["concentration"]["candidates"])),
        (told.say(events), told.count(plain["statistics"]["privacy"]["usage"]["used"])),
    ]
    sizes = sampling["sizes"]
    blocks: list[Block] = [
        Facts(tuple(facts)),
        Text(told.say("audit.scope.fold", people)),
        Text(told.say("audit.scope.interval")),
    ]
    if people < 30:
        blocks.append(Text(told.say("audit.scope.few", people), "notice"))
    blocks.append(
        Text(told.say("audit.scope.sample", small=told.count(sizes["0.05"]), large=told.count(sizes["0.01"])))
    )
    blocks.append(Text(told.say("audit.scope.seed", seed=told.foreign(sampling["seed"][:16])), "note"))
    return Section("scope", told.say("audit.scope.heading"), tuple(blocks))


def drives(plain: Plain, told: Speaker) -> Section:
    """What drives the lists, overall, by segment and since the last run."""
    statistics = plain["statistics"]
    blocks: list[Block] = [Text(told.say("audit.drives.lead"))]
    if statistics["evidence"]:
        blocks.append(_kinds(statistics["evidence"], told))
    else:
        blocks.append(Text(told.say("audit.drives.none"), "notice"))
    share = statistics["popularity"]["share"]
    if share is not None:
        people = statistics["popularity"]["people"]
        blocks.append(Text(told.say("audit.drives.popularity", people["count"], share=told.percent(share["mean"]))))
    kinds = [one["kind"] for one in statistics["evidence"]]
    maps = [_by_segment(table, kinds, told) for table in statistics["fairness"] if len(table["rows"]) > 1 and kinds]
    if maps:
        blocks += [
            Heading(told.say("audit.drives.by_group"), "by-group"),
            Text(told.say("audit.drives.by_group_lead")),
            *maps,
        ]
    else:
        blocks.append(Text(told.say("audit.drives.no_groups")))
    return Section("drives", told.say("audit.drives.heading"), (*blocks, *against(plain["against"], told)))


def kind_cells(evidence: Sequence[Plain], told: Speaker) -> list[tuple[Cell, ...]]:
    """Of each kind its name, with how many people have it, and its share as a bar and in numbers."""
    most = largest([one["share"]["high"] or one["share"]["mean"] for one in evidence])
    return [
        (
            Cell("head", told.kind(one["kind"]), told.say("audit.n_people", one["people"])),
            bar(one["share"]["mean"], one["share"]["low"], one["share"]["high"], most),
            told.num(one["share"]),
        )
        for one in evidence
    ]


def _kinds(evidence: Sequence[Plain], told: Speaker) -> Table:
    leads = [Cell("num", told.percent(one["leads"])) for one in evidence]
    rows = [row(*cells, lead) for cells, lead in zip(kind_cells(evidence, told), leads, strict=True)]
    columns = (("kind", "wide"), ("share", "plot"), ("share_interval", "num"), ("leads", "num"))
    return Table(told.say("audit.drives.caption"), _columns(told, columns), tuple(rows), told.say("audit.whisker"))


def _columns(told: Speaker, columns: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((told.say(f"audit.column.{key}"), kind) for key, kind in columns)


def _by_segment(table: Plain, kinds: Sequence[str], told: Speaker) -> Table:
    """Groups down, kinds of evidence across, as whole percentages on colours."""
    rows, dimension = [], table["dimension"]
    means = [_mean(line["figures"].get(f"kind/{kind}")) for line in table["rows"] for kind in kinds]
    most = largest(means)
    for line in table["rows"]:
        cells = [_shade(_mean(line["figures"].get(f"kind/{kind}")), most, told) for kind in kinds]
        rows.append(row(Cell("head", told.group(dimension, line["group"]), _people(line["people"], told)), *cells))
    columns = ((told.say("audit.column.group"), "wide"), *((told.kind(kind, True), "heat") for kind in kinds))
    note = told.say("audit.hidden", table["hidden"]) if table["hidden"] else ""
    return Table(told.say("audit.drives.map", dimension=told.dimension(dimension)), columns, tuple(rows), note, "map")


def _mean(found: Plain | None) -> float | None:
    return None if found is None else float(found["mean"])


def _shade(value: float | None, most: float, told: Speaker) -> Cell:
    return Cell("heat", "\u00b7") if value is None else heat(told.number(100 * value, 0), value, most)


def _people(people: int | None, told: Speaker) -> str:
    return told.say("audit.few_people") if people is None else told.say("audit.n_people", people)


def against(found: Plain | None, told: Speaker) -> list[Block]:
    """What changed since another run."""
    if found is None:
        return [Text(told.say("audit.against.none"), "note")]
    rows = []
    for one in found["changes"]:
        change = one["change"]
        sure = change["low"] is not None and (change["low"] > 0 or change["high"] < 0)
        told_change = told.say("audit.points", change=_signed(100 * change["mean"], told))
        bounds = "" if change["low"] is None else told.say(
            "audit.interval", low=_signed(100 * change["low"], told), high=_signed(100 * change["high"], told)
        )  # fmt: skip
        rows.append(
            Row(
                (
                    Cell("head", told.measure(one["measure"])),
                    Cell("num", told.figure(one["before"])),
                    Cell("num", told.figure(one["now"])),
                    Cell("num", told_change, bounds),
                    Cell(
                        "tag" if sure else "words", told.say("audit.against.sure" if sure else "audit.against.unsure")
                    ),
                ),
                quiet=not sure,
            )
        )
    columns = (("figure", "wide"), ("before", "num"), ("now", "num"), ("change", "num"), ("clear", "words"))
    caption = told.say("audit.against.caption", run=told.foreign(found["run_id"]), date=told.day(found["as_of"]))
    return [
        Heading(told.say("audit.against.heading"), "against"),
        Table(caption, _columns(told, columns), tuple(rows), told.say("audit.against.note")),
    ]


def _signed(value: float, told: Speaker) -> str:
    said = told.number(value)
    return f"+{said}" if value > 0 and float(f"{value:.1f}") else said


def concentration(plain: Plain, told: Speaker, words: str = "spread") -> Section:
    """How evenly products are shown, and how much of a list hangs on one reason; `words` where what is spread is no reason."""
    found = plain["statistics"]["concentration"]
    shown = _part_of(found["products"], found["candidates"], told)
    figures = (
        ("coverage", told.percent(found["coverage"]), shown),
        ("top", told.percent(found["top"]), ""),
        ("tail", told.figure(found["tail"]), told.interval(found["tail"])),
        ("gini", _plain(found["gini"], told), ""),
        ("entropy", _plain(found["entropy"], told), ""),
    )
    rows = [
        row(
            Cell("head", told.say(f"audit.spread.{key}"), told.say(f"audit.spread.{key}_what")),
            Cell("num", value, detail),
        )
        for key, value, detail in figures
    ]
    tables = [
        Table(told.say("audit.spread.caption"), _columns(told, (("figure", "wide"), ("value", "num"))), tuple(rows))
    ]
    strongest, effective, tenths = found["strongest"], found["effective"], found["tenths"]
    blocks: list[Block] = [Text(told.say(f"audit.{words}.lead")), *tables]
    if strongest is not None and sum(tenths):
        blocks.append(Heading(told.say("audit.spread.within"), "within"))
        mean, items = told.percent(strongest["mean"]), told.figure(effective, "effective")
        blocks.append(Text(told.say(f"audit.{words}.strongest", share=mean, items=items)))
        column = "strongest" if words == "spread" else "largest"
        names = [told.say("audit.spread.tenth", low=10 * k, high=10 * k + 10) for k in range(10)]
        blocks.append(_histogram(told, told.say(f"audit.{words}.tenths"), column, names, tenths))
    return Section("concentration", told.say("audit.spread.heading"), tuple(blocks))


def _part_of(part: int, whole: int, told: Speaker) -> str:
    return told.say("audit.spread.of", part=told.count(part), whole=told.count(whole))


def _plain(value: float | None, told: Speaker) -> str:
    return "\u2013" if value is None else told.number(value, 3)


def _histogram(told: Speaker, caption: str, column: str, names: Sequence[str], counts: Sequence[int]) -> Table:
    """Bars of counts, each beside its number and share."""
    total, most = sum(counts) or 1, max([*counts, 1])
    rows = [
        row(Cell("head", label), bar(count, None, None, most), Cell("num", told.count(count), told.percent(count / total)))
        for label, count in zip(names, counts, strict=True)
    ]  # fmt: skip
    columns = _columns(told, ((column, "wide"), ("share", "plot"), ("products", "num")))
    return Table(caption, columns, tuple(rows), kind="bars")


def age(plain: Plain, told: Speaker, words: str = "age", none: str = "audit.drives.none") -> Section:
    """How old the events are that carry the weight, and of which kind."""
    statistics = plain["statistics"]
    ages = [(_days(one, told), one["share"]) for one in statistics["age"]]
    events = [(_event(one["event"], told), one["share"]) for one in statistics["events"]]
    blocks: list[Block] = [Text(told.say(f"audit.{words}.lead"))]
    if any(share is not None and share["mean"] for _, share in ages):
        blocks.append(_shares(told, told.say("audit.age.caption"), "age", ages))
        blocks.append(_shares(told, told.say("audit.age.events_caption"), "event", events))
        blocks.append(Text(told.say("audit.age.source"), "note"))
    else:
        blocks.append(Text(told.say(none), "notice"))
    return Section("age", told.say(f"audit.{words}.heading"), tuple(blocks))


def _days(one: Plain, told: Speaker) -> str:
    if one["to"] is None:
        return told.say("audit.age.older", one["from"])
    return (
        told.say("audit.age.first", one["to"])
        if not one["from"]
        else told.say("audit.age.days", low=one["from"], high=one["to"])
    )


def _event(event: str, told: Speaker) -> str:
    key = f"audit.event.{event}"
    return told.words.say(key) if key in told.words else told.foreign(event)


def _shares(told: Speaker, caption: str, column: str, shares: Sequence[tuple[str, Plain | None]]) -> Table:
    """Bars with intervals."""
    most = largest([None if share is None else share["high"] or share["mean"] for _, share in shares])
    rows = []
    for label, share in shares:
        plot = Cell("bar") if share is None else bar(share["mean"], share["low"], share["high"], most)
        rows.append(row(Cell("head", label), plot, told.num(share)))
    columns = _columns(told, ((column, "wide"), ("share", "plot"), ("share_interval", "num")))
    return Table(caption, columns, tuple(rows), kind="bars")


def paid(plain: Plain, told: Speaker, known: str = "") -> Section:
    """Sponsored products and personalised prices; `known` ends the key of what is known of payment and scores."""
    sponsored, prices = plain["statistics"]["sponsored"], plain["statistics"]["prices"]
    blocks: list[Block] = [*_marked("sponsored", sponsored, told, known), *_marked("priced", prices, told)]
    if prices["mean"] is not None:
        mean, currency = told.figure(prices["mean"], "price"), told.foreign(prices["currency"] or "")
        blocks.append(Text(told.say("audit.paid.price", mean=mean, currency=currency)))
    return Section("paid", told.say("audit.paid.heading"), tuple(blocks))


def _marked(key: str, found: Plain, told: Speaker, known: str = "") -> list[Block]:
    if not found["places"]:
        return [Text(told.say(f"audit.paid.no_{key}"))]
    rank, usual = told.number(found["mean_rank"], 2), told.number(found["mean_rank_of_all"], 2)
    share, people = told.percent(found["share"]["mean"]), found["people"]["count"]
    lead = told.say(
        f"audit.paid.{key}{known}", people, share=share, interval=told.interval(found["share"]), rank=rank, usual=usual
    )
    ranks = [(one, one["of_them"] / one["places"]) for one in found["ranks"]]
    most = largest([part for _, part in ranks])
    rows = [
        row(
            Cell("head", told.count(one["rank"])),
            bar(part, None, None, most),
            Cell("num", told.percent(part), _part_of(one["of_them"], one["places"], told)),
        )
        for one, part in ranks
    ]
    columns = _columns(told, (("rank", "wide"), ("share", "plot"), ("share_here", "num")))
    return [Text(lead), Table(told.say(f"audit.paid.{key}_caption"), columns, tuple(rows), kind="bars")]


histogram, columns_of, shares_of = _histogram, _columns, _shares
