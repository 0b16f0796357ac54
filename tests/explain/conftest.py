"""The toy worlds of tests/attention, for explanations too."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType


def _worlds() -> ModuleType:
    spec = spec_from_file_location("toy_worlds", Path(__file__).parents[1] / "attention" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_WORLDS = _worlds()
build_data, random_data, random_model, ab_world = (
    getattr(_WORLDS, f"{name}_fixture") for name in ("build_data", "random_data", "random_model", "ab_world")
)
