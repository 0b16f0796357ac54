"""``render_crm``: a mail as three files for a mail service, which adds the reader's address and its own link to stop the mails.

A mail service fills in fields such as ``{{first_name}}`` wherever it finds them. So whatever looks like one in foreign text is taken
apart: a product called ``{{contact.email}}`` must not become somebody's address. The only field left is ours.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from reportgen.config import Config
from reportgen.errors import ConfigError
from reportgen.mail.parts import STOP, Mail
from reportgen.mail.setup import mail_problems

#: The fields of a page and a text that a mail service fills in: setting of ``[mail]`` -> what it stands for.
MERGE_FIELDS = {"merge_unsubscribe": "the service's own address to stop these mails, inside href and in plain text"}
#: How merge fields and small programs of mail services begin: Handlebars and Liquid, Mailchimp, Salesforce, Marketo, ERB, FreeMarker.
_OPENING = re.compile(r"\{(?=[{%#])|\*(?=\|)|%(?=%)|\[(?=\[)|<(?=%)|[$#!@](?=\{)")
#: A field itself: one line, short, and nothing that would end the attribute it stands in.
_FIELD = re.compile(r"[^\s\"'<>&]{3,100}|<%[^\s\"'<>&]{1,90}%>|[{%*|\[\]]+ ?[\w.\-/]{1,80} ?[}%*|\[\]]+")
_SCHEMA = "reportgen.mail/1"


@dataclass(frozen=True, slots=True)
class Crm:
    """The three files of one reader.

    Attributes
    ----------
    html, text : str
        With the merge field in place of the reader's address to stop the mails.
    meta : str
        JSON: subject, preheader, language, key, number of products, merge fields, headers that the service has to set.
    """

    html: str = field(repr=False)
    text: str = field(repr=False)
    meta: str


def render_crm(mail: Mail, config: Config) -> Crm:
    """Make the files for a mail service.

    Parameters
    ----------
    mail : Mail
        Without pictures: ``render_mail(report, "cells", config, pictures=False)``.
    config : Config
        Its ``[mail] merge_unsubscribe`` is what the service replaces by its own link.

    Raises
    ------
    ConfigError
        A setting is missing that law needs, the merge field cannot stand in a link, or the mail has pictures.
    """
    if problems := crm_problems(config):
        raise ConfigError(f"no mail can be made with these settings: {'; '.join(problems)}")
    if mail.images:
        raise ConfigError(
            'a mail for a mail service has no pictures of its own; use render_mail(..., "cells", pictures=False)'
        )
    merge = config.mail.merge_unsubscribe
    html, text = (
        defused(part, markup).replace(STOP, merge) for part, markup in ((mail.html, True), (mail.text, False))
    )
    told = {
        "schema": _SCHEMA,
        "key": mail.key,
        "locale": mail.locale,
        "subject": defused(mail.subject, False),
        "preheader": defused(mail.preheader, False),
        "products": mail.n_items,
        "merge_fields": {"unsubscribe": merge},
        "headers": {"Auto-Submitted": "auto-generated", "Content-Language": mail.locale},
    }
    meta = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Crm(html, text, f"{meta}\n")


def crm_problems(config: Config) -> tuple[str, ...]:
    """Everything that keeps mails for a mail service from being made, each with its remedy.

    Sender and link to stop are the service's own: what is missing of them is no problem here.
    """
    problems = [
        told for told in mail_problems(config) if not told.startswith(("[mail] from_address", "[mail] unsubscribe"))
    ]
    if not _FIELD.fullmatch(config.mail.merge_unsubscribe):
        problems.append('[mail] merge_unsubscribe cannot stand in a link; write for example "{{unsubscribe_url}}"')
    return tuple(problems)


def defused(text: str, markup: bool) -> str:
    """Text in which no mail service finds a field: in a page the opening sign is written by its number, in text it is set apart.

    Parameters
    ----------
    text : str
    markup : bool
        A page. What stands in its style sheet is ours and stays.
    """
    if not markup:
        return _OPENING.sub(r"\g<0> ", text)
    before, style, rest = text.partition("<style>")
    sheet, end, after = rest.partition("</style>")
    before, after = (_OPENING.sub(lambda found: f"&#{ord(found[0])};", part) for part in (before, after))
    return f"{before}{style}{sheet}{end}{after}"
