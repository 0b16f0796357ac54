"""The benchmarks of the scorer run without data and network, and their own parts are right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from reportgen import AttentionScorer, Dataset, make_shop

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(name="load")
def _load(monkeypatch: pytest.MonkeyPatch) -> object:
    """Import a module of the folder of benchmarks; the environment is put back afterwards."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    return __import__


@pytest.fixture(scope="module", name="shop")
def _shop() -> Dataset:
    shop = make_shop(150, 120, random_state=1)
    return Dataset.from_frames(shop.events, shop.items, shop.users)


def test_quality_on_the_made_up_shop() -> None:
    command = [sys.executable, str(FOLDER / "quality.py"), "--data", "shop", "--quick"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    figures = found["figures"]
    assert found["benchmark"] == "quality"
    for name in ("ours", "popularity", "ease"):
        for key in ("recall@10", "recall@10/se", "ndcg@10", "ndcg@10/se", "fit_seconds"):
            assert figures[f"{name}/{key}"] > 0, (name, key)
        assert figures[f"{name}/recall@10"] >= figures[f"{name}/recall_of_all@10"]
    assert figures["ours/ndcg@10"] > figures["popularity/ndcg@10"]


def test_a_wrong_wheel_is_refused(load, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    data: ModuleType = load("_quality_data")
    wheel = tmp_path / data.WHEEL
    with pytest.raises(data.NoDataError, match="no file"):
        data.find_wheel(wheel)
    wheel.write_bytes(b"PK something else")
    with pytest.raises(data.NoDataError, match="SHA-256"):
        data.find_wheel(wheel)


def test_users_taken_out_keep_their_histories(load, shop: Dataset) -> None:  # type: ignore[no-untyped-def]
    data: ModuleType = load("_quality_data")
    chosen = np.array([0, 3, 149])
    part = data.take_users(shop, chosen)
    for place, user in enumerate(chosen):
        assert part.user_ids[place] == shop.user_ids[user]
        for name in ("items", "orders", "values", "timestamps", "types"):
            whole = getattr(shop, name)[shop.history(user)]
            np.testing.assert_array_equal(getattr(part, name)[part.history(place)], whole)


def test_without_order_mixes_within_users(load, shop: Dataset) -> None:  # type: ignore[no-untyped-def]
    mixed = load("_quality_data").without_order(shop)
    for user in range(shop.user_ids.size):
        mine = shop.history(user)
        np.testing.assert_array_equal(np.sort(mixed.items[mine]), np.sort(shop.items[mine]))
        np.testing.assert_array_equal(mixed.orders[mine], np.arange(mine.stop - mine.start))
    assert (mixed.items != shop.items).mean() > 0.5


def test_unseen_users_are_not_learnt_from(load, shop: Dataset) -> None:  # type: ignore[no-untyped-def]
    quality: ModuleType = load("quality")
    known, split = quality.part_users(shop, 0)
    assert not set(known.user_ids) & set(split.train.user_ids)
    assert known.user_ids.size + split.train.user_ids.size == shop.user_ids.size
    assert split.train.user_ids.size == 30
    for user, targets in zip(split.users, split.targets, strict=True):
        whole = shop.history(int(np.flatnonzero(shop.user_ids == split.train.user_ids[user])[0]))
        mine = np.union1d(split.train.items[split.train.history(int(user))], targets)
        np.testing.assert_array_equal(mine, np.unique(shop.items[whole]))


def test_shap_is_exact_and_lime_is_near(load, shop: Dataset) -> None:  # type: ignore[no-untyped-def]
    scoring, sampling = load("scoring"), load("_sampling")
    scorer = AttentionScorer(random_state=0).fit(shop)
    users = np.flatnonzero(np.diff(shop.indptr) >= 8)[:4]
    cases = [scoring.make_case(scorer, shop, int(user)) for user in users]
    truth = [scoring.exact_values(scorer, case) for case in cases]
    rng = np.random.default_rng(0)
    for bulk, tolerance in ((False, 1e-10), (True, 1e-4)):
        for found, exact in zip(sampling.permutation_shap(scorer, cases, rng, bulk), truth, strict=True):
            np.testing.assert_allclose(found, exact, atol=tolerance)
    near = sampling.lime(scorer, cases, rng, False)
    gap = [np.abs(found - exact).sum() / np.abs(exact).sum() for found, exact in zip(near, truth, strict=True)]
    assert max(gap) < 0.3
    assert min(gap) > 0.0, "500 samples with a ridge are an estimate"


@pytest.mark.slow
def test_scale_prints_what_the_contract_names() -> None:
    command = [sys.executable, str(FOLDER / "scale.py"), "--quick", "--no-dask"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    figures = found["figures"]
    assert found["benchmark"] == "scale"
    assert (figures["set_aside"], figures["users"], found["conditions"]["users"]) == (0, 594, 600)  # 6 opted out
    for key in ("users_per_second", "peak_bytes_parent", "peak_bytes_worker", "cost/bare_users_per_cpu_second"):
        assert figures[key] > 0, key
    assert {"cost/driver_overhead", "cost/driver_wall_overhead"} <= figures.keys()


def test_a_shop_of_copies_has_as_many_users_as_asked_for(load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    made: ModuleType = load("_scale_data")
    monkeypatch.setattr(made, "ORIGINALS", 40)
    made.write_tables(100, tmp_path)
    data = Dataset.from_files(tmp_path / "events", tmp_path / "items.parquet", tmp_path / "users")
    assert (data.user_ids.size, len(set(data.users["email"]))) == (100, 100)
    assert not data.problems
    for copy in (40, 80):  # ids sort by part, so a copy stands so many places behind its original
        for user in range(20):
            np.testing.assert_array_equal(data.items[data.history(user)], data.items[data.history(copy + user)])
