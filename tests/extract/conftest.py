"""Libraries of other people's models: not in the development lock, since they weigh more than all the rest together.

Where one is missing its tests are skipped with the install line; with ``REPORTGEN_NEED_LIBRARIES=1`` they fail instead, for the
job that installs the extras and must not pass by skipping.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import pytest

# Before Keras is loaded for the first time; the only backend that the tests need.
os.environ.setdefault("KERAS_BACKEND", "torch")


@pytest.fixture(scope="session")
def library() -> Callable[[str], ModuleType]:
    """``library("torch")`` is the module."""

    def find(name: str) -> ModuleType:
        if find_spec(name) is not None:
            return import_module(name)
        message = f"{name} is not installed; to run this test: pip install -e '.[torch,keras,implicit]'"
        if os.environ.get("REPORTGEN_NEED_LIBRARIES", "") not in ("", "0"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)

    return find
