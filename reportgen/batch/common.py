"""What all reports of a run are made from, part by part: by these hashes a later run says why it can take none of them over."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from reportgen.audit.seal import drawing_facts
from reportgen.batch.engine import Engine
from reportgen.batch.plan import Plan
from reportgen.batch.settings import RunSettings
from reportgen.explain.fidelity import Trust
from reportgen.mail.outgoing import FORMATS as MAILS

#: Options that say who gets a report, in which files, and what is measured after them: not what stands in it.
_WHO = ("formats", "limit", "pdf_limit", "stability", "users", "users_per_pack")


def common_of(plan: Plan, settings: RunSettings, engine: Engine, trust: Trust | None) -> dict[str, str]:
    """Hash of each part that all reports of a run share; a name is what a run says when that part was another.

    Parameters
    ----------
    plan : Plan
    settings : RunSettings
    engine : Engine
    trust : Trust or None
        What was measured. Only the sentences about it count, for they alone stand in a report.

    Returns
    -------
    dict of str to str
        Sixteen digits each.
    """
    facts = plan.facts
    options = {name: value for name, value in facts["settings"]["options"].items() if name not in _WHO}
    parts: dict[str, Any] = {
        "key": facts["key_id"],
        "settings": [facts["settings"]["config"], options],
        "templates": facts["templates"],
        "versions": {name: version for name, version in facts["versions"].items() if name != "deflate"},
        "as_of": [facts["as_of"], settings.as_of],
        "generated_at": facts["generated_at"],
        **engine.shared(settings.config, trust),
    }
    if "pdf" in settings.formats:
        parts["fonts"] = drawing_facts(settings.formats, settings.config)
    if any(word in MAILS for word in settings.formats):
        parts["mails"] = plan.run_id  # each names its run
    return {name: _hash(part) for name, part in parts.items()}


def _hash(part: Any) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True, default=list).encode("ascii")).hexdigest()[:16]
