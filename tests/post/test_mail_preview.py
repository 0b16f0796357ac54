"""``reportgen preview``: what a mail looks like, on a page that runs nothing and leads nowhere."""

from __future__ import annotations

import email.policy
import re
from collections.abc import Callable
from email.message import EmailMessage
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
from mail_shop import KEY, ODD

from reportgen.batch.get import get_report
from reportgen.errors import RenderError
from reportgen.mail.preview import render_preview
from reportgen.report.words import message_keys

Say = Callable[..., int]


def preview(say: Say, run: Path, user: str, out: Path) -> str:
    assert say("preview", run, user, "--mail", "--out", out, "--quiet") == 0
    return out.read_text("utf-8")


def test_the_mail_stands_in_frames_and_its_text_beside_it(built: Path, say: Say, shop: Path, tmp_path: Path) -> None:
    user = pd.read_csv(shop / "users.csv", dtype=str)["user_id"][13]
    page = preview(say, built, user, tmp_path / "p.html")
    frames = re.findall(r'<iframe title="[^"]*" sandbox="" srcdoc="([^"]*)"></iframe>', page)
    assert len(frames) == page.count("<iframe") == 3
    assert len(set(frames)) == 1
    assert "default-src 'none'" in unescape(frames[0])[:300]
    assert "<script" not in page
    assert "reader13@example.org" in unescape(page)
    text = get_report(built, user, KEY.encode(), "eml")
    assert b"text/plain" in text
    assert "Why you saw these products" in page
    assert user not in page


def test_the_same_page_for_the_same_mail(
    built: Path, say: Say, shop: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    user = pd.read_csv(shop / "users.csv", dtype=str)["user_id"][12]
    once = preview(say, built, user, tmp_path / "p.html")
    capfdbinary.readouterr()
    assert say("preview", built, user, "--mail") == 0
    assert capfdbinary.readouterr().out.decode() == once


def test_hostile_names_and_addresses_stay_text(built: Path, say: Say, shop: Path, tmp_path: Path) -> None:
    users = pd.read_csv(shop / "users.csv", dtype=str)["user_id"]
    assert f"&lt;{ODD[4].partition('@')[0]}@xn--fsqu00a.cn&gt;" in preview(say, built, users[4], tmp_path / "4.html")
    page = preview(say, built, users[7], tmp_path / "7.html")
    assert "<dt>Bcc</dt>" not in page


def test_pictures_are_written_into_the_frames(say: Say, shop: Path, tmp_path: Path) -> None:
    assert (
        say("build", "--format", "eml", "--figures", "png", "--limit", "1", "--out", tmp_path / "run", "--quiet") == 0
    )
    users = pd.read_csv(shop / "users.csv", dtype=str)["user_id"]
    page = unescape(preview(say, tmp_path / "run", users[0], tmp_path / "p.html"))
    assert "cid:" not in page
    assert page.count("data:image/png;base64,") >= 3


def test_what_a_mail_service_is_given(say: Say, shop: Path, tmp_path: Path) -> None:
    assert say("build", "--format", "crm", "--limit", "1", "--out", tmp_path / "run", "--quiet") == 0
    users = pd.read_csv(shop / "users.csv", dtype=str)["user_id"]
    page = preview(say, tmp_path / "run", users[0], tmp_path / "p.html")
    assert "unsubscribe = {{unsubscribe_url}}" in page


def test_who_has_no_mail_is_told_why(built: Path, say: Say, shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    users = pd.read_csv(shop / "users.csv", dtype=str)["user_id"]
    for user, told in ((users[1], "has no report as eml"), ("nobody", "is not known in this run")):
        assert say("preview", built, user, "--mail") == 1
        assert told in capsys.readouterr().err
    assert say("preview", built, users[0]) == 2  # --mail is said, so that other previews can come
    capsys.readouterr()


def test_the_page_is_in_the_language_of_the_run_or_the_one_asked_for(
    built: Path, say: Say, shop: Path, tmp_path: Path
) -> None:
    user = pd.read_csv(shop / "users.csv", dtype=str)["user_id"][13]
    english = preview(say, built, user, tmp_path / "en.html")
    assert '<html lang="en" dir="ltr">' in english
    assert say("preview", built, user, "--mail", "--locale", "zh-Hans", "--out", tmp_path / "zh.html", "--quiet") == 0
    chinese = (tmp_path / "zh.html").read_text("utf-8")
    assert '<html lang="zh-CN" dir="ltr">' in chinese
    assert re.findall('srcdoc="([^"]*)"', english) == re.findall('srcdoc="([^"]*)"', chinese)  # the mail keeps its own
    around = re.sub(r'srcdoc="[^"]*"|<pre.*?</pre>|<style>.*?</style>', "", chinese, flags=re.DOTALL)
    texts = [text for key, text in message_keys("en").items() if key.startswith("preview.") and "{" not in text]
    assert [text for text in texts if text in around] == []
    assert "邮件预览" in around


def test_the_run_counts_who_has_no_mail(built: Path) -> None:
    lines = (built / "unmailed.jsonl").read_text("utf-8").splitlines()
    index = (built / "index.html").read_text("utf-8")
    assert f"<dt>with a report, but without a mail</dt><dd>{len(lines)}</dd>" in index
    assert f"{len(lines)} people have a report and no mail." in index


@pytest.mark.parametrize(
    ("size", "told"), [(51_000, "51 kB of page, 50% of what"), (300_000, "300 kB of page, more than")]
)
def test_how_large_a_mail_is(size: int, told: str) -> None:
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"], mail["Subject"] = "a@example.org", "S"
    mail.set_content("text")
    mail.add_alternative("<html><head></head><body>" + "x" * (size - 40) + "</body></html>\n", "html", cte="8bit")
    assert told in render_preview(mail.as_bytes())


def test_what_is_no_mail() -> None:
    with pytest.raises(RenderError, match="no page or no plain text"):
        render_preview(b"Subject: x\r\n\r\nhello\r\n")
