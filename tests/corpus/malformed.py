"""Mails that no standard allows: read as far as they can be, with a notice, never an error."""

from tests.corpus.build import ASKED, SENDER, Case, head, multi, part, text

SAYS = part("Nobody can log in.\n")
MIXED = 'Content-Type: multipart/mixed; boundary="bb"\n\n'
ONE = "--bb\nContent-Type: text/plain\n\nNobody can log in.\n"
FULL = ("Nobody can log in.",)


def bad(name: str, raw: bytes | str, *notices: str, new: tuple[str, ...] = FULL, **more) -> Case:
    more.setdefault("thread", (ASKED, ASKED))
    return Case(
        f"malformed: {name}", raw.encode() if isinstance(raw, str) else raw, new=new, notices=notices, **more
    )


CASES = [
    bad("no boundary", head() + "Content-Type: multipart/mixed\n\n" + ONE + "--bb--\n", "boundary"),
    bad("a wrong boundary", head() + 'Content-Type: multipart/mixed; boundary="other"\n\n' + ONE + "--bb--\n", "boundary"),
    bad("no boundary and no parts", head() + "Content-Type: multipart/mixed\n\nNobody can log in.\n", "boundary"),
    bad("no closing boundary", head() + MIXED + ONE),
    bad("cut off in a file", head() + MIXED + ONE + '--bb\nContent-Type: application/pdf; name="a.pdf"\nContent-Transfer-Encoding: base64\n\nQUJDR', "damaged", files=(("a.pdf", False),)),
    bad("an inner part that is not closed", head() + MIXED + '--bb\nContent-Type: multipart/alternative; boundary="cc"\n\n--cc\n\nNobody can log in.\n--bb--\n'),
    bad("damaged base64", head() + "Content-Transfer-Encoding: base64\n\nTm9i!b2R5IGNhbiBsb2cgaW4u=\n"),
    bad("base64 of a wrong length", head() + "Content-Transfer-Encoding: base64\n\nTm9ib2R5IGNhbiBsb2cgaW4uQ\n", "damaged"),
    bad("damaged quoted-printable", head() + "Content-Transfer-Encoding: quoted-printable\n\nNobody can log=20in.=ZZ=\n"),
    bad("an unknown encoding", head() + "Content-Transfer-Encoding: x-secret\n\nNobody can log in.\n"),
    bad("an encoding of a multipart", head() + "Content-Transfer-Encoding: base64\n" + MIXED + ONE + "--bb--\n"),
    bad("an empty type", head() + "Content-Type:\n\nNobody can log in.\n"),
    bad("a type that is none", head() + "Content-Type: text\n\nNobody can log in.\n"),
    bad("a type of semicolons", head() + "Content-Type: ;;;;=;\n\nNobody can log in.\n"),
    bad("8-bit header fields", head().encode().replace(b"Ayse Kaya", "Ayşe Kaya".encode("cp1254")) + b"\nNobody can log in.\n"),
    bad("no From", head().replace(f"From: Ayse Kaya <{SENDER}>\n", "") + "\nNobody can log in.\n", "does not say who", sender=()),
    bad("a From that is no address", head(sender="Ayse Kaya") + "\nNobody can log in.\n", "does not say who", sender=()),
    bad("two From fields", head(sender=f"{SENDER}\nFrom: boss@kunde.example") + "\nNobody can log in.\n", "more than one sender", sender=(SENDER, "boss@kunde.example")),
    bad("no Message-ID", head().replace("Message-ID: <reply.1@kunde.example>\n", "") + "\nNobody can log in.\n", "no Message-ID"),
    bad("no date", head().replace("Date: Mon, 2 Mar 2026 11:15:00 +0300\n", "") + "\nNobody can log in.\n", "no date"),
    bad("a date of nonsense", head().replace("Mon, 2 Mar 2026 11:15:00 +0300", "Mon, 99 Foo 99999 99:99:99 +9999999") + "\nNobody can log in.\n", "no date"),
    bad("a date in the year 9999", head().replace("2 Mar 2026", "31 Dec 9999") + "\nNobody can log in.\n"),
    bad("an empty body", head() + "\n", new=()),
    bad("no body at all", head(), new=()),
    bad("no blank line after the header", head() + "Nobody can log in.\n"),
    bad("no header", "Nobody can log in.\n", "does not say who", sender=(), thread=()),
    bad("lines that end in CR", (head() + "\nNobody can log in.\n").replace("\n", "\r"), new=FULL),
    bad("lines that end in both", (head() + "\nNobody can log in.\n").replace("\n", "\r\n")),
    bad("a From line of a mailbox file", "From ayse@kunde.example Mon Mar  2 11:15:00 2026\n" + head() + "\nNobody can log in.\n"),
    bad("a subject folded without a space", head("Re: a long\nsubject line") + "\nNobody can log in.\n"),
    bad("a field name with a space", head(extra="X Bad : y\n") + "\nNobody can log in.\n"),
    bad("a NUL in the header and the body", (head("Re:\0x") + "\nNobody\0 can log in.\n"), new=FULL, subject="Re:x"),
    bad("a part without a header", head() + MIXED + "--bb\n\nNobody can log in.\n--bb--\n"),
    bad("a header in a part that never ends", head() + MIXED + "--bb\nContent-Type: text/plain\n--bb\n\nNobody can log in.\n--bb--\n"),
    bad("a boundary with a trailing space", head() + 'Content-Type: multipart/mixed; boundary="bb "\n\n' + ONE + "--bb--\n"),
    bad("a boundary that begins another", head() + MIXED + '--bb\nContent-Type: multipart/mixed; boundary="bbb"\n\n--bbb\n\nNobody can log in.\n--bbb--\n--bb--\n'),
    bad("a part of itself", head() + MIXED + "--bb\n" + MIXED + ONE + "--bb--\n--bb--\n"),
    Case("malformed: a report of nothing", multi([SAYS], "report", extra="; report-type=delivery-status"), new=FULL, thread=(ASKED, ASKED), automatic=True),
    Case("malformed: an empty delivery status", multi([SAYS, part(b"", "message/delivery-status")], "report", extra="; report-type=delivery-status"), new=FULL, thread=(ASKED, ASKED), automatic=True),
    Case("malformed: a lone surrogate in utf-16", text("x").replace(b"utf-8", b"utf-16-le").replace(b"\n\nx", b"\n\n\x00\xd8o\x00k\x00"), new=("ok",), thread=(ASKED, ASKED)),
]  # fmt: skip
