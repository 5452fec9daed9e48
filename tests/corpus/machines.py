"""Mails that no person wrote: absence notices, calendars, receipts, bounces, complaints, newsletters."""

from tests.corpus.build import ASKED, DESK, Case, Report, head, html, multi, part, text

AWAY = "I am out of the office until 9 March.\n"
OURS = "<ask.7@desk.example>"
GONE = "can@kunde.example"
DAEMON = "Mail Delivery System <MAILER-DAEMON@mx.kunde.example>"
RETURNED = f"From: Support Desk <{DESK}>\nTo: {GONE}\nSubject: [INC-1042] Login fails\nMessage-ID: {OURS}\n\nWe have started to look into it.\n"


def away(
    name: str,
    *,
    subject: str = "Re: [INC-1042] Login fails",
    body: str = AWAY,
    extra: str = "",
    sender: str | None = None,
) -> Case:
    fields = head(subject, extra=extra, **({"sender": sender} if sender else {}))
    address = (sender or "<ayse@kunde.example>").partition("<")[2].rstrip(">").lower()
    return Case(
        f"automatic: {name}", text(body, fields), sender=(address,), automatic=True, thread=(ASKED, ASKED)
    )


def dsn(
    name: str,
    action: str,
    status: str,
    kind: str,
    *,
    diagnostic: str = "",
    recipient: str = f"Final-Recipient: rfc822; {GONE}",
    back: bytes | None = None,
    said: str = GONE,
    extra: str = "",
    typed: str = "; report-type=delivery-status",
) -> Case:
    code = f"Diagnostic-Code: smtp; {diagnostic}\n" if diagnostic else ""
    fields = f"Reporting-MTA: dns; mx.kunde.example\n\n{recipient}\nAction: {action}\nStatus: {status}\n{code}{extra}"
    parts = [
        part("The mail system says so.\n"),
        part(fields.encode(), "message/delivery-status"),
        back if back is not None else part(RETURNED.encode(), "message/rfc822"),
    ]
    fields_ = head(
        "Undelivered Mail Returned to Sender", sender=DAEMON, replies_to=None, extra="Return-Path: <>\n"
    )
    original = "" if back == b"Content-Type: text/plain\n\nx" else OURS
    return Case(
        f"report: {name}",
        multi(parts, "report", fields_, typed),
        sender=("mailer-daemon@mx.kunde.example",),
        automatic=True,
        report=Report(kind, said, status, original),
    )


def bounce(
    name: str,
    body: str,
    kind: str = "bounced",
    *,
    status: str = "",
    sender: str = DAEMON,
    subject: str = "failure notice",
    recipient: str = GONE,
    original: str = OURS,
    extra: str = "Return-Path: <>\n",
) -> Case:
    address = sender.partition("<")[2].rstrip(">").lower() or sender.lower()
    return Case(
        f"bounce: {name}",
        text(body, head(subject, sender=sender, replies_to=None, extra=extra)),
        sender=(address,) if "@" in address else (),
        automatic=True,
        report=Report(kind, recipient, status, original),
    )


def calendar(method: str, words: str, is_machine: bool) -> Case:
    parts = [
        part(words),
        part(
            f"BEGIN:VCALENDAR\r\nMETHOD:{method}\r\nEND:VCALENDAR\r\n",
            f"text/calendar; charset=utf-8; method={method}",
        ),
    ]
    return Case(
        f"calendar: {method}",
        multi(parts, "alternative", head("Accepted: review")),
        automatic=is_machine,
        files=(("attachment-1.ics", False),),
        thread=(ASKED, ASKED),
    )


SUBJECTS = [
    "Out of Office", "Out of Office: Re: [INC-1042] Login fails", "Automatic reply: [INC-1042] Login fails", "Auto-Reply: Login fails", "Autoreply", "Out of office until 9 March", "Otomatik yanıt: Login fails", "Otomatik Yanıt: [INC-1042]",
    "Ofis dışında", "Ofis Dışındayım: Re: Login", "Abwesenheitsnotiz: Login", "Automatische Antwort: Login", "Réponse automatique : Login", "Absence du bureau", "Respuesta automática: Login", "Fuera de la oficina",
    "Risposta automatica: Login", "Automatisch antwoord: Login", "Afwezig: Login", "Resposta automática: Login", "Automatyczna odpowiedź: Login", "Autosvar: Login", "Frånvarande: Login", "Автоматический ответ: Login", "自動応答: Login", "自动回复: Login", "رد تلقائي: Login",
]  # fmt: skip
DUMB = {
    "en": "Thank you for your message. I am out of the office until 9 March and will reply when I return. In urgent cases please contact Can Demir.\n",
    "en, away": "Hello,\n\nI'm currently away on vacation with limited access to e-mail. I'll get back to you as soon as I return.\n\nAyse\n",
    "tr": "Merhaba,\n\n2-9 Mart tarihleri arasında yıllık izindeyim. Acil durumlarda Can Demir ile iletişime geçebilirsiniz.\n\nAyşe\n",
    "de": "Guten Tag,\n\nich bin bis zum 9. März nicht im Büro. In dringenden Fällen wenden Sie sich bitte an Can Demir.\n",
    "fr": "Bonjour,\n\nJe suis absente du bureau jusqu'au 9 mars. En cas d'urgence, merci de contacter Can Demir.\n",
    "es": "Hola,\n\nEstoy fuera de la oficina hasta el 9 de marzo. En caso de urgencia, contacte con Can Demir.\n",
    "a machine that says so": "This is an automatic reply. Your message has been received and we will respond as soon as possible.\n",
    "a machine that says so, tr": "Bu otomatik bir yanıttır. Mesajınız bize ulaşmıştır.\n",
}

CASES = [
    *(away(f"Auto-Submitted: {value}", extra=f"Auto-Submitted: {value}\n") for value in ("auto-replied", "auto-generated", "auto-notified", 'auto-replied; owner-email="a@b.example"')),
    *(away(f"Precedence: {value}", extra=f"Precedence: {value}\n", body="Hello\n") for value in ("bulk", "junk", "list", "auto_reply", "Bulk")),
    *(away(name, extra=f"{name}: {value}\n", body="Hello\n") for name, value in (("X-Autoreply", "yes"), ("X-Autorespond", "Login"), ("X-Auto-Reply-From", "a@kunde.example"), ("List-Id", "<news.kunde.example>"), ("List-Unsubscribe", "<mailto:x@kunde.example>"), ("Return-Path", "<>"))),
    *(away(f"sender {name}", sender=f"Somebody <{name}@kunde.example>", body="Hello\n") for name in ("noreply", "no-reply", "donotreply", "do-not-reply", "MAILER-DAEMON", "postmaster", "noreply+17")),
    *(away(f"subject {subject}", subject=subject, body="Hello\n") for subject in SUBJECTS),
    *(away(f"no header, {name}", body=body) for name, body in DUMB.items()),
    Case("automatic: no header, in html", html(f"<p>{DUMB['en']}</p>"), automatic=True, thread=(ASKED, ASKED)),
    away("with our mail quoted below", body=f"{DUMB['en']}\nOn Mon, Mar 2, 2026 at 10:00 AM Support Desk <{DESK}> wrote:\n> Which node is it?\n"),
    calendar("REPLY", "Ayse Kaya has accepted.\n", True),
    calendar("REQUEST", "Shall we talk about the outage on Tuesday at ten?\n", False),
    Case("automatic: read receipt", multi([part("Your message was read.\n"), part(b"Final-Recipient: rfc822;ayse@kunde.example\nDisposition: manual-action/MDN-sent-manually; displayed\n", "message/disposition-notification")], "report", head("Read: Login fails"), "; report-type=disposition-notification"), automatic=True, thread=(ASKED, ASKED)),
    Case("automatic: a report without its type", multi([part("Read.\n"), part(b"Disposition: x; displayed\n", "message/disposition-notification")], "report", head("Gelesen: x")), automatic=True, thread=(ASKED, ASKED)),
    dsn("failed, postfix", "failed", "5.1.1", "bounced", diagnostic="550 5.1.1 <can@kunde.example>: Recipient address rejected: User unknown"),
    dsn("delayed", "delayed", "4.4.1", "delayed", diagnostic="451 4.4.1 timeout", extra="Will-Retry-Until: Wed, 4 Mar 2026 10:00:00 +0300\n"),
    dsn("delivered", "delivered", "2.0.0", "delivered"),
    dsn("relayed", "relayed", "2.0.0", "delivered"),
    dsn("expanded", "expanded (to a list)", "2.0.0", "delivered"),
    dsn("given up after days", "failed", "4.4.7", "bounced", diagnostic="delivery time expired"),
    dsn("original recipient", "failed", "5.2.2", "bounced", recipient=f"Original-Recipient: rfc822;{GONE}\nFinal-Recipient: rfc822;hidden@other.example"),
    dsn("in capitals and brackets", "Failed", "5.1.1", "bounced", recipient=f"Final-Recipient: RFC822; <{GONE.upper()}>"),
    dsn("no type in the field", "failed", "5.1.1", "bounced", typed=""),
    dsn("headers only came back", "failed", "5.1.1", "bounced", back=part(RETURNED.encode(), "text/rfc822-headers")),
    dsn("nothing came back", "failed", "5.1.1", "bounced", back=b"Content-Type: text/plain\n\nx"),
    dsn("several recipients, the worst counts", "delayed", "5.7.1", "bounced", recipient=f"Final-Recipient: rfc822; fine@kunde.example\nAction: delivered\nStatus: 2.0.0\n\nFinal-Recipient: rfc822; {GONE}\nAction: failed\nStatus: 5.7.1\n\nFinal-Recipient: rfc822; slow@kunde.example"),
    bounce("qmail", f"Hi. This is the qmail-send program at mx.kunde.example.\nI'm afraid I wasn't able to deliver your message to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n<{GONE}>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 User unknown\nGiving up on 192.0.2.1.\n\n--- Below this line is a copy of the message.\n\nReturn-Path: <{DESK}>\n{RETURNED}", status="5.1.1", sender="MAILER-DAEMON@mx.kunde.example"),
    bounce("exim", f"This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n  {GONE}\n    SMTP error from remote mail server after RCPT TO:<{GONE}>:\n    550 No such user here\n\n------ This is a copy of the message, including all the headers. ------\n\n{RETURNED}", subject="Mail delivery failed: returning message to sender", extra=f"Return-Path: <>\nX-Failed-Recipients: {GONE}\n"),
    bounce("exim, delayed", f"This message was created automatically by mail delivery software.\nA message that you sent has not yet been delivered to one or more of its\nrecipients after more than 24 hours on the queue.\n\nThe address to which the message has not yet been delivered is:\n\n  {GONE}\n    Delay reason: Connection timed out\n\nNo action is required on your part. Delivery attempts will continue for\nsome time, and this warning may be repeated.\n", "delayed", subject="Warning: message 1abc delayed 24 hours", original=""),
    bounce("exchange", f"Delivery has failed to these recipients or groups:\n\n{GONE}\nThe email address you entered couldn't be found.\n\nDiagnostic information for administrators:\n\nGenerating server: EX01.kunde.example\n\n{GONE}\nRemote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup'\n\nOriginal message headers:\n\nMessage-ID: {OURS}\n", status="5.1.10", sender="Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@kunde.example>", subject="Undeliverable: [INC-1042] Login fails"),
    bounce("exchange, turkish", f"Şu alıcılara veya gruplara teslim edilemedi:\n\n{GONE}\nGirdiğiniz e-posta adresi bulunamadı.\n\nRemote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound'\n", status="5.1.10", sender="postmaster@kunde.example", subject="Teslim edilemedi: [INC-1042] Login fails", original=""),
    bounce("gmail's text", f"** Address not found **\n\nYour message wasn't delivered to {GONE} because the address couldn't be found, or is unable to receive mail.\n\nThe response was:\n\n550 5.1.1 The email account that you tried to reach does not exist.\n", status="5.1.1", sender="Mail Delivery Subsystem <mailer-daemon@googlemail.example>", subject="Delivery Status Notification (Failure)", original=""),
    bounce("postfix without its report", f"This is the mail system at host mx.kunde.example.\n\nI'm sorry to have to inform you that your message could not\nbe delivered to one or more recipients.\n\n<{GONE}>: host mx[192.0.2.1] said: 552 5.2.2 Mailbox full (in reply to RCPT TO command)\n", status="5.2.2", original=""),
    bounce("german", f"Ihre Nachricht konnte nicht zugestellt werden:\n\n{GONE}: 550 5.1.1 Empfänger unbekannt\n", status="5.1.1", subject="Unzustellbar: Login", original=""),
    bounce("a named recipient only", "Your mail could not be delivered.\n", extra=f"X-Failed-Recipients: {GONE}\nReturn-Path: <>\n", original=""),
    Case("complaint: arf", multi([part("This is an abuse report.\n"), part(f"Feedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\nOriginal-Rcpt-To: <{GONE}>\n".encode(), "message/feedback-report"), part(RETURNED.encode(), "message/rfc822")], "report", head("FW: Login", sender="fbl@isp.example", replies_to=None), "; report-type=feedback-report"), sender=("fbl@isp.example",), automatic=True, report=Report("complaint", GONE, "", OURS)),
    Case("complaint: recipient in the returned mail only", multi([part("abuse\n"), part(b"Feedback-Type: abuse\n", "message/feedback-report"), part(RETURNED.encode(), "text/rfc822-headers")], "report", head("x", sender="fbl@isp.example", replies_to=None), "; report-type=feedback-report"), sender=("fbl@isp.example",), automatic=True, report=Report("complaint", GONE, "", OURS)),
]  # fmt: skip
