"""A data set on disk: the same as the one in memory, opened by its path, and refused when it is not what was saved."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reportgen import AttentionScorer, Dataset, make_shop
from reportgen.config import Config
from reportgen.data.arrays import ArrayFile, held_array, open_array
from reportgen.errors import InputError, OutputError

ARRAYS = ("indptr", "items", "timestamps", "types", "values", "orders", "private", "user_ids", "item_ids")


def assert_same(one: Dataset, two: Dataset) -> None:
    for name in ARRAYS:
        a, b = getattr(one, name), getattr(two, name)
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b, err_msg=name)
    pd.testing.assert_frame_equal(one.catalogue, two.catalogue)
    pd.testing.assert_frame_equal(one.users, two.users)
    for name in ("event_types", "problems", "rows_read", "date_only", "synthetic", "policy"):
        assert getattr(one, name) == getattr(two, name), name


@pytest.fixture(scope="module", name="shop")
def _shop() -> Dataset:
    made = make_shop(60, 80, random_state=2)
    rules = {"privacy": {"rules": {"category": ["Health"]}, "support_floor": 3}}
    return Dataset.from_frames(made.events, made.items, made.users, Config.from_dict(rules))


@pytest.fixture(name="saved")
def _saved(shop: Dataset, tmp_path: Path) -> Path:
    shop.save(tmp_path / "data")
    return tmp_path / "data"


words = st.text(max_size=8).filter(lambda text: "\x1f" not in text and "\0" not in text)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(
    lambda t: not t.isspace()
)
rows = st.lists(
    st.tuples(
        names, names, st.sampled_from(["2020-01-01", "2020-01-02 03:04:05", "x"]), st.sampled_from(["1", "-2", "0.5"])
    ),
    max_size=15,
)


@given(
    rows,
    st.lists(st.tuples(names, words, st.lists(words, max_size=3)), min_size=1, max_size=8, unique_by=lambda t: t[0]),
)
@settings(max_examples=25)
def test_what_is_opened_is_what_was_saved(events: list[Any], items: list[Any]) -> None:
    table = pd.DataFrame(events, columns=["user_id", "item_id", "timestamp", "quantity"], dtype=object)
    catalogue = pd.DataFrame(items, columns=["item_id", "title", "tags"], dtype=object)
    users = pd.DataFrame({"user_id": ["someone"], "name": ["Zoë \U0001f600"]})
    data = Dataset.from_frames(table, catalogue, users)
    with tempfile.TemporaryDirectory() as folder:
        made = data.save(folder)
        found = Dataset.open(folder)
        assert_same(data, found)
        with tempfile.TemporaryDirectory() as other:
            assert found.save(other) == made


def test_arrays_of_events_are_mapped_and_cannot_be_written(saved: Path) -> None:
    data = Dataset.open(saved)
    for name in ("indptr", "items", "timestamps", "types", "values", "orders"):
        array = getattr(data, name)
        assert type(array) is np.ndarray
        assert isinstance(array.base, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[:1] = 0


def test_a_model_learns_the_same_from_it(shop: Dataset, saved: Path) -> None:
    one, two = (AttentionScorer(random_state=0).fit(data) for data in (shop, Dataset.open(saved)))
    users = shop.user_ids[:20]
    for a, b in zip(
        one.recommend(users, n=5, data=shop), two.recommend(users, n=5, data=Dataset.open(saved)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_another_process_opens_it_by_its_path(shop: Dataset, saved: Path, repository: Path) -> None:
    code = "import sys; from reportgen import Dataset; d = Dataset.open(sys.argv[1], verify=False); print(int(d.items.sum()))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(saved)], cwd=repository, check=True, capture_output=True, text=True
    )
    assert int(done.stdout) == shop.items.sum()


def test_the_same_data_have_the_same_id_and_others_another(shop: Dataset, saved: Path, tmp_path: Path) -> None:
    again = shop.save(tmp_path / "again")
    assert {p.name: p.read_bytes() for p in saved.iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "again").iterdir()
    }
    until = int(np.median(shop.timestamps))
    assert shop.until(until).save(tmp_path / "other") != again


def test_who_has_it_open_keeps_it_when_it_is_replaced(shop: Dataset, saved: Path) -> None:
    opened = Dataset.open(saved)
    shop.until(int(shop.timestamps.min())).save(saved)
    np.testing.assert_array_equal(opened.items, shop.items)
    assert Dataset.open(saved).items.size < shop.items.size


@pytest.mark.parametrize("name", ["items.npy", "column0.text.npy", "indptr.npy", "column2.text.npy"])
def test_one_bit_that_turned_is_found(saved: Path, name: str) -> None:
    path = saved / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=f"{name} is not what was saved; save the data set again"):
        Dataset.open(saved)


@pytest.mark.parametrize("verify", [True, False])
def test_what_is_missing_or_of_another_form_is_found_without_reading_all(saved: Path, verify: bool) -> None:
    (saved / "items.npy").unlink()
    with pytest.raises(InputError, match=r"items\.npy is missing"):
        Dataset.open(saved, verify=verify)
    np.save(saved / "items.npy", np.zeros(3, dtype=np.int64))
    with pytest.raises(InputError, match=r"items\.npy"):
        Dataset.open(saved, verify=verify)
    (saved / "items.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(InputError, match=r"items\.npy cannot be read"):
        Dataset.open(saved, verify=verify)
    np.save(saved / "items.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(InputError, match=r"items\.npy cannot be read as a plain array"):
        Dataset.open(saved, verify=verify)


def _edit(saved: Path, **facts: Any) -> None:
    path = saved / "dataset.json"
    meta = json.loads(path.read_text())
    meta["facts"] |= facts
    path.write_text(json.dumps(meta))


def test_a_list_that_was_edited_is_refused(saved: Path) -> None:
    _edit(saved, synthetic=True)
    with pytest.raises(InputError, match=r"dataset\.json is not what was saved"):
        Dataset.open(saved)
    _edit(saved, more=1)
    with pytest.raises(InputError, match="lacks entries or holds unknown ones"):
        Dataset.open(saved)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format": "reportgen.dataset/0"}', "[" * 100_000])
def test_no_list_no_data_set(saved: Path, content: str) -> None:
    (saved / "dataset.json").write_text(content)
    with pytest.raises(InputError, match=r"dataset\.json"):
        Dataset.open(saved)
    (saved / "dataset.json").unlink()
    with pytest.raises(InputError, match=r"no dataset\.json here"):
        Dataset.open(saved)


def test_a_save_that_was_cut_off_leaves_no_data_set(
    shop: Dataset, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ArrayFile, "append", full)
        with pytest.raises(OutputError, match="No space left"):
            shop.save(saved)
    with pytest.raises(InputError, match=r"no dataset\.json here"):
        Dataset.open(saved)
    shop.save(saved)
    assert_same(shop, Dataset.open(saved))


def test_columns_that_no_reader_makes_are_refused(shop: Dataset, tmp_path: Path) -> None:
    from dataclasses import replace

    odd = replace(shop, catalogue=shop.catalogue.assign(odd=[{}] * shop.item_ids.size))
    with pytest.raises(OutputError, match="something else than text"):
        odd.save(tmp_path)


@given(st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=20), max_size=5))
@settings(max_examples=25)
def test_an_array_in_pieces_is_the_array(pieces: list[list[int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.npy")
        with ArrayFile(path, "int32") as file:
            for piece in pieces:
                file.append(np.array(piece, dtype=np.int32))
        whole = np.array([value for piece in pieces for value in piece], dtype=np.int32)
        for found in (open_array(path), held_array(path), np.load(path)):
            np.testing.assert_array_equal(found, whole)
            assert found.dtype == np.int32


def test_an_array_that_was_not_closed_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="invalid literal"), ArrayFile(tmp_path / "a.npy", "int32") as file:
        file.append(np.array(["x"]))
    with pytest.raises(ValueError, match=r"."):
        open_array(tmp_path / "a.npy")
