"""Why this item for this user. The package itself can be called: ``from reportgen import explain; explain(scorer, data, user)``.

The room and its main verb have one name. Python sets a package's name in its parent as soon as any module of it is imported, so
the verb would be hidden from then on; a package that can be called is both.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reportgen.explain.explanation import Explanation


class _Room(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Explanation:
        """See `reportgen.explain.why.explain`."""
        from reportgen.explain.why import explain

        return explain(*args, **kwargs)


sys.modules[__name__].__class__ = _Room
