"""The tree of RFC 9162: a naive definition beside it, and proofs that nobody else's leaf passes."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reportgen.audit.merkle import EMPTY, inclusion_path, leaf_hash, merkle_root, node_hash, root_of_path

LEAVES = st.lists(st.binary(min_size=0, max_size=4).map(leaf_hash), max_size=70)


def split(size: int) -> int:
    """The greatest power of two below the size."""
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def naive_root(leaves: list[bytes]) -> bytes:
    """Section 2.1.1, word by word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    at = split(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:at]) + naive_root(leaves[at:])).digest()


def naive_path(leaves: list[bytes], index: int) -> list[bytes]:
    """Section 2.1.3.1, word by word."""
    if len(leaves) == 1:
        return []
    at = split(len(leaves))
    if index < at:
        return [*naive_path(leaves[:at], index), naive_root(leaves[at:])]
    return [*naive_path(leaves[at:], index - at), naive_root(leaves[:at])]


@given(LEAVES)
def test_root_is_that_of_the_definition(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) == naive_root(leaves)


@given(LEAVES.filter(bool), st.data())
def test_a_proof_is_that_of_the_definition_and_leads_to_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = inclusion_path(leaves, index)
    assert path == naive_path(leaves, index)
    assert root_of_path(leaves[index], index, len(leaves), path) == merkle_root(leaves)


@given(
    st.lists(st.integers(0, 2**32).map(lambda n: leaf_hash(str(n).encode())), min_size=2, max_size=40, unique=True),
    st.data(),
)
def test_no_other_leaf_place_size_or_path_passes(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(st.integers(0, len(leaves) - 1).filter(lambda n: n != index))
    path, root = inclusion_path(leaves, index), merkle_root(leaves)

    def passes(leaf: bytes, place: int, size: int, steps: list[bytes]) -> bool:
        try:
            return root_of_path(leaf, place, size, steps) == root
        except ValueError:
            return False

    assert not passes(leaves[other], index, len(leaves), path)
    assert not passes(leaves[index], other, len(leaves), path)
    assert not passes(leaves[index], index, len(leaves), path[:-1])
    assert not passes(leaves[index], index, len(leaves), [*path, path[-1]])
    assert not passes(leaves[index], len(leaves), len(leaves), path)
    changed = data.draw(st.integers(0, len(path) - 1))
    assert not passes(leaves[index], index, len(leaves), [*path[:changed], bytes(32), *path[changed + 1 :]])


def test_known_roots() -> None:
    # the empty tree and its hash, as RFC 9162 defines it; and a leaf of no bytes
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle_root([]) == EMPTY
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    one, two, three = (leaf_hash(bytes([n])) for n in range(3))
    assert merkle_root([one, two, three]) == node_hash(node_hash(one, two), three)


def test_no_leaf_outside_the_tree() -> None:
    with pytest.raises(IndexError):
        inclusion_path([leaf_hash(b"")], 1)
