"""Limits of time within a process: each alone, one in another, and many of them with one handler."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from reportgen.workers import limit
from reportgen.workers.limit import alarm, listening, time_limit


class OuterError(BaseException):
    """Of the limit around."""


class InnerError(Exception):
    """Of the limit within."""


@pytest.fixture(params=[False, True], ids=["alone", "listening"], autouse=True)
def _heard(request: pytest.FixtureRequest) -> Iterator[None]:
    """All of it with a handler for each limit, and with one for all; afterwards everything is as it was."""
    before = signal.getsignal(signal.SIGALRM)
    if request.param:
        with listening():
            yield
    else:
        yield
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert limit._TIMER.open == []


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_what_takes_too_long_is_interrupted_and_what_does_not_is_left_alone() -> None:
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"^took longer than 0\.05 s$"), time_limit(0.05):
        spin(60)
    assert time.monotonic() - start < 30
    with time_limit(60):
        pass
    for nothing in (None, 0.0):
        with time_limit(nothing):
            assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
    spin(0.1)  # nothing rings later


def test_the_limit_around_still_rings_after_one_within() -> None:
    """It did not before: the one within switched the timer off for good."""

    def steps() -> None:
        for _ in range(10_000):
            with time_limit(30):
                spin(0.01)

    with pytest.raises(OuterError), alarm(0.15, OuterError()):
        steps()


def test_whose_time_is_up_first_rings_first() -> None:
    with pytest.raises(OuterError), alarm(0.05, OuterError()), time_limit(30):
        spin(60)
    with alarm(30, OuterError()):
        with pytest.raises(TimeoutError), time_limit(0.05):
            spin(60)
        left = signal.getitimer(signal.ITIMER_REAL)[0]
        assert 0 < left <= 30 - 0.05, "what the one within has taken is taken from the one around, too"


def test_three_in_each_other_ring_in_the_order_of_their_ends() -> None:
    rung: list[str] = []

    def within(*limits: tuple[float, str]) -> None:
        try:
            with alarm(limits[0][0], InnerError()):
                if limits[1:]:
                    within(*limits[1:])
                spin(60)
        except InnerError:
            rung.append(limits[0][1])

    def outer() -> None:
        within((0.2, "middle"), (0.1, "inner"))
        spin(60)

    with pytest.raises(OuterError), alarm(0.3, OuterError()):
        outer()
    assert rung == ["inner", "middle"]


def test_an_error_that_is_swallowed_leaves_the_limit_around_awake() -> None:
    """And rings once: the block goes on without it."""
    swallowed: list[str] = []

    def stubborn() -> None:
        while True:
            try:
                spin(60)
            except InnerError:
                swallowed.append("once")

    with pytest.raises(OuterError), alarm(0.2, OuterError()), alarm(0.05, InnerError()):
        stubborn()
    assert swallowed == ["once"]


def test_a_signal_of_somebody_else_ends_nothing() -> None:
    with time_limit(60):
        os.kill(os.getpid(), signal.SIGALRM)
        spin(0.01)
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60, "and the timer goes on"


def test_the_error_of_the_block_itself_comes_out() -> None:
    with pytest.raises(ZeroDivisionError), alarm(30, OuterError()), time_limit(30):
        1 / 0  # noqa: B018


def test_limits_that_end_at_any_moment_leave_nothing_behind() -> None:
    """Hundreds of limits that are up as they are begun, used or left; the fixture looks at what is left."""
    rung = 0
    for number in range(600):
        seconds = 1e-6 * (1 + number % 60)
        try:
            with alarm(seconds, OuterError()), alarm(2 * seconds, InnerError()):
                spin(1e-6 * (number % 90))
        except (OuterError, InnerError):
            rung += 1
        assert limit._TIMER.open == []
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert rung


def test_an_error_that_a_finaliser_drops_comes_again() -> None:
    """Python only prints what is raised in ``__del__``; without a second ring the block would go on for ever."""

    class Slow:
        def __del__(self) -> None:
            dropped.append("begun")
            spin(0.2)
            dropped.append("not reached")

    def drop_and_go_on() -> None:
        Slow()
        spin(60)

    dropped: list[str] = []
    with pytest.raises(OuterError), alarm(0.05, OuterError()):
        drop_and_go_on()
    assert dropped == ["begun"]


def test_other_errors_in_finalisers_are_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ZeroDivisionError

    heard: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: heard.append(told.exc_type))
    mine = sys.unraisablehook
    with time_limit(60), alarm(30, OuterError()):
        Broken()
    assert heard == [ZeroDivisionError]
    assert sys.unraisablehook is mine


def test_another_thread_has_no_limit_and_touches_nothing() -> None:
    ended: list[str] = []

    def work() -> None:
        with listening(), time_limit(0.01):
            time.sleep(0.05)
        ended.append("whole")

    with time_limit(60):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60
    assert ended == ["whole"]


def test_one_handler_serves_all_limits_in_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the calls, not by the clock: ten steps set no handler, where each alone sets two."""
    calls: list[object] = []
    real = signal.signal
    monkeypatch.setattr(signal, "signal", lambda number, handler: (calls.append(handler), real(number, handler))[1])
    for _ in range(10):
        with time_limit(5):
            pass
    alone = len(calls)
    calls.clear()
    with listening():
        for _ in range(10):
            with time_limit(5):
                pass
        inside = len(calls) - 1
    assert (alone, inside) in ((20, 0), (0, 0)), "0 where the fixture listens already"
    assert all(first is not second for first, second in pairwise(calls))
