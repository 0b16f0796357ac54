"""Libraries of other people's models: in a lock of their own, since they weigh more than all the rest together.

``./run test`` installs them where nothing may be skipped: in CI, or with ``REPORTGEN_NEED_LIBRARIES=1``. There a test whose library is
missing fails; elsewhere it is skipped with the install line.
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
        message = f"{name} is not installed; to run this test: pip install -e '.[models]'"
        if any(os.environ.get(name, "") not in ("", "0", "false") for name in ("CI", "REPORTGEN_NEED_LIBRARIES")):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)

    return find
