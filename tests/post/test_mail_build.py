"""``build --format eml,crm``: a mail for everybody who can get one, a reason for everybody else, the same bytes by every way."""

from __future__ import annotations

import csv
import email
import email.policy
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from mail_shop import KEY, NOBODY, ODD, USERS

from reportgen.batch.people import report_stem
from reportgen.explain.privacy import pseudonym
from reportgen.mail.message import unsubscribe_token
from reportgen.post.outbox import open_mails
from reportgen.post.service import COLUMNS

Say = Callable[..., int]
MADE = USERS - 1 - len(NOBODY)


def stem_of(shop: Path, place: int) -> str:
    users = pd.read_csv(shop / "users.csv", dtype=str)
    return report_stem(pseudonym(KEY.encode(), users["user_id"][place]))


def files_of(run: Path, ends: tuple[str, ...] = ("eml", "crm")) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.glob("reports/*/*") if path.suffix[1:] in ends}


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unnamed(mails: dict[str, bytes]) -> dict[str, bytes]:
    """Mails without the name of their run, which a run in packs has for itself."""
    return {name: re.sub(rb"Message-ID: <[0-9a-f]{32}@", b"Message-ID: <@", data) for name, data in mails.items()}


def test_everybody_with_an_address_has_a_mail_and_everybody_else_a_reason(built: Path, shop: Path) -> None:
    ends = Counter(path.suffix for path in built.glob("reports/*/*"))
    assert ends == {".html": USERS - 1, ".json": USERS - 1, ".eml": MADE, ".crm": MADE}
    told = [json.loads(line) for line in (built / "unmailed.jsonl").read_text("utf-8").splitlines()]
    reasons = {line["user"]: line["reason"] for line in told}
    assert {stem_of(shop, place).rpartition("/")[2] for place in NOBODY} == reasons.keys()
    assert reasons[stem_of(shop, 1).rpartition("/")[2]] == "there is no e-mail address"
    assert not any("evil" in line or "@example" in line for line in reasons.values())
    assert (built / "errors.jsonl").read_bytes() == b""


def test_the_reason_is_told_at_the_end_and_by_get(
    say: Say, shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say("build", "--format", "html,eml", "--out", tmp_path / "run") == 3
    told = capsys.readouterr().out
    assert f"{MADE} EML" in told
    assert told.count("mails not made: ") >= 3
    users = pd.read_csv(shop / "users.csv", dtype=str)["user_id"]
    assert say("get", tmp_path / "run", users[1], "--format", "eml") == 1
    assert "has no report as eml, but as html" in capsys.readouterr().err


def test_who_has_no_other_report_is_set_aside(
    say: Say, shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say("build", "--format", "eml", "--out", tmp_path / "run") == 3
    told = [json.loads(line) for line in (tmp_path / "run/errors.jsonl").read_text("utf-8").splitlines()]
    assert {(line["stage"], line["user"]) for line in told} == {
        ("mail", stem_of(shop, place).rpartition("/")[2]) for place in NOBODY
    }
    assert (tmp_path / "run/unmailed.jsonl").read_bytes() == b""
    assert f"users set aside: {len(NOBODY)} (mail {len(NOBODY)})" in capsys.readouterr().out


@pytest.mark.parametrize(("gone", "named"), [
    ("from_address", "from_address is missing"), ("unsubscribe", "unsubscribe is missing"), ("name", "name is missing"),
    ("address", "address is missing"), ("non_personalised", "non_personalised is missing"),
])  # fmt: skip
def test_what_law_or_rfc_needs_is_asked_for_before_any_work(
    gone: str, named: str, say: Say, shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = re.sub(rf"(?m)^{gone} = .*$", "", (shop / "reportgen.toml").read_text("utf-8"))
    (tmp_path / "poor.toml").write_text(settings, "utf-8")
    words = (
        "build",
        "--format",
        "eml",
        "--out",
        tmp_path / "run",
        "--config",
        tmp_path / "poor.toml",
        "--events",
        "no",
    )
    assert say(*words) == 1  # not even that the events are missing was noticed
    told = capsys.readouterr().err
    assert named in told
    assert told.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_mail_service_needs_no_sender_and_no_link(say: Say, shop: Path, tmp_path: Path) -> None:
    settings = (shop / "reportgen.toml").read_text("utf-8").partition("[mail]")[0]
    (tmp_path / "service.toml").write_text(settings, "utf-8")
    assert (
        say("build", "--format", "crm", "--config", tmp_path / "service.toml", "--out", tmp_path / "run", "--quiet")
        == 3
    )
    assert say("build", "--format", "eml", "--config", tmp_path / "service.toml", "--out", tmp_path / "r2") == 1


def test_every_message_reads_back_and_nothing_was_smuggled_in(built: Path, shop: Path) -> None:
    wanted = ["From", "To", "Subject", "Content-Language", "Auto-Submitted", "Date", "Message-ID", "List-Id"]
    wanted += ["List-Unsubscribe", "List-Unsubscribe-Post", "MIME-Version", "Content-Type"]
    ids = set()
    for name, raw in files_of(built, ("eml",)).items():
        back = email.message_from_bytes(raw, policy=email.policy.default)
        assert [part.defects for part in back.walk() if part.defects] == [], name
        assert back.keys() == wanted, name
        page, text = back.get_body(("html",)), back.get_body(("plain",))
        assert page is not None
        assert text is not None
        html = page.get_content()
        assert len(html.encode()) <= 90_000
        assert not re.search(r"data:|<svg|<script|<iframe|cid:", html), name
        links = set(re.findall(r'href="([^"]+)"', html))
        assert {link for link in links if link not in text.get_content()} == set()
        ids.add(back["Message-ID"])
    assert len(ids) == MADE
    raw = (built / f"{stem_of(shop, 4)}.eml").read_bytes()
    assert "王小明@xn--fsqu00a.cn".encode() in raw  # only a server with SMTPUTF8 takes it
    shown = email.message_from_bytes((built / f"{stem_of(shop, 9)}.eml").read_bytes(), policy=email.policy.default)
    assert shown["To"].addresses[0].display_name == "Zoë 👩‍👩‍👧 王"
    users = pd.read_csv(shop / "users.csv", dtype=str)["user_id"]
    assert unsubscribe_token(KEY.encode(), users[9]) in shown["List-Unsubscribe"]
    assert users[9] not in shown.as_string()


def test_the_page_that_stops_the_mails_can_find_the_customer(built: Path, say: Say, shop: Path, tmp_path: Path) -> None:
    assert say("tokens", "--users", shop / "users.csv", "--out", tmp_path / "tokens.jsonl", "--quiet") == 0
    lines = [json.loads(line) for line in (tmp_path / "tokens.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == USERS
    token = {line["key"]: line["token"] for line in lines}
    for name, data in files_of(built, ("eml",)).items():
        assert f"List-Unsubscribe: <https://example.org/stop/{token[name.partition('.')[0]]}>".encode() in data


def test_the_folder_for_a_mail_service(built: Path) -> None:
    rows = list(csv.DictReader((built / "crm/index.csv").read_text("utf-8").splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == MADE - 1  # the address that a spreadsheet would run
    assert not any(row["email"].startswith("=") for row in rows)
    named = {"index.csv"} | {row[part] for row in rows for part in ("html", "text", "meta")}
    assert tree(built / "crm").keys() == named
    for row in rows:
        html, text = ((built / "crm" / row[part]).read_text("utf-8") for part in ("html", "text"))
        meta = json.loads((built / "crm" / row["meta"]).read_text("utf-8"))
        assert html.count('href="{{unsubscribe_url}}"') == text.count("{{unsubscribe_url}}") == 1
        assert (meta["key"], meta["locale"], meta["subject"]) == (row["key"], row["locale"], row["subject"])
        assert row["email"] not in html + text + json.dumps(meta)


def test_the_same_bytes_in_packs_by_workers_and_after_a_resume(
    built: Path, say: Say, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    formats = ("--format", "html,json,eml,crm", "--quiet", "--shard-size", "5")
    assert say("build", *formats, "--packs", "--out", tmp_path / "packs") == 3
    assert say("build", *formats, "--workers", "2", "--out", tmp_path / "workers") == 3
    same, there = tree(built), tree(tmp_path / "workers")
    mails = {name for name in same if name.startswith(("reports/", "crm/")) or name == "unmailed.jsonl"}
    assert {name: there[name] for name in mails} == {name: same[name] for name in mails}
    assert tree(tmp_path / "packs")["unmailed.jsonl"] == same["unmailed.jsonl"]
    assert not (tmp_path / "packs/crm").exists()  # with so many readers only when asked for
    for word in ("eml", "crm"):
        packed = {f"{found.key}.{word}": found.data for found in open_mails(tmp_path / "packs", word)}
        assert unnamed(packed) == unnamed(files_of(built, (word,)))
    assert say("crm", tmp_path / "packs", "--out", tmp_path / "folder", "--quiet") == 3
    assert tree(tmp_path / "folder") == tree(built / "crm")

    lost = next((tmp_path / "workers").glob("reports/*/*.eml"))
    lost.write_bytes(b"damaged")
    (tmp_path / "workers/unmailed.jsonl").unlink()
    shutil.rmtree(tmp_path / "workers/crm")
    assert say("build", *formats, "--workers", "2", "--out", tmp_path / "workers", "--resume") == 3
    assert tree(tmp_path / "workers") | {"run_status.json": b""} == there | {"run_status.json": b""}
    shutil.rmtree(tmp_path / "workers/crm")  # as if the process had died just before its end
    capsys.readouterr()
    assert say("build", *formats, "--workers", "2", "--out", tmp_path / "workers", "--resume") == 3
    assert tree(tmp_path / "workers/crm") == tree(built / "crm")
    capsys.readouterr()
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "workers").rglob("*") if path.suffix != ".json"}
    assert say("build", *formats[:2], "--shard-size", "5", "--out", tmp_path / "workers", "--resume") == 3
    assert "mails not made: 1, there is no e-mail address" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in stamps if path.is_file()} == {
        path: when for path, when in stamps.items() if path.is_file()
    }


def test_a_logo_travels_with_a_message_and_is_told_in_words_to_a_service(say: Say, shop: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (40, 20), "#204060").save(tmp_path / "logo.png")
    settings = (shop / "reportgen.toml").read_text("utf-8") + '[look]\nlogo = "logo.png"\nlogo_alt = "Our sign"\n'
    (tmp_path / "logo.toml").write_text(settings, "utf-8")
    words = ("--format", "eml,crm", "--limit", "1", "--config", tmp_path / "logo.toml", "--quiet")
    assert say("build", *words, "--out", tmp_path / "run") == 0
    (eml,), (crm,) = (list((tmp_path / "run").glob(f"reports/*/*.{word}")) for word in ("eml", "crm"))
    message = email.message_from_bytes(eml.read_bytes(), policy=email.policy.default)
    pictures = {f"cid:{part['Content-ID'].strip('<>')}" for part in message.walk() if "Content-ID" in part}
    body = message.get_body(("html",))
    assert body is not None
    assert pictures == set(re.findall(r'src="([^"]+)"', body.get_content()))
    assert len(pictures) == 1
    html = json.loads(crm.read_bytes())["html"]
    assert "<img" not in html
    assert ">Our sign</p>" in html


def test_who_is_forgotten_leaves_the_folder_too(
    built: Path, say: Say, shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(built, run)
    user = pd.read_csv(shop / "users.csv", dtype=str)["user_id"][9]
    key = pseudonym(KEY.encode(), user)
    assert say("verify", run) == 0  # what lies there after the seal is known
    assert say("forget", run, user) == 0
    assert not (run / "crm").exists()
    assert say("crm", run) == 3
    assert key not in (run / "crm/index.csv").read_text("utf-8")
    assert not any(key in name for name in tree(run))
    assert say("verify", run) == 0
    capsys.readouterr()


def test_a_folder_of_another_hand_is_left_alone(
    built: Path, say: Say, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.html").write_text("mine")
    assert say("crm", built, "--out", tmp_path / "mine") == 1
    assert "holds letter.html" in capsys.readouterr().err
    assert (tmp_path / "mine/letter.html").read_text() == "mine"
    assert say("crm", built, "--out", tmp_path / "mine/letter.html") == 1


def test_who_said_no_since_the_run_is_not_in_the_folder(built: Path, say: Say, shop: Path, tmp_path: Path) -> None:
    users = pd.read_csv(shop / "users.csv", dtype=str)
    users.loc[11, "opted_out"] = "True"
    users.drop(index=12).to_csv(tmp_path / "users.csv", index=False)
    (tmp_path / "stop.txt").write_text(f"{users['email'][13]}\n")
    words = (built, "--out", tmp_path / "out", "--quiet")
    assert say("crm", *words) == 3
    before = tree(tmp_path / "out")
    assert say("crm", *words, "--users", tmp_path / "users.csv", "--suppress", tmp_path / "stop.txt") == 3
    gone = {name.partition("/")[2].partition(".")[0] for name in before.keys() - tree(tmp_path / "out").keys()}
    assert gone == {pseudonym(KEY.encode(), users["user_id"][place]) for place in (11, 12, 13)}
    assert ODD[5] not in (tmp_path / "out/index.csv").read_text("utf-8")


def test_a_run_that_follows_another_makes_its_own_mails(built: Path, say: Say, shop: Path, tmp_path: Path) -> None:
    """``--since`` takes pages over; a mail names its run and an address that may be another by now."""
    users = pd.read_csv(shop / "users.csv", dtype=str)
    users.loc[13, "email"] = "moved@example.org"
    users.to_csv(tmp_path / "users.csv", index=False)
    words = ("--format", "html,json,eml,crm", "--users", tmp_path / "users.csv", "--quiet", "--out", tmp_path / "run")
    assert say("build", *words, "--since", built) == 3
    before, after = files_of(built, ("eml",)), files_of(tmp_path / "run", ("eml",))
    moved = f"{pseudonym(KEY.encode(), users['user_id'][13])}.eml"
    assert b"<moved@example.org>" in after[moved]
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
