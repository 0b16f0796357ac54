"""Exact, printable answers to: why did I see these products?"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from reportgen.version import VERSION

__version__ = VERSION

#: Public name -> module. Loaded at first use, so that `reportgen --help` does not wait for NumPy.
_PUBLIC = {
    "AttentionScorer": "reportgen.attention.scorer",
    "Config": "reportgen.config",
    "Dataset": "reportgen.data.dataset",
    "Explanation": "reportgen.explain.explanation",
    "ForeignModel": "reportgen.explain.foreign",
    "Reading": "reportgen.explain.foreign",
    "Report": "reportgen.report.document",
    "build_foreign_report": "reportgen.report.foreign",
    "build_message": "reportgen.mail.message",
    "build_report": "reportgen.report.build",
    "build_reports": "reportgen.report.build",
    "evaluate": "reportgen.attention.evaluation",
    "explain": "reportgen.explain.why",
    "explain_foreign": "reportgen.explain.foreign_measure",
    "explain_many": "reportgen.explain.why",
    "load_config": "reportgen.config",
    "load_model": "reportgen.attention.store",
    "make_shop": "reportgen.data.shop",
    "render_html": "reportgen.report.html",
    "render_mail": "reportgen.mail.render",
    "render_pdf": "reportgen.report.pdf",
    "rollout": "reportgen.explain.rollout",
    "save_model": "reportgen.attention.store",
    "weights_frame": "reportgen.explain.weights",
}
__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'reportgen' has no attribute {name!r}")
    module = import_module(_PUBLIC[name])
    return globals().get(name, getattr(module, name))  # `explain` is both a room and a verb: see its package


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
