"""Naive times in a named zone -> UTC, without the engine's own calendar library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# No zone changed its clock twice within this span since 1970; shorter only costs time.
_STEP = timedelta(hours=12)


def offsets(zone: str, first: int, last: int) -> list[tuple[int, int]]:
    """Find when the offset of a zone changes, on its own wall clock.

    Parameters
    ----------
    zone : str
        IANA name.
    first, last : int
        Wall-clock range in microseconds since 1970-01-01.

    Returns
    -------
    list of (int, int)
        ``(from, offset)`` in microseconds, ascending: a wall time ``w`` has the offset of the last ``from <= w``. An
        ambiguous time has the earlier offset (fold 0), and so has a time in a gap, which shifts it forward.
    """
    info = ZoneInfo(zone)
    low = max(_EPOCH + timedelta(microseconds=first), datetime(1, 1, 4, tzinfo=UTC)) - timedelta(days=2)
    high = min(_EPOCH + timedelta(microseconds=last), datetime(9999, 12, 28, tzinfo=UTC)) + timedelta(days=2)
    found = [(-(2**62), _offset(info, low))]
    while low < high:
        after = min(low + _STEP, high)
        if _offset(info, after) != found[-1][1]:
            moment = _bisect(info, low, after)
            before, now = found[-1][1], _offset(info, moment)
            found.append((_us(moment) + max(before, now), now))
            after = moment
        low = after
    return found


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _offset(info: ZoneInfo, moment: datetime) -> int:
    delta = moment.astimezone(info).utcoffset()
    return 0 if delta is None else delta // timedelta(microseconds=1)


def _bisect(info: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first whole second after ``low`` with another offset."""
    start, (a, b) = _offset(info, low), (_us(low) // 10**6, _us(high) // 10**6)
    while b - a > 1:
        middle = (a + b) // 2
        if _offset(info, _EPOCH + timedelta(seconds=middle)) == start:
            a = middle
        else:
            b = middle
    return _EPOCH + timedelta(seconds=b)
