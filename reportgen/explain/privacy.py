"""What may be told: sensitive causes, and names that say nothing about a person."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError

#: fold: counted, but shown only inside "other items we do not show"; exclude: left out of scoring; show: shown.
SENSITIVE_MODES = ("fold", "exclude", "show")
_CONTEXT = b"reportgen/v1|"
_PSEUDONYM_BYTES = 15


@dataclass(frozen=True)
class Privacy:
    """How sensitive items are treated.

    Attributes
    ----------
    mode : str
        One of `SENSITIVE_MODES`.
    sensitive : ndarray of bool, shape (I,)
    """

    mode: str
    sensitive: np.ndarray

    def __post_init__(self) -> None:
        if self.mode not in SENSITIVE_MODES:
            raise ConfigError(f"sensitive: {self.mode!r} is not known; it is one of {', '.join(SENSITIVE_MODES)}")

    @property
    def hidden(self) -> np.ndarray:
        """Items whose name must not appear as a reason; shape (I,)."""
        return self.sensitive if self.mode == "fold" else np.zeros_like(self.sensitive)

    @property
    def excluded(self) -> np.ndarray | None:
        """Items whose events do not count; shape (I,)."""
        return self.sensitive if self.mode == "exclude" else None

    @property
    def barred(self) -> np.ndarray | None:
        """Items that are not recommended in a report; shape (I,)."""
        return None if self.mode == "show" else self.sensitive


def make_privacy(
    data: Dataset, mode: str = "fold", categories: Collection[str] = (), title_pattern: str = ""
) -> Privacy:
    """Sensitive items: the catalogue's own mark, or a category or title that the operator's rules name."""
    sensitive = data.catalogue["sensitive"].to_numpy(dtype=bool).copy()
    if categories and "category" in data.catalogue:
        sensitive |= data.catalogue["category"].isin(list(categories)).to_numpy()
    if title_pattern:
        found = re.compile(title_pattern, re.IGNORECASE)
        sensitive |= np.array([bool(found.search(title)) for title in data.catalogue["title"]], dtype=bool)
    return Privacy(mode, sensitive)


def pseudonym(key: bytes, user_id: str) -> str:
    """A name for files, logs and records: ``base32(HMAC-SHA256(key, "reportgen/v1|" + user_id)[:15])``.

    It has 24 letters a-z2-7. Without the key it can neither be undone nor guessed from a list of ids. Ids that cannot
    be encoded are told apart too.
    """
    digest = hmac.new(key, _CONTEXT + user_id.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return base64.b32encode(digest[:_PSEUDONYM_BYTES]).decode("ascii").lower()
