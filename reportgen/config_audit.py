"""The part of ``reportgen.toml`` that an audit reads: which law packs to ask, and what the operator declares."""

from __future__ import annotations

from dataclasses import dataclass, field

from reportgen.checks import checked, no_blanks, unknown

#: The law packs that come with the package; see `reportgen.audit.lawpacks`.
LAW_PACKS = ("eu-dsa", "eu-gdpr", "cn-algorithm-pipl", "uk-ico", "us-nist-ai-rmf")


def _no_packs(names: tuple[str, ...]) -> str | None:
    """Say which name is neither a built-in pack nor a file."""
    wrong = next((name for name in names if name not in LAW_PACKS and not name.endswith(".toml")), None)
    return None if wrong is None else f"{unknown(wrong, LAW_PACKS)}; or the path of your own, a .toml file"


@dataclass(frozen=True)
class Audit:
    """What an audit asks and what the operator declares.

    Attributes
    ----------
    law_packs : tuple of str
        Built-in packs by name, own ones by path. All built-in ones when nothing is said: none is left out in silence.
    not_applicable : dict of str to str
        A pack (``eu-dsa``) or one of its controls (``eu-dsa/main-parameters``), and the operator's reason.
    documents : dict of str to str
        Where a document of the operator is kept that no run can hold, such as an impact assessment.

    Keys of the two tables are checked against the packs themselves, where these are loaded.
    """

    law_packs: tuple[str, ...] = checked(LAW_PACKS, _no_packs)
    not_applicable: dict[str, str] = field(default_factory=dict, metadata={"check": no_blanks})
    documents: dict[str, str] = field(default_factory=dict, metadata={"check": no_blanks})
