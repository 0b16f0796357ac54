"""The synthetic shop: its causes are what it says, and the same seed gives the same shop."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from reportgen.data.shop import CAUSE_SHARES, CAUSES, EVENT_TYPES, PRICE_RATIO, Shop, make_shop

FRAMES = ("events", "items", "users", "truth", "pairs")
DIGEST_SCRIPT = """
import hashlib
from reportgen.data.shop import make_shop
shop = make_shop(n_users=60, n_items=48, random_state=5)
text = "".join(getattr(shop, name).to_csv() for name in ("events", "items", "users", "truth", "pairs"))
print(hashlib.sha256(text.encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def shop() -> Shop:
    return make_shop(n_users=2000, n_items=600, random_state=0)


@pytest.fixture(scope="module")
def caused(shop: Shop) -> pd.DataFrame:
    """Purchases with a source, beside the catalogue rows of the item and of its source."""
    truth = shop.truth[shop.truth["cause"] != "popular"]
    facts = shop.items[["item_id", "category", "brand", "price", "tags", "title"]]
    both = truth.merge(facts, on="item_id")
    return both.merge(facts.add_prefix("cause_"), on="cause_item_id", validate="many_to_one")


def digest(shop: Shop) -> str:
    text = "".join(getattr(shop, name).to_csv() for name in FRAMES)
    return hashlib.sha256(text.encode()).hexdigest()


# --- the same seed, the same shop


def test_a_seed_gives_the_same_shop_and_another_seed_another() -> None:
    first, again, other = (digest(make_shop(n_users=60, n_items=48, random_state=seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_shop_does_not_depend_on_the_hash_seed(hash_seed: str) -> None:
    env = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run([sys.executable, "-c", DIGEST_SCRIPT], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(make_shop(n_users=60, n_items=48, random_state=5))


def test_the_catalogue_does_not_depend_on_the_users() -> None:
    small, large = make_shop(n_users=5, n_items=48), make_shop(n_users=50, n_items=48, mean_orders=3)
    pd.testing.assert_frame_equal(small.items, large.items)
    pd.testing.assert_frame_equal(small.pairs, large.pairs)


# --- the planted truth


def test_truth_has_one_row_per_purchase(shop: Shop) -> None:
    key = ["user_id", "item_id", "timestamp"]
    bought = shop.events[shop.events["event_type"] == "purchase"][key]
    assert not bought.duplicated().any()
    left, right = (frame.sort_values(key).reset_index(drop=True) for frame in (bought, shop.truth[key]))
    pd.testing.assert_frame_equal(left, right)


def test_popular_purchases_and_only_those_have_no_source(shop: Shop) -> None:
    assert set(shop.truth["cause"]) == set(CAUSES)
    assert (shop.truth["cause_item_id"].isna() == (shop.truth["cause"] == "popular")).all()
    assert {type(value) for value in shop.truth["cause_item_id"]} == {str, type(None)}


def test_a_source_was_bought_earlier_by_the_same_user(caused: pd.DataFrame, shop: Shop) -> None:
    first = shop.truth.groupby(["user_id", "item_id"])["timestamp"].min()
    bought = first.reindex(pd.MultiIndex.from_frame(caused[["user_id", "cause_item_id"]]))
    assert (bought.to_numpy() < caused["timestamp"].to_numpy()).all()


def test_recent_purchases_are_the_cause_more_often_than_old_ones(caused: pd.DataFrame, shop: Shop) -> None:
    orders = shop.truth[["user_id", "timestamp"]].drop_duplicates().sort_values(["user_id", "timestamp"])
    orders["number"] = orders.groupby("user_id").cumcount()
    number = shop.truth.merge(orders, on=["user_id", "timestamp"])
    first = number.groupby(["user_id", "item_id"], as_index=False)["number"].min()
    steps = caused.merge(orders, on=["user_id", "timestamp"]).merge(
        first.rename(columns={"item_id": "cause_item_id", "number": "was"}), on=["user_id", "cause_item_id"]
    )
    late = steps[(steps["number"] >= 8) & (steps["cause"] == "category")]
    assert (late["number"] - late["was"]).mean() < 0.8 * late["number"].mean() / 2


@pytest.mark.parametrize("kind", ["together", "next"])
def test_pairs_behind_together_and_next_are_planted(kind: str, caused: pd.DataFrame, shop: Shop) -> None:
    planted = shop.pairs[shop.pairs["kind"] == kind]
    used = caused[caused["cause"] == kind]
    assert len(used) > 500
    pairs = set(zip(planted["item_id"], planted["other_item_id"], strict=True))
    assert set(zip(used["cause_item_id"], used["item_id"], strict=True)) <= pairs


def test_every_item_has_three_complements_in_other_categories(shop: Shop) -> None:
    category = shop.items.set_index("item_id")["category"]
    together = shop.pairs[shop.pairs["kind"] == "together"]
    assert (together.groupby("item_id").size().reindex(shop.items["item_id"]) == 3).all()
    assert (together["item_id"].map(category) != together["other_item_id"].map(category)).all()
    follow = shop.pairs[shop.pairs["kind"] == "next"]
    assert (follow["item_id"].map(category) == follow["other_item_id"].map(category)).all()
    assert (follow["item_id"] != follow["other_item_id"]).all()


@pytest.mark.parametrize("cause", ["category", "brand"])
def test_category_and_brand_are_really_equal(cause: str, caused: pd.DataFrame) -> None:
    used = caused[caused["cause"] == cause]
    assert len(used) > 500
    assert (used[cause] == used[f"cause_{cause}"]).all()


def test_price_tags_and_again_are_what_they_say(caused: pd.DataFrame) -> None:
    price, tags, again = (caused[caused["cause"] == cause] for cause in ("price", "tags", "again"))
    assert min(len(price), len(tags), len(again)) > 500
    assert np.abs(np.log(price["price"] / price["cause_price"])).max() <= np.log(PRICE_RATIO) + 1e-9
    assert all(set(a) & set(b) for a, b in zip(tags["tags"], tags["cause_tags"], strict=True))
    assert (again["item_id"] == again["cause_item_id"]).all()
    other = caused[caused["cause"] != "again"]
    assert (other["item_id"] != other["cause_item_id"]).all()


def test_only_again_buys_an_item_twice(shop: Shop) -> None:
    repeated = shop.truth[shop.truth.duplicated(["user_id", "item_id"])]
    assert set(repeated["cause"]) == {"again"}


def shares_with_history(shop: Shop) -> pd.Series:
    first = shop.truth.groupby("user_id")["timestamp"].transform("min")
    return shop.truth.loc[shop.truth["timestamp"] > first, "cause"].value_counts(normalize=True).reindex(CAUSES)


def test_shares_of_causes_are_near_the_configured_ones(shop: Shop) -> None:
    off = shares_with_history(shop) - pd.Series(CAUSE_SHARES, CAUSES)
    assert off.drop("popular").abs().max() < 0.04
    assert 0 <= off["popular"] < 0.08  # where no past event fits, the cause becomes popular


def test_shares_can_be_chosen() -> None:
    shop = make_shop(n_users=300, n_items=120, cause_shares={"together": 3, "category": 1})
    shares = shares_with_history(shop).fillna(0)
    assert shares[["next", "brand", "price", "tags", "again"]].sum() == 0
    assert shares["together"] > 2 * shares["category"] > 0.2


# --- returns


def test_returns_follow_the_purchase_and_come_before_the_next_order(shop: Shop) -> None:
    key = ["user_id", "item_id"]
    returned = shop.events[shop.events["event_type"] == "return"]
    assert 0.02 < len(returned) / len(shop.truth) < 0.05
    both = returned.merge(shop.truth, on=key, suffixes=("", "_bought"))
    assert len(both) >= len(returned)
    assert (both.groupby(key)["timestamp_bought"].min() < both.groupby(key)["timestamp"].max()).all()


def test_a_returned_item_is_no_cause_afterwards(shop: Shop, caused: pd.DataFrame) -> None:
    returned = shop.events.loc[shop.events["event_type"] == "return", ["user_id", "item_id", "timestamp"]]
    returned = returned.rename(columns={"item_id": "cause_item_id", "timestamp": "sent_back"})
    met = caused.merge(returned, on=["user_id", "cause_item_id"])
    assert len(met) > 20  # causes before the return exist, so the next line can fail
    assert (met["timestamp"] < met["sent_back"]).all()


def test_the_brand_of_a_returned_item_is_less_likely_afterwards(shop: Shop) -> None:
    brand = shop.items.set_index("item_id")["brand"]
    events = shop.events[shop.events["event_type"].isin(["purchase", "return"])]
    events = events.assign(brand=events["item_id"].map(brand))
    back = events[events["event_type"] == "return"].drop_duplicates("user_id").set_index("user_id")
    bought = events[(events["event_type"] == "purchase") & events["user_id"].isin(back.index)]
    later = bought["timestamp"] > bought["user_id"].map(back["timestamp"])
    own = bought["brand"] == bought["user_id"].map(back["brand"])
    other = bought["brand"] == bought["user_id"].map(back["brand"].sample(frac=1, random_state=0).set_axis(back.index))
    assert own[later].mean() < 0.7 * other[later].mean()


# --- the tables


def test_events_are_sorted_and_plausible(shop: Shop) -> None:
    events = shop.events
    columns = ["user_id", "item_id", "timestamp", "event_type", "quantity", "order_id"]
    assert list(events.columns) == columns
    assert events["timestamp"].is_monotonic_increasing
    assert set(events["event_type"]) == set(EVENT_TYPES)
    assert events["quantity"].min() == 1
    assert events["quantity"].max() > 1
    assert set(events["item_id"]) <= set(shop.items["item_id"])
    assert set(events["user_id"]) == set(shop.users["user_id"])
    assert pd.Timestamp("2024-07-01") <= events["timestamp"].min()
    assert events["timestamp"].max() < pd.Timestamp("2026-07-01")


def test_a_visit_is_one_user_on_one_day_and_ends_with_one_checkout(shop: Shop) -> None:
    visits = shop.events.groupby("order_id")
    assert (visits["user_id"].nunique() == 1).all()
    assert (visits["timestamp"].max() - visits["timestamp"].min() < pd.Timedelta(hours=1)).all()
    bought = shop.events[shop.events["event_type"] == "purchase"]
    assert (bought.groupby("order_id")["timestamp"].nunique() == 1).all()
    lead_up = shop.events["order_id"].isin(bought["order_id"]) & (shop.events["event_type"] == "view")
    assert lead_up.sum() > len(bought) / 2
    assert (visits["event_type"].agg(set).map(len) == 1).any()  # visits with only looks


def test_titles_are_unique_also_in_a_large_catalogue() -> None:
    for n_items in (24, 600, 3000):
        items = make_shop(n_users=1, n_items=n_items).items
        assert items["title"].is_unique
        assert len(items) == n_items


def test_the_catalogue_is_complete(shop: Shop) -> None:
    items = shop.items
    assert items["category"].nunique() == 12
    assert (items.groupby("category")["brand"].nunique() >= 3).all()
    assert (items["price"] > 0).all()
    assert (items["currency"] == "EUR").all()
    assert all(isinstance(own, list) and 2 <= len(own) <= 3 for own in items["tags"])
    assert {type(value) for value in items["description"]} == {str, type(None)}
    assert 0.01 < items["sponsored"].mean() < 0.06
    assert items["title"].str.fullmatch(r"[A-Z][A-Za-z',& -]+").all()


def test_sensitive_items_exist_also_outside_the_health_category(shop: Shop) -> None:
    sensitive = shop.items[shop.items["sensitive"]]
    assert "Intimate Health" in set(sensitive["category"])
    assert sensitive["category"].nunique() > 2
    assert shop.items.loc[shop.items["category"] == "Intimate Health", "sensitive"].all()


def test_users_are_of_many_cultures_and_cannot_be_mailed(shop: Shop) -> None:
    users = shop.users
    assert users["user_id"].iloc[0] == "u00001"
    assert users["user_id"].is_unique
    assert users["email"].is_unique
    assert users["email"].str.fullmatch(r"shopper\.\d+@example\.org").all()
    assert not any(user in mail for user, mail in zip(users["user_id"], users["email"], strict=True))
    assert set(users["locale"]) == {"en", "zh-CN"}
    assert (users["name"].str.contains("[\u4e00-\u9fff]") == (users["locale"] == "zh-CN")).all()
    assert set(users["segment"]) == {"new", "regular", "loyal"}
    assert users["opted_out"].mean() == pytest.approx(0.01)


def test_twenty_thousand_users_can_be_made() -> None:
    shop = make_shop(n_users=20_000)
    assert len(shop.users) == 20_000
    assert len(shop.events) > 500_000


@pytest.mark.parametrize("n_users", [1, 3])
def test_a_very_small_shop_can_be_made(n_users: int) -> None:
    shop = make_shop(n_users=n_users, n_items=24, mean_orders=1)
    assert len(shop.users) == n_users
    assert set(shop.truth["cause"]) == {"popular"}


@pytest.mark.parametrize(
    "wrong", [{"n_users": 0}, {"n_items": 23}, {"mean_orders": 0.5}, {"cause_shares": {"luck": 1}}]
)
def test_impossible_wishes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"a shop needs|unknown cause 'luck'"):
        make_shop(**wrong)  # type: ignore[arg-type]
