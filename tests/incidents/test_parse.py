"""Raw mails in, `ParsedMail` out: the corpus on every axis, and properties that hold for any bytes."""

import random
import re
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.mail_corpus import AXES, read_foreign, score
from incidents.intake import reports
from incidents.intake.parse import parse
from incidents.intake.parsed import ParsedMail, Unacceptable
from tests.corpus.build import DESK, OLD, OURS, SENDER, cases, head, html, text

CORPUS = cases()


def read(raw: bytes, **more) -> ParsedMail | None:
    """The mail, or None when it was refused with a reason. Nothing else may be raised."""
    try:
        return parse(raw, authserv_ids=[OURS], **more)
    except Unacceptable:
        return None


def holds(mail: ParsedMail | None) -> None:
    """What is promised of any mail that was read."""
    if mail is None:
        return
    for line in (
        mail.subject,
        mail.from_name,
        mail.message_id,
        *mail.from_addresses,
        *(f.name for f in mail.files),
    ):
        assert line.isprintable() or not any(ord(c) < 32 or c in "\u2028\u2029\x7f\x85" for c in line)
    for words in (mail.text, mail.full_text, mail.subject):
        assert "\0" not in words
        words.encode("utf-8")  # no lone surrogate
        assert not any("\uf8f1" <= c <= "\uf8f3" for c in words)
    assert all(address == address.lower() and address.count("@") == 1 for address in mail.from_addresses)
    assert mail.full_text.strip() == "" or mail.text.strip() != ""


def test_the_corpus_is_large_enough_and_names_each_mail_once():
    names = [case.name for case in CORPUS]
    assert len(names) >= 150
    assert len(set(names)) == len(names)


def test_the_corpus_names_example_domains_only():
    for case in CORPUS:
        for domain in re.findall(rb"@([a-z0-9-]+(?:\.[a-z0-9-]+)+)", case.raw.lower()):
            assert domain.endswith(b".example"), (case.name, domain)


@pytest.mark.parametrize("axis", AXES)
def test_every_mail_of_the_corpus_is_read_right(axis):
    total = score(CORPUS)
    assert total.lost == 0
    assert total.wrong[axis] == []


def test_what_is_promised_of_any_mail_holds_for_the_corpus():
    for case in CORPUS:
        holds(read(case.raw))


def test_a_damaged_mail_never_fails():
    rng = random.Random(20260302)
    for case in CORPUS:
        for _ in range(4):
            raw = bytearray(case.raw)
            for _ in range(rng.randint(1, 12)):
                start = rng.randrange(len(raw) + 1)
                match rng.randrange(5):
                    case 0:
                        raw[start : start + rng.randint(1, 40)] = b""
                    case 1:
                        raw[start:start] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 8)))
                    case 2:
                        raw[start : start + 1] = rng.choice(
                            [b"\n", b"\r", b"\0", b"\xff", b":", b"--", b'"', b"=?", b"<", b">"]
                        )
                    case 3:
                        other = rng.choice(CORPUS).raw
                        cut = rng.randrange(len(other))
                        raw[start:start] = other[cut : cut + 200]
                    case 4:
                        raw = raw[:start] or bytearray(b"x")
            holds(read(bytes(raw)))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=2_000))
def test_any_bytes_are_read_or_refused(raw):
    holds(read(raw))


HEADER_LINES = st.sampled_from([
    b"From: a@b.example", b"From: <a@b.example>, \"x\" <c@d.example>", b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: text/html; charset=utf-16",
    b"Content-Type: text/plain; charset=idna; format=flowed", b"Content-Type: multipart/report; report-type=delivery-status; boundary=b", b"Content-Type: message/delivery-status",
    b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: quoted-printable", b"Content-Transfer-Encoding: x-uuencode", b"Return-Path: <>", b"X-Failed-Recipients: a@b.example",
    b"Authentication-Results: mx.desk.example; dkim=pass header.d=b.example", b"Authentication-Results: mx.desk.example/1 (((", b"Subject: =?utf-7?b?//8=?=", b"Date: 1", b"In-Reply-To: <<>>", b"",
    b"Content-Disposition: attachment; filename*99999*=utf-8''%FF", b"--b", b"--b--", b"Final-Recipient: rfc822; a@b.example", b"Action: failed", b"Status: 5.1.1", b"<blockquote type=cite>", b"> quoted",
    b"On 2 Mar 2026 10:00 a@b.example wrote:", b"-- ", b"From: x", b"Sent: y", b"To: z", b"Subject: w", b"begin 644 x", b"#86)C",
])  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(HEADER_LINES | st.binary(max_size=30), max_size=40), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_any_lines_of_mails_are_read_or_refused(lines, end):
    holds(read(end.join(lines)))


WORDS = st.text(st.sampled_from("abcçdeğıöşü ."), min_size=1, max_size=60).map(
    lambda s: s.strip(" .") + " words"
)


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=6))
def test_new_text_above_a_quote_is_kept_to_the_word(paragraphs):
    body = "\n\n".join(paragraphs)
    mail = parse(text(f"{body}\n\nOn Mon, Mar 2, 2026 at 10:00 AM Desk <{DESK}> wrote:\n> {OLD}\n"))
    assert mail.text.split() == body.split()


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=5))
def test_answers_between_the_quoted_lines_are_kept_to_the_word(answers):
    rounds = "".join(f"> Question {number}?\n\n{answer}\n\n" for number, answer in enumerate(answers))
    mail = parse(text(f"On Mon, Mar 2, 2026 at 10:00 AM Desk <{DESK}> wrote:\n{rounds}"))
    assert [
        " ".join(answer.split())
        for answer in answers
        if " ".join(answer.split()) not in " ".join(mail.text.split())
    ] == []


def test_a_text_of_a_new_mail_is_kept_whole():
    body = "Dear desk,\n\nnothing works.\n\n> log one\n> log two\n\nBest regards\nAyse"
    assert parse(text(body, head("Nothing works", replies_to=None))).text == body


def test_the_full_text_keeps_what_the_cut_takes_away():
    mail = parse(text(f"New.\n\nOn Mon, Mar 2, 2026 at 10:00 AM Desk <{DESK}> wrote:\n> {OLD}\n"))
    assert mail.text == "New."
    assert OLD in mail.full_text


def test_html_that_hides_words_shows_none_of_them():
    mail = parse(
        html(
            "<p>seen</p><p style='display:none'>hidden</p><script>code()</script><style>.a{}</style>",
            head("x", replies_to=None),
        )
    )
    assert mail.full_text == "seen"


def test_the_date_is_the_senders_claim_in_utc():
    assert parse(text("x")).date == datetime(2026, 3, 2, 8, 15, tzinfo=UTC)


def test_all_recipients_are_collected_once_in_lower_case():
    fields = head(
        to="Desk <SUPPORT@desk.example>, Other <b@c.example>",
        extra="Delivered-To: reply+token@desk.example\nX-Original-To: b@c.example\nCc: d@e.example\n",
    )
    assert parse(text("x", fields)).recipients == (
        DESK,
        "b@c.example",
        "d@e.example",
        "reply+token@desk.example",
    )


def test_a_null_return_path_is_not_an_unknown_one():
    assert parse(text("x", head(extra="Return-Path: <>\n"))).envelope_from == ""
    assert parse(text("x", head(extra=f"Return-Path: <{SENDER}>\n"))).envelope_from == SENDER
    assert parse(text("x")).envelope_from is None


def test_a_mail_that_is_too_large_is_refused_with_a_reason_before_it_is_read():
    with pytest.raises(Unacceptable, match="larger than 0 MB"):
        parse(text("x" * 100), max_bytes=100)


@pytest.mark.parametrize("raw", [b"", b"\r\n\r\n", b"\0\1\2" * 100])
def test_what_is_no_mail_is_refused_with_a_reason(raw):
    with pytest.raises(Unacceptable):
        parse(raw)


@pytest.mark.parametrize("make", [text, lambda body: html(body.replace("\n", "<br>"))])
def test_our_own_marks_in_a_mail_take_no_word_away(make):
    body = "one \uf8f1two\n\uf8f3\n\uf8f1> three\n\uf8f2four\n\uf8f3five"
    mail = parse(make(body))
    assert mail.text.replace("> ", "").split() == ["one", "two", "three", "four", "five"]


def test_foreign_mails_are_read_from_a_folder_and_reported(tmp_path, capsys):
    for number, case in enumerate(CORPUS[:5]):
        (tmp_path / f"{number}.eml").write_bytes(case.raw)
    (tmp_path / "empty.eml").write_bytes(b"")
    assert read_foreign(tmp_path) == 0
    said = capsys.readouterr().out
    assert "read 5, failed 0, refused 1" in said


def test_a_bounce_that_the_library_stumbles_on_is_read_all_the_same(monkeypatch):
    def stumble(message):
        raise IndexError("list index out of range")

    monkeypatch.setattr(reports, "all_failures", stumble)
    case = next(case for case in CORPUS if case.name == "bounce: qmail")
    assert parse(case.raw).report.recipient == case.report.recipient
