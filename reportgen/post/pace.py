"""How fast messages go, and how patient a sending is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: Seconds after which a pause looks whether somebody wants us to stop.
_NAP = 0.2


@dataclass(frozen=True)
class Retries:
    """How patient a sending is.

    Attributes
    ----------
    times : int
        Further attempts for a letter that the server puts off, and for a server that went away.
    first, factor, longest : float
        Seconds before the first of them, by what each wait is longer than the one before, and the longest wait.
    refused_in_a_row : int
        After so many refusals without a success between them the server is taken to refuse us, not the people.
    doubts_in_a_row : int
        The same for connections that are lost before the answer.
    """

    times: int = 5
    first: float = 5.0
    factor: float = 3.0
    longest: float = 900.0
    refused_in_a_row: int = 20
    doubts_in_a_row: int = 3

    def wait(self, attempt: int) -> float:
        """Seconds before a further attempt; the first is 1."""
        return min(self.longest, self.first * self.factor ** min(attempt - 1, 64))


class Pace:
    """When the next message may go, and pauses that can be interrupted.

    Parameters
    ----------
    rate : float
        Messages per second. Nothing is saved up: after a pause there is no burst.
    clock, sleep, stopping : callable
        As of `reportgen.post.send.send`.
    """

    def __init__(
        self, rate: float, clock: Callable[[], float], sleep: Callable[[float], object], stopping: Callable[[], bool]
    ) -> None:
        self.clock, self.stopping = clock, stopping
        self._sleep = sleep
        self._gap = 1 / rate
        self.next = clock()

    def rest(self, until: float) -> None:
        """Wait until a time of the clock, or until we are to stop."""
        while not self.stopping() and (left := until - self.clock()) > 0:
            self._sleep(min(left, _NAP))

    def take_turn(self) -> None:
        """Wait for the turn of the next message."""
        self.rest(self.next)
        self.next = max(self.clock(), self.next) + self._gap
