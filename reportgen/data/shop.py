"""A seeded synthetic shop with planted causes: every purchase knows why it happened.

The demo runs on it, and it is the known answer in tests: an explanation is right when it finds the planted cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from reportgen.data.shop_items import PRICE_RATIO, Array, Catalogue, labels
from reportgen.data.shop_words import AISLES, NAMES, NAMES_ZH

__all__ = ["CAUSES", "CAUSE_SHARES", "EVENT_TYPES", "PRICE_RATIO", "Shop", "make_shop"]

EVENT_TYPES = ("view", "cart", "purchase", "return")
CAUSES = ("popular", "together", "next", "category", "brand", "price", "tags", "again")
#: Shares of the causes among purchases that have a history; where no past event fits, the cause becomes popular.
CAUSE_SHARES = (0.18, 0.24, 0.16, 0.14, 0.08, 0.06, 0.06, 0.08)
HALF_LIFE = 3.0  # after so many orders a past purchase is half as likely to be the cause
RETURN_RATE, BRAND_AVERSION = 0.04, 0.7  # the second: share of draws of a returned brand that are drawn again
DAYS, MAX_ORDERS = 730, 60
_DAY, _CATEGORY, _AGAIN = 86_400, CAUSES.index("category"), CAUSES.index("again")


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
    if n_users < 1 or n_items < 2 * len(AISLES) or mean_orders < 1:
        raise ValueError(f"a shop needs n_users >= 1, n_items >= {2 * len(AISLES)} and mean_orders >= 1")
    wanted = dict(zip(CAUSES, CAUSE_SHARES, strict=True)) if cause_shares is None else cause_shares
    if unknown := sorted(set(wanted) - set(CAUSES)):
        raise ValueError(f"unknown cause {unknown[0]!r}: a cause is one of {', '.join(CAUSES)}")
    rngs = [np.random.default_rng([random_state, room]) for room in range(4)]
    catalogue = Catalogue(n_items, rngs[0])
    plan = _make_plan(n_users, mean_orders, rngs[1])
    lines = _simulate(catalogue, plan, np.array([wanted.get(cause, 0.0) for cause in CAUSES]), rngs[2])
    users = _user_frame(plan.n_orders, rngs[3])
    user_ids, item_ids = users["user_id"].to_numpy(object), catalogue.frame["item_id"].to_numpy(object)
    epoch = int(np.datetime64(end, "s").astype(np.int64)) - (DAYS - 1) * _DAY
    events = _event_frame(_make_log(catalogue, plan, lines, rngs[1]), user_ids, item_ids, epoch)
    return Shop(events, catalogue.frame, users, _truth_frame(plan, lines, user_ids, item_ids, epoch), catalogue.pairs())


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


def _simulate(catalogue: Catalogue, plan: _Plan, shares: Array, rng: np.random.Generator) -> _Lines:
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
    catalogue: Catalogue, cause: Array, source: Array, seen: Array, shunned: Array, rng: np.random.Generator
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


def _make_log(catalogue: Catalogue, plan: _Plan, lines: _Lines, rng: np.random.Generator) -> _Log:
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
        columns | {"event_type": kinds, "quantity": log.quantity, "order_id": labels("o", visit + 1, 7)}
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


def _user_frame(n_orders: Array, rng: np.random.Generator) -> pd.DataFrame:
    n, number = len(n_orders), rng.permutation(len(n_orders))
    chinese = rng.random(n) < 0.15
    initials = [f" {letter}." for letter in "ABCDEFGHKLMNPRSTVWYZ"]
    latin = np.char.add(rng.choice(NAMES, n), rng.choice(initials, n))
    out = np.isin(number, np.arange(max(round(0.01 * n), int(n >= 20))))
    columns = {
        "user_id": labels("u", np.arange(1, n + 1), 5),
        "name": np.where(chinese, rng.choice(NAMES_ZH, n), latin).astype(object),
        "email": labels("shopper.", number, 5) + "@example.org",
        "locale": np.where(chinese, "zh-CN", "en").astype(object),
        "segment": np.array(["new", "regular", "loyal"], dtype=object)[np.searchsorted([4, 12], n_orders, "right")],
    }
    return pd.DataFrame(columns | {"opted_out": out})
