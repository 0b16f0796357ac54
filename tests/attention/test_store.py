"""Saving and loading: the very same model, or a refusal that says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.store import FORMAT, load_model, model_id, save_model
from reportgen.data.dataset import Dataset
from reportgen.errors import ModelError

Data = Callable[..., Dataset]


@pytest.fixture(scope="module")
def data(random_data: Data) -> Dataset:
    return random_data(11, n_users=40)


@pytest.fixture(scope="module")
def scorer(data: Dataset) -> AttentionScorer:
    return AttentionScorer(min_support=2).fit(data)


@pytest.fixture
def folder(scorer: AttentionScorer, tmp_path: Path) -> Path:
    save_model(scorer, tmp_path / "model")
    return tmp_path / "model"


def test_the_round_trip_is_exact(scorer: AttentionScorer, data: Dataset, folder: Path) -> None:
    loaded = load_model(folder)
    assert model_id(loaded) == model_id(scorer)
    assert loaded.get_params() == scorer.get_params()
    assert loaded.heads_ == scorer.heads_
    assert len(loaded.heads_) > 2
    for one, two in zip(
        scorer.recommend(data.user_ids, n=9), loaded.recommend(data.user_ids, n=9, data=data), strict=True
    ):
        assert np.array_equal(one, two)
    for name in ("theta_pop_", "learnt_", "looking_takes_", "n_users_", "n_users_learnt_"):
        assert getattr(loaded, name) == getattr(scorer, name)
        assert type(getattr(loaded, name)) is type(getattr(scorer, name))


def test_a_loaded_model_needs_histories(folder: Path) -> None:
    with pytest.raises(ModelError, match="pass data="):
        load_model(folder).recommend(["u00"])


def test_a_loaded_model_can_be_saved_over_itself(folder: Path, data: Dataset) -> None:
    """Its arrays are memory-mapped from the files that are written."""
    loaded = load_model(folder)
    save_model(loaded, folder)
    assert loaded.recommend(data.user_ids, data=data)[0].shape == (40, 10)
    assert model_id(load_model(folder)) == model_id(loaded)
    assert not list(folder.glob("*.part"))


def test_a_model_in_use_does_not_change_when_another_is_saved_in_its_place(folder: Path, data: Dataset) -> None:
    loaded = load_model(folder)
    before = [array.copy() for array in (loaded.base_, loaded.kernels_["together"].weights.data)]
    other = AttentionScorer(min_support=2, l2=500.0).fit(data)
    other.base_ = other.base_ + 1.0
    save_model(other, folder)
    assert np.array_equal(before[0], loaded.base_)
    assert np.array_equal(before[1], loaded.kernels_["together"].weights.data)
    assert not np.array_equal(before[0], load_model(folder).base_)  # control


@pytest.mark.parametrize(
    "parameters",
    [
        {"features": {"kind": ("category", "category"), "words": ("title", "text")}},
        {"features": {}},
        {"half_lives": (1.5,), "min_support": np.int64(2), "l2": np.float32(2.0)},
        {"half_lives": (float("inf"),)},
    ],
)
def test_parameters_come_back(parameters: dict[str, Any], data: Dataset, tmp_path: Path) -> None:
    scorer = AttentionScorer(**parameters).fit(data)
    save_model(scorer, tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.get_params() == scorer.get_params()
    assert model_id(loaded) == model_id(scorer)


def test_ids_of_all_kinds_come_back(build_data: Data, tmp_path: Path) -> None:
    names = ["A", "红茶", "a\nb", '"', "\u202e", "é", "e\u0301"]
    data = build_data({"u": [names]})
    save_model(AttentionScorer().fit(data), tmp_path)
    assert sorted(load_model(tmp_path).item_ids_) == sorted(names)


def test_the_name_follows_every_learnt_number(data: Dataset) -> None:
    names = set()
    for change in (None, "theta_", "base_", "popularity_", "candidate_"):
        scorer = AttentionScorer(min_support=2).fit(data)
        if change:
            array = getattr(scorer, change).copy()
            array.flat[0] = not array.flat[0] if array.dtype == bool else array.flat[0] + 1
            setattr(scorer, change, array)
        names.add(model_id(scorer))
    assert len(names) == 5


# --- broken arrays


def spoil(path: Path, act: Callable[[np.ndarray], np.ndarray]) -> None:
    array = act(np.load(path).copy())
    np.save(path, array)


def put(place: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def act(array: np.ndarray) -> np.ndarray:
        array.flat[place] = value
        return array

    return act


BROKEN: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray], str]] = {
    "NaN": ("theta_", put(4, np.nan), r"theta_\.npy: entry 4 is nan, not a finite number"),
    "infinity": ("together.weights.data", put(2, np.inf), r"together\.weights\.data\.npy: entry 2 is inf"),
    "NaN in features": ("block0.data", put(0, np.nan), r"block0\.data\.npy: entry 0 is nan"),
    "wrong dtype": ("base_", lambda a: a.astype(np.float32), "float32 where f8 is needed"),
    "whole numbers": ("theta_", lambda a: a.astype(np.int64), "int64 where f8 is needed"),
    "fractions as indices": ("together.weights.indices", lambda a: a.astype(np.float64), "float64 where i is needed"),
    "text": ("popularity_", lambda a: a.astype("U8"), "where i8 is needed"),
    "too long": ("base_", lambda a: np.append(a, 1.0), r"base_\.npy has shape \(10,\), the model needs \(9,\)"),
    "turned": ("theta_", lambda a: a.T.copy(), r"theta_\.npy has shape"),
    "negative head weight": ("theta_", put(0, -1.0), "must not be negative"),
    "index beyond the matrix": ("together.weights.indices", put(0, 99), "do not form a matrix"),
    "index below the matrix": ("together.weights.indices", put(0, -1), "do not form a matrix"),
    "row pointer that falls": ("together.weights.indptr", put(1, 10**6), "do not form a matrix"),
    "row pointer too short": ("together.support.indptr", lambda a: a[:-1], "do not form a matrix"),
    "table for a list": ("together.weights.data", lambda a: a.reshape(1, -1), "do not form a matrix"),
    "another number": ("base_", put(0, 0.125), "not those that were saved"),
    "another support": ("together.support.data", put(0, 77), "not those that were saved"),
    "swapped byte order": ("base_", lambda a: a.astype(">f8"), "not those that were saved"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_arrays_are_refused(case: str, folder: Path) -> None:
    name, act, message = BROKEN[case]
    spoil(folder / f"{name}.npy", act)
    with pytest.raises(ModelError, match=message):
        load_model(folder)


def test_spoiling_is_what_makes_it_fail(folder: Path) -> None:
    """Negative control: written again unchanged, the same files load."""
    for path in folder.glob("*.npy"):
        spoil(path, lambda array: array)
    load_model(folder)


def test_every_single_changed_byte_is_noticed(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for path in sorted(folder.glob("*.npy")):
        whole = path.read_bytes()
        start = 128 if len(whole) > 128 else 0  # the header says nothing that is learnt
        place = int(rng.integers(start, len(whole)))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ModelError):
            load_model(folder)
        path.write_bytes(whole)
    load_model(folder)


@pytest.mark.parametrize("keep", [0, 5, 60, -1])
def test_a_truncated_file_is_refused(keep: int, folder: Path) -> None:
    path = folder / "base_.npy"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"base_\.npy cannot be read as a plain array"):
        load_model(folder)


@pytest.mark.parametrize("name", ["theta_", "together.support.data", "block0.indptr"])
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / f"{name}.npy").unlink()
    with pytest.raises(ModelError, match="is missing; fit the model again"):
        load_model(folder)


def test_a_pickled_array_is_refused_and_never_run(folder: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "exploded",))

    np.save(folder / "base_.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(ModelError, match="cannot be read as a plain array"):
        load_model(folder)
    assert not (tmp_path / "exploded").exists()
    np.load(folder / "base_.npy", allow_pickle=True)  # control: this is what would have happened
    assert (tmp_path / "exploded").exists()


def test_an_archive_is_not_an_array(folder: Path) -> None:
    with (folder / "base_.npy").open("wb") as file:
        np.savez(file, a=np.zeros(9))
    with pytest.raises(ModelError, match="plain array"):
        load_model(folder)


# --- broken JSON


def edit(folder: Path, act: Callable[[dict[str, Any]], object]) -> None:
    meta = json.loads((folder / "model.json").read_text())
    act(meta)
    (folder / "model.json").write_text(json.dumps(meta))


EDITS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another version": (lambda m: m.update(format="reportgen.model/0"), f"not of the format {FORMAT}"),
    "unknown parameter": (lambda m: m["parameters"].update(evil=1), "parameters must be exactly"),
    "parameter gone": (lambda m: m["parameters"].pop("l2"), "parameters must be exactly"),
    "parameters are a list": (lambda m: m.update(parameters=list(m["parameters"])), "lacks entries or holds"),
    "a parameter is text": (lambda m: m["parameters"].update(l2="30"), "parameter l2 is not a number"),
    "half-lives are words": (lambda m: m["parameters"].update(half_lives=["soon"]), "features or half_lives"),
    "features are a number": (lambda m: m["parameters"].update(features=3), "features or half_lives"),
    "another parameter": (lambda m: m["parameters"].update(l2=31.0), "not those that were saved"),
    "fact gone": (lambda m: m["facts"].pop("learnt_"), "lacks entries"),
    "unknown fact": (lambda m: m["facts"].update(fit="x"), "holds unknown ones"),
    "fact of another type": (lambda m: m["facts"].update(n_users_="40"), "lacks entries"),
    "another fact": (lambda m: m["facts"].update(n_users_=41), "not those that were saved"),
    "a fact is NaN": (lambda m: m["facts"].update(theta_pop_=float("nan")), "NaN is not a number"),
    "unknown entry": (lambda m: m.update(extra=1), "holds unknown ones"),
    "unknown kind": (lambda m: m["blocks"][0].update(kind="magic"), "lacks entries"),
    "blocks are a number": (lambda m: m.update(blocks=3), "lacks entries"),
    "negative width": (lambda m: m["blocks"][0].update(width=-3), "lacks entries"),
    "another item": (lambda m: m["item_ids"].__setitem__(0, "other"), "not those that were saved"),
    "an item is a number": (lambda m: m["item_ids"].__setitem__(0, 1), "lacks entries"),
    "an item less": (lambda m: m["item_ids"].pop(), "do not form a matrix|has shape"),
    "another name": (lambda m: m.update(model_id="0" * 16), "not those that were saved"),
}


@pytest.mark.parametrize("case", EDITS)
def test_an_edited_model_file_is_refused(case: str, folder: Path) -> None:
    act, message = EDITS[case]
    edit(folder, act)
    with pytest.raises(ModelError, match=message):
        load_model(folder)


def test_a_model_file_that_is_only_laid_out_anew_is_fine(folder: Path) -> None:
    edit(folder, dict)
    load_model(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": 1}'])
def test_what_is_no_model_file_is_refused(content: bytes, folder: Path) -> None:
    (folder / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.json"):
        load_model(folder)


def test_no_model_here(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model\.json here"):
        load_model(tmp_path / "nowhere")


def test_the_package_does_not_know_pickle(repository: Path) -> None:
    """Beside the law of tests/test_house.py: nothing in the sources asks NumPy for it either."""
    for path in (repository / "reportgen").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "import pickle" not in text, path
        assert "allow_pickle=True" not in text, path
