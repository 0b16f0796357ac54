"""What all reports of a run are made from, part by part: by these hashes a later run says why it can take none of them over."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from reportgen.attention.scorer import AttentionScorer
from reportgen.audit.seal import drawing_facts
from reportgen.batch.plan import Plan
from reportgen.batch.settings import RunSettings
from reportgen.explain.fidelity import Trust
from reportgen.explain.why import model_facts
from reportgen.mail.outgoing import FORMATS as MAILS
from reportgen.report.frame import frame_of
from reportgen.report.words import LOCALES, words

#: Options that say who gets a report and in which files, not what stands in it.
_WHO = ("formats", "limit", "pdf_limit", "users", "users_per_pack")


def common_of(plan: Plan, settings: RunSettings, scorer: AttentionScorer, trust: Trust | None) -> dict[str, str]:
    """Hash of each part that all reports of a run share; a name is what a run says when that part was another.

    Parameters
    ----------
    plan : Plan
    settings : RunSettings
    scorer : AttentionScorer
    trust : Trust or None
        What was measured. Only the sentences about it count, for they alone stand in a report.

    Returns
    -------
    dict of str to str
        Sixteen digits each.
    """
    facts = plan.facts
    options = {name: value for name, value in facts["settings"]["options"].items() if name not in _WHO}
    method = [
        frame_of(words(locale), settings.config, trust).method(model_facts(scorer)).paragraphs for locale in LOCALES
    ]
    parts: dict[str, Any] = {
        "key": facts["key_id"],
        "model": facts["model"],
        "settings": [facts["settings"]["config"], options],
        "templates": facts["templates"],
        "versions": {name: version for name, version in facts["versions"].items() if name != "deflate"},
        "as_of": [facts["as_of"], settings.as_of],
        "generated_at": facts["generated_at"],
        "measured": method,
    }
    if tables := sorted({file.table for file in settings.inputs} - {"events", "items", "users"}):
        parts["lists"] = tables  # another recommender's lists are told in words of their own
    if "pdf" in settings.formats:
        parts["fonts"] = drawing_facts(settings.formats, settings.config)
    if any(word in MAILS for word in settings.formats):
        parts["mails"] = plan.run_id  # each names its run
    return {name: _hash(part) for name, part in parts.items()}


def _hash(part: Any) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True, default=list).encode("ascii")).hexdigest()[:16]
