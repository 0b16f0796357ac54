"""A seeded synthetic shop with planted causes: every purchase knows why it happened.

The demo runs on it, and it is the known answer in tests: an explanation is right when it finds the planted cause.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]

EVENT_TYPES = ("view", "cart", "purchase", "return")
CAUSES = ("popular", "together", "next", "category", "brand", "price", "tags", "again")
#: Shares of the causes among purchases that have a history; where no past event fits, the cause becomes popular.
CAUSE_SHARES = (0.18, 0.24, 0.16, 0.14, 0.08, 0.06, 0.06, 0.08)
PRICE_RATIO = 1.2  # a similar price is at most this factor away
HALF_LIFE = 3.0  # after so many orders a past purchase is half as likely to be the cause
RETURN_RATE, BRAND_AVERSION = 0.04, 0.7  # the second: share of draws of a returned brand that are drawn again
DAYS, MAX_ORDERS = 730, 60
_DAY, _CATEGORY, _AGAIN = 86_400, CAUSES.index("category"), CAUSES.index("again")
_SPEC = re.compile(r"(.+):(\d+)([*!]*)(?:>(.+))?")

# Per aisle: name; first letters of three aisles it goes with; brands; product lines; products as name:price, where
# * = used up, ! = sensitive, >name = what people go on to. Lists are split at "|".
_AISLES = (
    ("Coffee & Tea", "KHB", "Hearthline|Kaffa Lane|Blue Heron|Morrow & Finch",
     "Everyday|Barista|Slow Morning|Nordic|Heritage|Weekend|Copper Street|Travel",
     "Coffee Beans:14*|Espresso Pods:9*|Green Tea:8*|Chai Blend:9*|Paper Filters:5*|"
     "Pour-Over Set:36>Paper Filters|Espresso Machine:249>Espresso Pods|Hand Grinder:54>Coffee Beans|"
     "Teapot:32>Green Tea|Milk Frother:29|Stoneware Mug:14"),
    ("Kitchen", "CGH", "Hearthline|Tamarind & Sons|Oak Spoon|Lumen",
     "Everyday|Chef's Choice|Nordic|Heritage|Farmhouse|Compact|Copper Street|Family",
     "Chef's Knife:69>Whetstone|Whetstone:24|Cast-Iron Pan:58>Pan Brush|Pan Brush:9*|Sourdough Kit:32>Rye Starter|"
     "Rye Starter:6*|Salad Bowl:28|Spice Rack:39>Spice Refill|Spice Refill:5*|Olive Oil:13*|Cutting Board:35"),
    ("Home", "KWP", "Linden House|Soft Harbour|Tamarind & Sons|Nook",
     "Everyday|Nordic|Harbour|Coastal|Heritage|Cosy|Meadow|Midnight",
     "Linen Cushion:26|Wool Blanket:74|Duvet Cover:64>Pillowcase|Pillowcase:16|Reed Diffuser:24>Diffuser Refill|"
     "Diffuser Refill:12*|Scented Candle:17*|Storage Basket:29|Reading Lamp:59|Jute Rug:89|Laundry Soap:9*"),
    ("Garden", "OKP", "Fern & Furrow|Green Almanac|Oak Spoon|Wren Garden",
     "Everyday|Balcony|Cottage|Heritage|Meadow|Compact|Family|Riverside",
     "Herb Planter:29>Herb Seeds|Herb Seeds:4*|Potting Soil:8*|Plant Food:10*|Pruning Shears:27|Watering Can:24|"
     "Raised Bed:119>Potting Soil|Bird Feeder:22>Bird Seed|Bird Seed:7*|Garden Gloves:13|Solar Lantern:19"),
    ("Outdoor", "FCD", "North Fell|Trailmark|Fern & Furrow|Alder Peak",
     "Everyday|Summit|Ultralight|Weekend|Heritage|Family|Riverside|Nomad",
     "Daypack:79|Two-Person Tent:199>Tent Repair Kit|Tent Repair Kit:14|Sleeping Bag:119>Sleeping Bag Liner|"
     "Head Torch:34|Sleeping Bag Liner:28|Camp Stove:59>Gas Canister|Gas Canister:7*|Water Bottle:21|"
     "Merino Socks:18|Trail Bar Box:16*"),
    ("Fitness", "OWD", "Trailmark|Steady|Kinetic Lane|Soft Harbour",
     "Everyday|Studio|Summit|Balance|Compact|Pro|Midnight|Travel",
     "Yoga Mat:39>Yoga Block|Yoga Block:14|Resistance Band:12|Kettlebell:44|Foam Roller:26>Massage Ball|"
     "Massage Ball:9|Protein Powder:29*|Electrolyte Tablets:8*|Sports Watch:149>Watch Strap|Watch Strap:19|"
     "Weight-Loss Shake:24*!"),
    ("Stationery", "DBC", "Inkwell & Daughters|Paper Finch|Nook|Atlas Desk",
     "Everyday|Studio|Nordic|Heritage|Compact|Meadow|Midnight|Travel",
     "Fountain Pen:48>Ink Cartridges|Ink Cartridges:6*|Dotted Notebook:15>Notebook Refill|Notebook Refill:8*|"
     "Week Planner:22|Gel Pen Set:11*|Sketchbook:17>Drawing Pencils|Drawing Pencils:14*|Letter Set:13|"
     "Wax Seal Kit:25>Sealing Wax|Sealing Wax:7*"),
    ("Desk & Audio", "SHB", "Lumen|Atlas Desk|Quiet Fox|Kinetic Lane",
     "Everyday|Studio|Compact|Pro|Nordic|Midnight|Summit|Travel",
     "Headphones:129>Ear Pads|Ear Pads:19*|Desk Speaker:89|Keyboard:99>Keycap Set|Keycap Set:39|Wireless Mouse:45|"
     "USB-C Hub:49>USB-C Cable|USB-C Cable:12|Laptop Stand:42|Desk Lamp:64|Rechargeable Batteries:16*"),
    ("Books & Games", "CHS", "Paper Finch|Lantern Press|Green Almanac|Quiet Fox",
     "Pocket|Illustrated|Classic|Weekend|Family|Midnight|Collector's|Travel",
     "Cookbook:28|Mystery Novel:12>Mystery Sequel|Mystery Sequel:13|Poetry Collection:15|"
     "Card Game:14>Card Game Expansion|Card Game Expansion:11|Board Game:39|Jigsaw Puzzle:18|Crossword Book:8*|"
     "Grief Workbook:17!|Prayer Book:16!"),
    ("Wash & Beauty", "HFI", "Saltmarsh|Linden House|Petal & Pine|Blue Heron",
     "Everyday|Gentle|Coastal|Meadow|Nordic|Midnight|Calm|Travel",
     "Shampoo Bar:9*|Hand Cream:11*|Bath Salts:13*|Safety Razor:36>Razor Blades|Razor Blades:8*|"
     "Bamboo Toothbrush:5*|Hair Brush:21|Soap Dispenser:18>Soap Refill|Soap Refill:7*|Bath Towel:27|"
     "Hair-Loss Serum:32*!"),
    ("Pets", "HGO", "Barkley's|Whisker Lane|Wren Garden|Good Paw",
     "Everyday|Junior|Senior|Country|Cosy|Gentle|Family|Travel",
     "Dog Food:34*|Cat Food:29*|Dog Treats:8*|Cat Litter:12*|Dog Lead:24|Dog Bed:69>Dog Bed Cover|"
     "Dog Bed Cover:28|Cat Tree:84>Scratching Pad|Scratching Pad:12*|Feeding Bowl:16|"
     "Pet Fountain:44>Fountain Filter|Fountain Filter:10*"),
    ("Intimate Health", "WHF", "Calmwell|Petal & Pine|Ovia Grey|Steady",
     "Everyday|Gentle|Discreet|Balance|Calm|Sensitive|Compact|Travel",
     "Menstrual Cup:24!>Cup Cleanser|Cup Cleanser:9*!|Condoms:11*!|Lubricant:13*!|Pregnancy Test:9*!|"
     "Ovulation Test:15*!|Glucose Meter:39!>Glucose Strips|Glucose Strips:26*!|Sleep Tablets:12*!|"
     "Nicotine Patches:22*!|Heat Patches:10*!"),
)  # fmt: skip
_TAGS = "vegan|recycled|handmade|gift|small spaces|refillable|quiet|organic|for two|fair trade|rainy days|local".split(
    "|"
)
_NAMES = (
    "Amara|Mateo|Zoë|Kofi|Ingrid|Yusuf|Priya|Lukas|Chloé|Hiro|Nadia|Søren|Leila|Tomás|Aisha|Bram|Noor|Elif|Jakub|Maeve|"
    "Wei|Xin|Mei|Ravi|Sofia|Omar|Freya|Diego|Anouk|Kwame|Hana|Oskar|Thandi|Giulia|Samir|Astrid|Linh|Mira|Jonas|Ximena"
).split("|")
_NAMES_ZH = [a + b for a in "王李张刘陈杨赵黄" for b in "芳|伟|娜|静|小雨|明轩|思远|佳怡|晓东|雨桐".split("|")]


@dataclass(frozen=True, eq=False)
class Shop:
    """A made-up shop as four tables, and the pairs that were planted.

    ``events``: user_id, item_id, timestamp (UTC, no zone), event_type, quantity, order_id (one per visit), sorted.
    ``items``: item_id, title, category, brand, price, currency, tags (list), description, sensitive, sponsored.
    ``users``: user_id, name, email, locale, segment, opted_out.
    ``truth``: per purchase user_id, item_id, timestamp, cause, cause_item_id (None where the cause is popular).
    ``pairs``: item_id, kind (together or next), other_item_id.
    """

    events: pd.DataFrame
    items: pd.DataFrame
    users: pd.DataFrame
    truth: pd.DataFrame
    pairs: pd.DataFrame


def make_shop(
    n_users: int = 2000,
    n_items: int = 600,
    random_state: int = 0,
    mean_orders: float = 8.0,
    end: str = "2026-06-30",
    cause_shares: Mapping[str, float] | None = None,
) -> Shop:
    """Make a shop whose last day is ``end``. The catalogue depends on ``n_items`` and ``random_state`` alone.

    ``cause_shares`` replaces `CAUSE_SHARES` (scaled to sum 1; a cause that is not named does not occur).
    """
    if n_users < 1 or n_items < 2 * len(_AISLES) or mean_orders < 1:
        raise ValueError(f"a shop needs n_users >= 1, n_items >= {2 * len(_AISLES)} and mean_orders >= 1")
    wanted = dict(zip(CAUSES, CAUSE_SHARES, strict=True)) if cause_shares is None else cause_shares
    if unknown := sorted(set(wanted) - set(CAUSES)):
        raise ValueError(f"unknown cause {unknown[0]!r}: a cause is one of {', '.join(CAUSES)}")
    rngs = [np.random.default_rng([random_state, room]) for room in range(4)]
    catalogue = _Catalogue(n_items, rngs[0])
    plan = _make_plan(n_users, mean_orders, rngs[1])
    lines = _simulate(catalogue, plan, np.array([wanted.get(cause, 0.0) for cause in CAUSES]), rngs[2])
    users = _user_frame(plan.n_orders, rngs[3])
    user_ids, item_ids = users["user_id"].to_numpy(object), catalogue.frame["item_id"].to_numpy(object)
    epoch = int(np.datetime64(end, "s").astype(np.int64)) - (DAYS - 1) * _DAY
    events = _event_frame(_make_log(catalogue, plan, lines, rngs[1]), user_ids, item_ids, epoch)
    return Shop(events, catalogue.frame, users, _truth_frame(plan, lines, user_ids, item_ids, epoch), catalogue.pairs())


class _Catalogue:
    """The items, and for each cause and source item the run of ``members`` that the cause leads to."""

    def __init__(self, n_items: int, rng: np.random.Generator) -> None:
        self.frame, self.successor, self.consumable = _make_items(n_items, rng)
        self.brand = pd.factorize(self.frame["brand"])[0]
        self.complements = _make_complements(self.frame["category"].to_numpy(object), rng)
        popularity = 1.0 / (rng.permutation(n_items) + 10.0) ** 0.8
        every, price = np.arange(n_items), self.frame["price"].to_numpy()
        by_price = np.argsort(price, kind="stable")
        tags = [(tag, item) for item, own in enumerate(self.frame["tags"]) for tag in own]
        first_tag = np.array([own[0] for own in self.frame["tags"]], dtype=object)
        runs = [
            (every, 0 * every, 0 * every + n_items),
            (self.complements.ravel(), 3 * every, 3 * every + 3),
            (self.successor, every, every + (self.successor >= 0)),
            _grouped(self.frame["category"].to_numpy(object), every, self.frame["category"].to_numpy(object)),
            _grouped(self.frame["brand"].to_numpy(object), every, self.frame["brand"].to_numpy(object)),
            (
                by_price,
                *(np.searchsorted(price[by_price], edge) for edge in (price / PRICE_RATIO, price * PRICE_RATIO)),
            ),
            _grouped(np.array([tag for tag, _ in tags], dtype=object), np.array([item for _, item in tags]), first_tag),
            (every, every, every + self.consumable),
        ]
        offset = np.cumsum([0] + [len(members) for members, _, _ in runs[:-1]])[:, None]
        self.lo, self.hi = (np.stack([run[side] for run in runs]) + offset for side in (1, 2))
        self.members = np.concatenate([members for members, _, _ in runs])
        self.upto = np.concatenate(([0.0], np.cumsum(popularity[self.members])))

    def draw(self, cause: Array, source: Array, rng: np.random.Generator) -> Array:
        """Draw one item per row, by popularity, among those the cause leads to from the source."""
        lo, hi = self.lo[cause, source], self.hi[cause, source]
        point = self.upto[lo] + rng.random(len(lo)) * (self.upto[hi] - self.upto[lo])
        drawn: Array = self.members[np.clip(np.searchsorted(self.upto, point, "right") - 1, lo, hi - 1)]
        return drawn

    def pairs(self) -> pd.DataFrame:
        ids, starter = self.frame["item_id"].to_numpy(object), np.flatnonzero(self.successor >= 0)
        source = np.concatenate([np.repeat(np.arange(len(ids)), 3), starter])
        target = np.concatenate([self.complements.ravel(), self.successor[starter]])
        kind = np.repeat(["together", "next"], [3 * len(ids), len(starter)])
        return pd.DataFrame({"item_id": ids[source], "kind": kind, "other_item_id": ids[target]})


def _grouped(keys: Array, members: Array, wanted: Array) -> tuple[Array, Array, Array]:
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    return members[order], np.searchsorted(ranked, wanted, "left"), np.searchsorted(ranked, wanted, "right")


def _make_complements(category: Array, rng: np.random.Generator) -> Array:
    complements = np.empty((len(category), 3), dtype=np.int64)
    shelf = {name[0]: np.flatnonzero(category == name) for name, *_ in _AISLES}
    for name, goes_with, *_ in _AISLES:
        for column, initial in enumerate(goes_with):
            own = shelf[name[0]]
            complements[own, column] = rng.choice(shelf[initial], len(own))
    return complements


def _make_items(n_items: int, rng: np.random.Generator) -> tuple[pd.DataFrame, Array, Array]:
    """Return the items, the item each one leads on to (-1: none), and whether it is used up."""
    rows, specs = [], []
    for number in rng.permutation(n_items):
        k, aisle = divmod(int(number), len(_AISLES))
        category, _, brands, lines, shelf = (part.split("|") for part in _AISLES[aisle])
        name, price, flags, follow_on = _SPEC.findall(shelf[k % len(shelf)])[0]
        edition, turn = divmod(k // len(shelf), len(lines))
        line = (turn + 5 * (k % len(shelf))) % len(lines)
        title = f"{lines[line]} {name}" + (f", Edition {edition + 1}" if edition else "")
        exact = float(price) * (0.8 + 0.05 * line) * rng.lognormal(0.0, 0.1)
        tags, brand = (
            [str(tag) for tag in rng.choice(_TAGS, rng.integers(2, 4), replace=False)],
            str(rng.choice(brands)),
        )
        about = f"{title} by {brand}. Chosen for: {', '.join(tags)}." if rng.random() < 0.7 else None
        sponsored = bool(rng.random() < 0.03)
        rows.append((title, category[0], brand, round(exact) - 0.1, "EUR", tags, about, "!" in flags, sponsored))
        specs.append((name, follow_on, "*" in flags))
    columns = ["title", "category", "brand", "price", "currency", "tags", "description", "sensitive", "sponsored"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["description"] = pd.Series([row[6] for row in rows], dtype="object")  # None stays None
    frame.insert(0, "item_id", _labels("i", np.arange(1, n_items + 1), 5))
    return frame, _successors(specs, frame["price"].to_numpy(), rng), np.array([used for _, _, used in specs])


def _successors(specs: list[tuple[str, str, bool]], price: Array, rng: np.random.Generator) -> Array:
    """Per item a follow-on product where there is one, else the next dearer item of the same kind, else -1."""
    shelf: dict[str, list[int]] = {}
    for item in np.argsort(price, kind="stable"):
        shelf.setdefault(specs[item][0], []).append(int(item))
    successor = np.full(len(specs), -1)
    for item, (name, follow_on, _) in enumerate(specs):
        place = shelf[name].index(item) + 1
        if follow_on in shelf:
            successor[item] = rng.choice(shelf[follow_on])
        elif place < len(shelf[name]):
            successor[item] = shelf[name][place]
    return successor


class _Plan(NamedTuple):
    """When each user orders: arrays (U,) and (U, K); day and start only hold where there is an order."""

    n_orders: Array
    n_lines: Array
    day: Array  # (U, K + 1), the day of each order and the end after the last
    start: Array  # second at which the visit begins


def _make_plan(n_users: int, mean_orders: float, rng: np.random.Generator) -> _Plan:
    n_orders = 1 + np.minimum(rng.poisson(rng.gamma(1.5, (mean_orders - 1) / 1.5, n_users)), MAX_ORDERS - 1)
    k = np.arange(n_orders.max() + 1)
    gaps = rng.gamma(1.2, size=(n_users, len(k))) * (k <= n_orders[:, None])
    first = rng.integers(0, DAYS * 4 // 5, n_users)
    share = gaps.cumsum(1) / gaps.sum(1, keepdims=True)
    day = (first[:, None] + share * (DAYS - first - n_orders)[:, None]).astype(np.int64) + k
    day[k >= n_orders[:, None]] = DAYS
    n_lines = (1 + np.minimum(rng.poisson(0.7, day[:, 1:].shape), 3)) * (k[:-1] < n_orders[:, None])
    hour = 9 + 12 * rng.beta(2, 2, n_lines.shape)
    return _Plan(n_orders, n_lines, day, day[:, :-1] * _DAY + (3600 * hour).astype(np.int64))


class _Lines(NamedTuple):
    """Purchases, one per row, as codes; ``source`` is -1 where the cause is popular."""

    user: Array
    order: Array
    item: Array
    cause: Array
    source: Array
    returned: Array


def _simulate(catalogue: _Catalogue, plan: _Plan, shares: Array, rng: np.random.Generator) -> _Lines:
    """Go through the orders, all users at once: the k-th order of everybody is one step.

    ``spoilt`` marks returned items, which stop being causes; ``shunned`` the brands of what a user returned.
    """
    n_users, width = len(plan.n_orders), int(plan.n_lines.sum(1).max())
    items, orders = np.full((n_users, width), -1, np.int32), np.zeros((n_users, width), np.int32)
    spoilt, shunned = np.zeros((n_users, width), bool), np.zeros((n_users, catalogue.brand.max() + 1), bool)
    length, mix, done = (
        np.zeros(n_users, np.int64),
        rng.gamma(20 * shares / shares.sum(), size=(n_users, len(shares))),
        [],
    )
    mix = mix.cumsum(1) / mix.sum(1, keepdims=True)  # each user has tastes of their own around the shares
    for k in range(plan.n_lines.shape[1]):
        user = np.repeat(np.arange(n_users), plan.n_lines[:, k])
        past = slice(0, max(1, length.max()))
        cause = np.minimum((mix[user] <= rng.random(len(user))[:, None]).sum(1), len(shares) - 1)
        seen = items[user, past]
        usable = (seen >= 0) & ~spoilt[user, past] & (catalogue.hi > catalogue.lo)[cause[:, None], seen]
        source = _draw_source(seen, usable * 0.5 ** ((k - orders[user, past]) / HALF_LIFE), rng)
        cause, source = np.where(source < 0, 0, cause), np.where(cause == 0, -1, source)
        item, keep = _pick(catalogue, cause, source, seen, shunned[user], rng)
        keep[keep] = ~pd.Series(user[keep] * len(catalogue.brand) + item[keep]).duplicated().to_numpy()
        user, item, cause, source = user[keep], item[keep], cause[keep], source[keep]
        place = length[user] + np.arange(len(user)) - np.searchsorted(user, user)
        items[user, place], orders[user, place] = item, k
        length = np.bincount(user, minlength=n_users) + length
        returned = (rng.random(len(user)) < RETURN_RATE) & (plan.day[user, k + 1] - plan.day[user, k] > 1)
        shunned[user[returned], catalogue.brand[item[returned]]] = True
        np.logical_or.at(spoilt, user[returned], items[user[returned]] == item[returned, None])
        done.append(_Lines(user, np.full(len(user), k), item, cause, source, returned))
    return _Lines(*(np.concatenate(column) for column in zip(*done, strict=True)))


def _draw_source(seen: Array, weight: Array, rng: np.random.Generator) -> Array:
    """Draw a past item per row by weight; -1 where all weights are zero."""
    upto = weight.cumsum(1)
    slot = (upto <= (upto[:, -1] * rng.random(len(upto)))[:, None]).sum(1)
    source = seen[np.arange(len(seen)), np.minimum(slot, seen.shape[1] - 1)]
    return np.where(upto[:, -1] > 0, source, -1)


def _pick(
    catalogue: _Catalogue, cause: Array, source: Array, seen: Array, shunned: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Draw items, again where the user has it or shuns its brand, at last by popularity (then writes cause, source)."""
    item, row = catalogue.draw(cause, source, rng), np.arange(len(cause))
    for attempt in range(8):
        owned = (seen == item[:, None]).any(1) & (cause != _AGAIN)
        again = owned | (shunned[row, catalogue.brand[item]] & (rng.random(len(item)) < BRAND_AVERSION))
        if attempt == 3:
            cause[again], source[again] = 0, -1
        item[again] = catalogue.draw(cause[again], source[again], rng)
    return item, (cause == _AGAIN) | ~(seen == item[:, None]).any(1)


class _Log(NamedTuple):
    """Events as codes; ``time`` in seconds after the first midnight, ``kind`` an index into `EVENT_TYPES`."""

    user: Array
    item: Array
    time: Array
    kind: Array
    quantity: Array
    visit: Array


def _make_log(catalogue: _Catalogue, plan: _Plan, lines: _Lines, rng: np.random.Generator) -> _Log:
    """Put views and carts before each checkout; add looks without a purchase, and returns before the next order."""
    n, (user, order, item, *_), one = len(lines.user), lines, np.ones(len(lines.user), np.int64)
    start, day = plan.start[user, order], plan.day[user, order]
    since = np.where(order > 0, day - plan.day[user, order - 1], 1)
    until = plan.day[user, order + 1] - day
    view, look = start + rng.integers(0, 900, n), catalogue.draw(_CATEGORY * one, item, rng)
    cart, looked = view + rng.integers(60, 300, n), start + rng.integers(0, 1400, n)
    early = (day - rng.integers(0, since)) * _DAY + rng.integers(6 * 3600, 8 * 3600, n)
    back = (day + 1 + rng.integers(0, np.clip(until - 1, 1, 30))) * _DAY + rng.integers(12 * 3600, 18 * 3600, n)
    quantity = one + catalogue.consumable[item] * rng.binomial(2, 0.3, n)
    visit, alone = user * MAX_ORDERS + order, len(plan.n_orders) * MAX_ORDERS + np.arange(n)
    parts = [
        (rng.random(n) < 0.85, (user, item, view, 0 * one, one, visit)),
        (rng.random(n) < 0.5, (user, item, cart, 1 * one, one, visit)),
        (rng.random(n) < 0.5, (user, look, looked, 0 * one, one, visit)),
        (rng.random(n) < 0.08, (user, look, looked + 60, 1 * one, one, visit)),
        (rng.random(n) < 0.25, (user, catalogue.draw(_CATEGORY * one, look, rng), early, 0 * one, one, alone)),
        (one > 0, (user, item, start + 1500, 2 * one, quantity, visit)),
        (lines.returned, (user, item, back, 3 * one, quantity, alone + n)),
    ]
    log = [np.concatenate([columns[place][kept] for kept, columns in parts]) for place in range(6)]
    ranked = np.lexsort((log[1], log[3], log[0], log[2]))
    return _Log(*(column[ranked] for column in log))


def _event_frame(log: _Log, user_ids: Array, item_ids: Array, epoch: int) -> pd.DataFrame:
    visit, _ = pd.factorize(log.visit)
    columns = {"user_id": user_ids[log.user], "item_id": item_ids[log.item], "timestamp": _moments(epoch + log.time)}
    kinds = np.array(EVENT_TYPES, dtype=object)[log.kind]
    return pd.DataFrame(
        columns | {"event_type": kinds, "quantity": log.quantity, "order_id": _labels("o", visit + 1, 7)}
    )


def _truth_frame(plan: _Plan, lines: _Lines, user_ids: Array, item_ids: Array, epoch: int) -> pd.DataFrame:
    time = plan.start[lines.user, lines.order] + 1500
    by = np.lexsort((lines.item, lines.user, time))
    cause, source = np.array(CAUSES, dtype=object)[lines.cause[by]], lines.source[by]
    frame = pd.DataFrame({"user_id": user_ids[lines.user[by]], "item_id": item_ids[lines.item[by]]})
    frame = frame.assign(timestamp=_moments(epoch + time[by]), cause=cause)
    return frame.assign(cause_item_id=pd.Series(np.array([*item_ids, None], dtype=object)[source], dtype="object"))


def _moments(seconds: Array) -> Array:
    return seconds.astype("datetime64[s]").astype("datetime64[us]")


def _labels(prefix: str, numbers: Array, width: int) -> Array:
    return np.char.add(prefix, np.char.zfill(numbers.astype(np.str_), width)).astype(object)


def _user_frame(n_orders: Array, rng: np.random.Generator) -> pd.DataFrame:
    n, number = len(n_orders), rng.permutation(len(n_orders))
    chinese = rng.random(n) < 0.15
    initials = [f" {letter}." for letter in "ABCDEFGHKLMNPRSTVWYZ"]
    latin = np.char.add(rng.choice(_NAMES, n), rng.choice(initials, n))
    out = np.isin(number, np.arange(max(round(0.01 * n), int(n >= 20))))
    columns = {
        "user_id": _labels("u", np.arange(1, n + 1), 5),
        "name": np.where(chinese, rng.choice(_NAMES_ZH, n), latin).astype(object),
        "email": _labels("shopper.", number, 5) + "@example.org",
        "locale": np.where(chinese, "zh-CN", "en").astype(object),
        "segment": np.array(["new", "regular", "loyal"], dtype=object)[np.searchsorted([4, 12], n_orders, "right")],
    }
    return pd.DataFrame(columns | {"opted_out": out})
