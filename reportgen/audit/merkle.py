"""The Merkle tree of RFC 9162, section 2.1: one hash that stands for all leaves, and short proofs that a leaf is under it.

A leaf is ``SHA-256(0x00 || entry)``, a node ``SHA-256(0x01 || left || right)``, the root of no leaves ``SHA-256()``. Of n leaves the
left part holds the greatest power of two below n. That is the same as pairing a level from the left and lifting an odd last hash up
unchanged, which is how it is computed here: 2 n hashes, no recursion.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

LENGTH = 32
EMPTY = sha256().digest()


def leaf_hash(entry: bytes) -> bytes:
    """Hash of one leaf; the prefix keeps a leaf from being taken for a node."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash over two hashes."""
    return sha256(b"\1" + left + right).digest()


def _above(level: Sequence[bytes]) -> list[bytes]:
    pairs = [sha256(b"\1" + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
    return [*pairs, level[-1]] if len(level) % 2 else pairs


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Root over leaf hashes.

    Parameters
    ----------
    leaves : sequence of bytes
        Each from `leaf_hash`, in their order.
    """
    level = leaves
    while len(level) > 1:
        level = _above(level)
    return level[0] if level else EMPTY


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that lead from a leaf to the root, from below: ``PATH(index, leaves)`` of RFC 9162, section 2.1.3.1.

    Raises
    ------
    IndexError
        No such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    path, level = [], leaves
    while len(level) > 1:
        if index ^ 1 < len(level):  # the odd last one is lifted and has no neighbour
            path.append(level[index ^ 1])
        level, index = _above(level), index // 2
    return path


def root_of_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a proof leads to, by the algorithm of RFC 9162, section 2.1.3.2.

    Raises
    ------
    ValueError
        The proof has not the length that such a place in such a tree needs.
    """
    if not 0 <= index < size:
        raise ValueError("the place of the leaf is not in the tree")
    place, last, found = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise ValueError("the proof is too long")
        if place & 1 or place == last:
            found = node_hash(step, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, step)
        place, last = place >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")
    return found
