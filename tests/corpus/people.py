"""Who writes: senders, threads, what our own server says of them; people who look like machines."""

from tests.corpus.build import ASKED, OURS, SENDER, Case, head, text

BODY = "Nobody can log in.\n"
PASS = f"Authentication-Results: {OURS};\n dmarc=pass (p=REJECT) header.from=kunde.example;\n dkim=pass header.d=kunde.example header.s=s1;\n spf=pass smtp.mailfrom={SENDER}\n"
HOP = "Received: from out.kunde.example (203.0.113.5) by mx.desk.example with ESMTPS; Mon, 2 Mar 2026 11:15:01 +0300\n"
FOREIGN = "Received: from a.example by relay.elsewhere.example; Mon, 2 Mar 2026 11:15:01 +0300\n"


def results(said: str, who: str = OURS) -> str:
    return f"Authentication-Results: {who}; {said}\n"


def proven(
    name: str,
    extra: str,
    verdict: str,
    sender: str = f"Ayse Kaya <{SENDER}>",
    senders: tuple[str, ...] = (SENDER,),
) -> Case:
    return Case(
        f"authentication: {name}",
        text(BODY, head(extra=extra, sender=sender)),
        new=("Nobody can log in.",),
        sender=senders,
        thread=(ASKED, ASKED),
        authentication=verdict,
    )


def person(
    name: str, body: str, *new: str, extra: str = "", subject: str = "Re: [INC-1042] Login fails"
) -> Case:
    return Case(f"a person: {name}", text(body, head(subject, extra=extra)), new=new, thread=(ASKED, ASKED))


def said_by(name: str, sender: str, *addresses: str, extra: str = "") -> Case:
    return Case(
        f"sender: {name}",
        text(BODY, head(sender=sender, extra=extra)),
        new=("Nobody can log in.",),
        sender=addresses,
        thread=(ASKED, ASKED),
    )


CASES = [
    proven("all passed", PASS + HOP, "pass"),
    proven("below our own hop", HOP + PASS, "pass"),
    proven("dkim alone, aligned", results("dkim=pass header.d=kunde.example") + HOP, "pass"),
    proven("dkim by a subdomain", results("dkim=pass header.d=mail.kunde.example") + HOP, "pass"),
    proven("dkim of somebody else", results("dkim=pass header.d=evil.example") + HOP, "fail"),
    proven("dkim of a name that ends alike", results("dkim=pass header.d=notkunde.example") + HOP, "fail"),
    proven("dkim of the top level", results("dkim=pass header.d=example") + HOP, "fail"),
    proven("spf alone, aligned", results(f"spf=pass smtp.mailfrom={SENDER}") + HOP, "pass"),
    proven("spf of somebody else", results("spf=pass smtp.mailfrom=bounce@list.example") + HOP, "fail"),
    proven("dmarc failed though dkim passed", results("dmarc=fail header.from=kunde.example; dkim=pass header.d=kunde.example") + HOP, "fail"),
    proven("dmarc of another From", results("dmarc=pass header.from=evil.example") + HOP, "fail"),
    proven("nothing passed", results("spf=softfail smtp.mailfrom=kunde.example; dkim=none") + HOP, "fail"),
    proven("no field at all", HOP, "none"),
    proven("somebody else's field", results("dmarc=pass header.from=kunde.example", "mx.evil.example") + HOP, "none"),
    proven("ours below a foreign hop", FOREIGN + PASS, "none"),
    proven("ours below a foreign field", results("none", "mx.evil.example") + PASS, "none"),
    proven("the topmost of two of ours", results("dmarc=fail header.from=kunde.example") + PASS + HOP, "fail"),
    proven("in capitals", PASS.replace(OURS, OURS.upper()) + HOP, "pass"),
    proven("malformed", f"Authentication-Results: {OURS}; dmarc=\n" + HOP, "none"),
    proven("no method", results("none") + HOP, "none"),
    proven("several senders", PASS + HOP, "fail", f"{SENDER}, boss@kunde.example", (SENDER, "boss@kunde.example")),
    said_by("two From fields", f"Ayse <{SENDER}>\nFrom: boss@kunde.example", SENDER, "boss@kunde.example"),
    said_by("an address in the display name", '"ceo@kunde.example" <eve@evil.example>', "eve@evil.example"),
    said_by("an address in a comment", "eve@evil.example (ceo@kunde.example)", "eve@evil.example"),
    said_by("an address in an encoded name", "=?utf-8?q?ceo=40kunde=2Eexample=3Cx=40y=2Eexample=3E?= <eve@evil.example>", "eve@evil.example"),
    said_by("an address and a comma in an encoded name", "=?utf-8?q?ceo=40kunde=2Eexample=2C?= <eve@evil.example>", "eve@evil.example"),
    said_by("a comma in the quoted name", '"Kaya, Ayse" <Ayse@Kunde.example>', SENDER),
    said_by("a comma in the encoded name", "=?utf-8?q?Kaya=2C_Ay=C5=9Fe?= <ayse@kunde.example>", SENDER),
    said_by("a bare address", "AYSE@KUNDE.EXAMPLE", SENDER),
    said_by("a line break in the name", "=?utf-8?q?Ayse=0D=0ABcc=3A_x=40y=2Eexample?= <ayse@kunde.example>", SENDER),
    Case("sender: none", text(BODY, head().replace(f"From: Ayse Kaya <{SENDER}>\n", "")), new=("Nobody can log in.",), sender=(), thread=(ASKED, ASKED), notices=("does not say who sent it",)),
    Case("thread: several ids", text(BODY, head().replace(f"References: {ASKED}", f"References: <one@kunde.example>\n\t{ASKED}")), new=("Nobody",), thread=(ASKED, "<one@kunde.example>", ASKED)),
    Case("thread: an id without brackets", text(BODY, head(replies_to="ask.7@desk.example")), new=("Nobody",), thread=(ASKED, ASKED)),
    Case("thread: words around the id", text(BODY, head().replace(f"In-Reply-To: {ASKED}", f'In-Reply-To: Your message of "Mon, 2 Mar" {ASKED}')), new=("Nobody",), thread=(ASKED, ASKED)),
    Case("thread: none", text(BODY, head("Login fails", replies_to=None)), new=("Nobody",)),
    person("Auto-Submitted: no", "I am here.\n", "I am here.", extra="Auto-Submitted: no\n"),
    person("only X-Auto-Response-Suppress", "I am here.\n", "I am here.", extra="X-Auto-Response-Suppress: OOF, AutoReply\n"),
    person("Precedence of no robot", "I am here.\n", "I am here.", extra="Precedence: first-class\n"),
    person("writes of the office", "Our out of office phone does not ring. Who is on call?\n", "does not ring", subject="Out of office hours phone does not ring"),
    person("is away and says what fails", "I am out of the office until Monday, so please call Can. The login still fails on node-b with code 503.\n", "node-b with code 503"),
    person("is on leave, and asks", "I am on leave tomorrow. Can you reach Can in urgent cases?\n", "Can you reach Can"),
    person("writes of a vacation module", "The vacation module is broken. Employees on leave see nothing.\n", "is broken", subject="Vacation module broken"),
    person("izin modülü", "İzin modülü açılmıyor. Yıllık izin girilemiyor, herkes bekliyor.\n", "açılmıyor", subject="İzin modülü açılmıyor"),
    person("thanks", "Thank you. It works again.\n", "It works again."),
    person("automatic restart", "The automatic restart did not help.\n", "did not help", subject="Automatic restart of node-b"),
    person("quotes a bounce", "We got this:\n\n<can@kunde.example>: host mx said: 550 5.1.1 User unknown\n\nWhy?\n", "550 5.1.1", "Why?", subject="Undelivered Mail Returned to Sender?"),
]  # fmt: skip
