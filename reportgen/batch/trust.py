"""How far the reasons of a run can be trusted: measured once, on a sample, before the reports are made."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.settings import RunSettings
from reportgen.data.dataset import Dataset
from reportgen.explain.fidelity import Trust, measure_fidelity
from reportgen.explain.privacy import Privacy, pseudonym
from reportgen.explain.removal import choose_sample
from reportgen.report.record import iso

SCHEMA = "reportgen.fidelity/1"
PATH = "audit/fidelity.json"
#: Users measured at best, and at least: a mean over fewer says little.
SAMPLE, LEAST = 100, 20
#: With more items than this the sample is smaller, down to `_SMALL` users: each step scores the whole catalogue.
_MANY_ITEMS, _SMALL = 20_000, 30
_LIST = 10
#: Decimals in the file; more of them would depend on the processor.
_DECIMALS = 6


def measure_run(
    settings: RunSettings, data: Dataset, scorer: AttentionScorer, privacy: Privacy
) -> tuple[bytes, Trust | None]:
    """Measure the faithfulness of a run's reasons.

    The sample is drawn from all users of the data who did not opt out, by the order of their pseudonyms: a report that is made
    alone says the same as one of a full run.

    Returns
    -------
    file : bytes
        JSON with all figures, or with the reason why there are none. Holds no user.
    trust : Trust or None
        What reports show; None where fewer than `LEAST` users have a reason at all.
    """
    before = data.until(settings.as_of)
    size, sample = sample_of(settings, data, before, scorer, privacy)
    head = {"schema": SCHEMA, "as_of": iso(settings.as_of), "wanted": size}
    if sample.size < LEAST:
        told = f"only {sample.size} users have a product that their history speaks for; {LEAST} are needed"
        return json_file(head | {"measured": False, "reason": told}), None
    found = measure_fidelity(scorer, before, sample, _LIST, barred=privacy.barred, left_out=privacy.excluded)
    return json_file(head | {"measured": True} | found.to_dict()), found.trust()


def sample_of(
    settings: RunSettings, data: Dataset, before: Dataset, scorer: AttentionScorer, privacy: Privacy
) -> tuple[int, np.ndarray]:
    """How many users are wanted for a measurement, and who they are: those who have a reason, of all who did not opt out.

    Parameters
    ----------
    data, before : Dataset
        All of it, and what was known at the reference time.

    Returns
    -------
    size : int
    sample : ndarray of int64
        User codes, at most `size`.
    """
    size = int(np.clip(SAMPLE * _MANY_ITEMS // max(data.item_ids.size, 1), _SMALL, SAMPLE))
    order = _by_pseudonym(data, settings.key)
    return size, choose_sample(scorer, before, order, size, privacy.barred, privacy.excluded)


def _by_pseudonym(data: Dataset, key: bytes) -> np.ndarray:
    """Users who did not opt out, in an order that nobody without the key can foresee."""
    stay = np.flatnonzero(~data.users["opted_out"].to_numpy(dtype=bool))
    return np.array(sorted(stay, key=lambda code: pseudonym(key, str(data.user_ids[code]))), dtype=np.int64)


def json_file(plain: dict[str, Any]) -> bytes:
    """A measurement as a file: sorted keys, and no more decimals than every processor agrees on."""
    return (json.dumps(_rounded(plain), sort_keys=True, indent=1, allow_nan=False) + "\n").encode("ascii")


def _rounded(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {key: _rounded(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return [_rounded(value) for value in plain]
    return round(plain, _DECIMALS) + 0.0 if isinstance(plain, float) else plain
