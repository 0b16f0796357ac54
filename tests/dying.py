"""A stand-in for the module ``os`` that ends the process at one chosen call, for programs that tests start."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from typing import Any


class Dying:
    """Passes everything on to ``os``, counts some calls and dies at one of them.

    Parameters
    ----------
    calls : names of functions that are counted
    how : ``before`` the call, ``after`` it, or with ``half`` of what is written
    at : which call, from 1; 0 for none
    """

    def __init__(self, calls: Collection[str], how: str, at: int) -> None:
        self.calls, self.how, self.at, self.count = calls, how, at, 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return (lambda *given, **named: self._call(name, real, *given, **named)) if name in self.calls else real

    def _call(self, name: str, real: Callable[..., Any], *given: Any, **named: Any) -> Any:
        self.count += 1
        if self.count != self.at:
            return real(*given, **named)
        try:
            if self.how == "half" and name == "write":
                real(given[0], bytes(given[1])[: len(given[1]) // 2])
            if self.how == "after":
                real(*given, **named)
        finally:
            os._exit(9)
