"""``reportgen answer``: a ZIP with everything that was made and used about one person."""

from __future__ import annotations

import argparse
import json
from typing import Any

from reportgen.audit.answer import make_answer
from reportgen.audit.answer_person import (
    ERASED,
    MADE,
    Person,
    PersonData,
    check_config,
    check_inputs,
    person_data,
    why_none,
)
from reportgen.audit.lawpacks import controls, packs_of
from reportgen.audit.place import read_manifest
from reportgen.audit.probes import Facts, facts_of_run
from reportgen.audit.proof import make_proof
from reportgen.batch.get import find_report
from reportgen.batch.people import language
from reportgen.data.database import fetched
from reportgen.data.dataset import Dataset
from reportgen.errors import ConfigError, InputError
from reportgen.formats import FORMATS
from reportgen.output.durable import replace_file
from reportgen.output.facts import hash_inputs
from reportgen.output.manifest import plain_config
from reportgen.verbs.door import DONE, Door
from reportgen.verbs.forget import key_of
from reportgen.verbs.inputs import read_config


def run(given: argparse.Namespace, door: Door) -> int:
    """Find what there is about the person, and write it as one file."""
    manifest = read_manifest(given.run)
    key = key_of(given, door, given.user)
    data = _data(given, manifest, door)
    reports, none = _reports(given, key)
    status, reason = (MADE, "") if reports else why_none(given.run, key, manifest, data)
    if not status:
        raise InputError(f"{none}; with --events, --items and --users people who opted out are told from unknown ones")
    facts = facts_of_run(given.run)
    record = json.loads(reports["json"]) if "json" in reports else {}
    own = Facts(facts.manifest, facts.config, facts.statistics, facts.fidelity, facts.files, record)
    person = Person(
        key, status, _locale(given, manifest, record, data), manifest, reason, reports,
        None if data is None else data.events, data.profile if data is not None and given.users else None,
        controls(own, packs_of(facts, given.law_pack), person=True), _proof(given, key, status),
    )  # fmt: skip
    replace_file(given.out, make_answer(person))
    door.console.print(str(given.out))
    if data is None and not given.quiet:
        door.console.print("the events are not in it: give the tables of the run with --events and --items")
    return DONE


def _reports(given: argparse.Namespace, key: str) -> tuple[dict[str, bytes], str]:
    """All reports of the person by format; and what is said where there is none."""
    found, told = {}, ""
    for word in FORMATS:
        try:
            found[word] = find_report(given.run, key, word)
        except InputError as error:
            told = str(error)
    return found, told


def _proof(given: argparse.Namespace, key: str, status: str) -> dict[str, Any] | None:
    try:
        return make_proof(given.run, key) if status in (MADE, ERASED) else None
    except InputError:  # a run that was not sealed has no leaves
        return None


def _locale(
    given: argparse.Namespace, manifest: dict[str, Any], record: dict[str, Any], data: PersonData | None
) -> str:
    """The language of the report, else the person's own, else that of the run."""
    told = record.get("page", {}).get("locale")
    usual = str(manifest["settings"].get("options", {}).get("locale", "en"))
    return str(given.locale or told or language(data.profile.get("locale") if data is not None else None, usual))


def _data(given: argparse.Namespace, manifest: dict[str, Any], door: Door) -> PersonData | None:
    """The person's rows, read from the tables of the run; None when none were given."""
    if given.events is None and given.items is None:
        return None
    if given.by_key:
        raise ConfigError("the data of a person are found by their id, not by a key; name USER by id, without --by-key")
    if given.events is None or given.items is None:
        raise ConfigError("the data of a run are read together; give both --events and --items")
    config = read_config(given)
    check_config(manifest, plain_config(config, door.key(given)))
    with fetched(config.input, {"events": given.events, "items": given.items, "users": given.users}) as files:
        check_inputs(
            manifest,
            [file for table, where in files.items() for file in hash_inputs(table, where, config.input.delimiter)],
        )
        data = Dataset.from_files(files["events"] or "", files["items"] or "", files["users"], config)
    return person_data(data, given.user, manifest["as_of"])
