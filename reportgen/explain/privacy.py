"""What may be told: sensitive causes, and names that say nothing about a person."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass, field

import numpy as np

from reportgen.config import Privacy as Policy
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError
from reportgen.text import clean

#: fold: counted, but shown only inside "other items we do not show"; exclude: left out of scoring; show: shown.
SENSITIVE_MODES = ("fold", "exclude", "show")
#: The kind of evidence that stands for all kinds where an item is folded.
FOLDED = "folded"
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
        For everybody.
    private : ndarray of int64, shape (P,)
        Sorted ``user * I + item``: sensitive for that user alone, such as a gift (see `Dataset.private`).
    """

    mode: str
    sensitive: np.ndarray
    private: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __post_init__(self) -> None:
        if self.mode not in SENSITIVE_MODES:
            raise ConfigError(f"sensitive: {self.mode!r} is not known; it is one of {', '.join(SENSITIVE_MODES)}")

    @property
    def hidden(self) -> np.ndarray:
        """Items whose name must not appear as a reason for anybody; shape (I,)."""
        return self.sensitive if self.mode == "fold" else np.zeros_like(self.sensitive)

    @property
    def excluded(self) -> np.ndarray | None:
        """Items whose events do not count for anybody; shape (I,)."""
        return self.sensitive if self.mode == "exclude" else None

    @property
    def barred(self) -> np.ndarray | None:
        """Items that are not recommended in a report; shape (I,)."""
        return None if self.mode == "show" else self.sensitive

    @property
    def by_user(self) -> bool:
        """Whether anything is private for single users."""
        return self.mode != "show" and self.private.size > 0

    def private_for(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether an item is private for a user: bool; `users` and `items` are codes that broadcast, -1 is no item."""
        if not self.by_user:
            return np.zeros(np.broadcast_shapes(np.shape(users), np.shape(items)), dtype=bool)
        pair = np.asarray(users, dtype=np.int64) * self.sensitive.size + items
        place = np.minimum(np.searchsorted(self.private, pair), self.private.size - 1)
        return np.asarray((self.private[place] == pair) & (np.asarray(items) >= 0))

    def hidden_for(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether an item must not be named to a user as a reason: bool, shape of `items`."""
        if self.mode != "fold":
            return np.zeros(np.shape(items), dtype=bool)
        return np.asarray(self.sensitive[items] | self.private_for(users, items))


def make_privacy(data: Dataset, policy: Policy | None = None) -> Privacy:
    """What is sensitive: the catalogue's own mark, and what the operator's rules name.

    Parameters
    ----------
    data : Dataset
    policy : reportgen.config.Privacy, optional
        The one that `data` were read with when None.

    Raises
    ------
    ConfigError
        A rule that cannot be followed: it must not be passed over in silence.
    """
    policy = policy or data.policy
    rules, sensitive = policy.rules, data.catalogue["sensitive"].to_numpy(dtype=bool).copy()
    if policy.sensitive != "show" and set(rules.source) - set(data.policy.rules.source):
        raise ConfigError(
            "[privacy.rules] source: the data were read without this rule; read them with this configuration"
        )
    if rules.category:
        if "category" not in data.catalogue:
            raise ConfigError(
                "[privacy.rules] category: the items have no category; name the column in [items.columns]"
            )
        wanted = {_folded(name) for name in rules.category}
        sensitive |= np.array([_folded(name or "") in wanted for name in data.catalogue["category"]], dtype=bool)
    if rules.title_pattern:
        found = re.compile(rules.title_pattern, re.IGNORECASE)
        titles = data.catalogue["title"]
        sensitive |= np.array([any(map(found.search, _spellings(title))) for title in titles], dtype=bool)
    return Privacy(policy.sensitive, sensitive, data.private)


def _folded(text: str) -> str:
    """One form of a name, whatever its capitals, its width (full or half, as in Chinese data) or the space around it."""
    return clean(unicodedata.normalize("NFKC", text), len(text) + 1).casefold()


def _spellings(title: str) -> tuple[str, ...]:
    """A title as it stands in the data, as a page shows it, and in one width: marks that nobody sees must not hide a word."""
    shown = clean(title, len(title) + 1)
    return title, shown, unicodedata.normalize("NFKC", shown)


def fold_evidence(contributions: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Put what hidden items add into a kind of evidence of its own.

    That an unnamed item is "of the same brand" or "shares words" with the product on the page would come near to naming it.
    What it adds in all is kept, so sums do not change.

    Parameters
    ----------
    contributions : ndarray of float64, shape (K, J, F)
    hidden : ndarray of bool, shape (J,)

    Returns
    -------
    ndarray of float64, shape (K, J, F + 1)
    """
    whole = contributions.sum(axis=2, keepdims=True)
    return np.concatenate(
        [np.where(hidden[:, None], 0.0, contributions), np.where(hidden[:, None], whole, 0.0)], axis=2
    )


def pseudonym(key: bytes, user_id: str) -> str:
    """A name for files, logs and records: ``base32(HMAC-SHA256(key, "reportgen/v1|" + user_id)[:15])``.

    It has 24 letters a-z2-7. Without the key it can neither be undone nor guessed from a list of ids. Ids that cannot
    be encoded are told apart too.
    """
    digest = hmac.new(key, _CONTEXT + user_id.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return base64.b32encode(digest[:_PSEUDONYM_BYTES]).decode("ascii").lower()
