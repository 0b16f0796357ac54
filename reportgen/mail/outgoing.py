"""The mails of a run: what is refused before any work, and the files that one person gets beside the report."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from reportgen.config import Config
from reportgen.errors import ConfigError
from reportgen.mail.address import Address, AddressError, read_address
from reportgen.mail.crm import Crm, crm_problems, render_crm
from reportgen.mail.message import build_message, token_of, write_eml
from reportgen.mail.render import render_mail
from reportgen.mail.setup import mail_problems
from reportgen.report.document import Report

#: Formats of a run that are mails: a message, and what a mail service is given.
EML, CRM = "eml", "crm"
FORMATS = (EML, CRM)
SCHEMA = "reportgen.crm/1"
NO_PRODUCT = "there is no product to tell of"


def check_mails(config: Config, formats: tuple[str, ...]) -> None:
    """Refuse a run whose mails could not be made.

    Raises
    ------
    ConfigError
        Names everything that law or RFC needs and the configuration does not have.
    """
    problems = (
        *(mail_problems(config) if EML in formats else ()),
        *(crm_problems(config) if CRM in formats else ()),
    )
    if problems:
        raise ConfigError(f"no mail can be made with these settings: {'; '.join(dict.fromkeys(problems))}")


def why_none(email: str) -> str:
    """Why somebody with a report has no mail: by the address, or because there is nothing to tell."""
    try:
        recipient(email)
    except AddressError as error:
        return str(error)
    return NO_PRODUCT


def recipient(email: str) -> Address:
    """Check the address of a user.

    Raises
    ------
    AddressError
        Says what is wrong without the address.
    """
    if not email.strip():
        raise AddressError("there is no e-mail address")
    return read_address(email)


@dataclass(frozen=True)
class Mailer:
    """Makes the mails of one run.

    Attributes
    ----------
    config : Config
    formats : tuple of str
        Of `FORMATS`.
    token_key : bytes
        As of `reportgen.mail.message.token_key`.
    run : str
        Name of the run, for the Message-ID.
    date : datetime
    figures : str
        How figures are drawn on pages; a mail shows a drawn one only as PNG.
    templates : Path, optional
    """

    config: Config
    formats: tuple[str, ...]
    token_key: bytes = field(repr=False)
    run: str
    date: datetime
    figures: str = "cells"
    templates: Path | None = None

    def files(self, report: Report, user_id: str, email: str, name: str) -> dict[str, bytes]:
        """The mails of one person by format.

        Raises
        ------
        AddressError
            No address, one that cannot be used, or nothing to tell: the message is that of `why_none`.
        RenderError
            A template fails.
        """
        box, made = recipient(email), dict[str, bytes]()
        if not report.items:
            raise AddressError(NO_PRODUCT)
        if EML in self.formats:
            figures = "png" if self.figures == "png" else "cells"
            mail = render_mail(report, figures, self.config, self.templates)
            token = token_of(self.token_key, user_id)
            shown = name if self.config.privacy.show_name else ""
            made[EML] = write_eml(build_message(mail, box, self.config, token, self.date, run=self.run, name=shown))
        if CRM in self.formats:
            mail = render_mail(report, "cells", self.config, self.templates, pictures=False)
            made[CRM] = crm_record(render_crm(mail, self.config), box)
        return made


def crm_record(crm: Crm, box: Address) -> bytes:
    """What a run keeps of a mail for a mail service: one line of JSON with the address and the three files."""
    plain = {"schema": SCHEMA, "email": box.spec} | asdict(crm)
    return (json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode("utf-8")


def read_crm_record(data: bytes) -> tuple[Crm, str]:
    """Read what `crm_record` made; return it with the address.

    Raises
    ------
    ValueError
        It is no such record.
    """
    plain: Any = json.loads(data)
    if not isinstance(plain, dict) or plain.get("schema") != SCHEMA:
        raise ValueError(f"it is no {SCHEMA}")
    try:
        return Crm(*(str(plain[name]) for name in ("html", "text", "meta"))), str(plain["email"])
    except KeyError as error:
        raise ValueError(f"{error} is missing") from error
