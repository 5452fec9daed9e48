"""Why a mail is no person's: what its header says (RFC 3834), and what a dumb vacation program writes. PURE.

A person whose mail counts as automatic is not heard, so a subject or a text alone must be plain: the words
of an absence at the start of the subject, or a text of which every sentence belongs to such a notice.
"""

from __future__ import annotations

import re

from incidents.intake.mime import Headers

_NOBODY = re.compile(
    r"(?:mailer-daemon|mail-daemon|maildaemon|postmaster|(?:do[-_.]?)?no[-_.]?t?[-_.]?reply|noreply\w*|donotreply|nobody|bounces?|bounced"
    r"|auto-?reply|autoresponder|noresponder|no-responder|nepasrepondre|ne-pas-repondre|niet-beantwoorden|nichtantworten|yanitlamayin|otomatik)"
    r"(?:[+\-_.=].*)?@.*",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"\s*(?:auto:.*\bout\b.*|(?:\w+ ){1,3}(?:is out of (?:the )?office|ofis dışında)|\[(?:auto[- ]?(?:reply|response)|otomatik yanıt)\].*|[\[(*\"“]*(?:"
    r"(?:i am|i'm|i’m) (?:currently )?out of (?:the )?office|vacation|otomatik yanıtlama|afwezigheidsassistent|"
    r"(?:automatic|automated|auto)[- ]?(?:reply|response|answer|responder)|autoreply|autoresponse|auto:|out[- ]of[- ](?:the[- ])?office(?:[- ](?:auto)?reply|[- ]auto.*|[- ]message|[- ]notification)?|ooo"
    r"|(?:away from|not in) (?:the|my) office|(?:vacation|holiday|absence) (?:reply|response|notice|message|auto.*)|on (?:annual |parental |maternity |sick )?leave|on vacation"
    r"|otomatik (?:yanıt|cevap|ileti yanıtı|mesaj)|oto-?yanıt|ofis dışında(?:yım)?|ofis dışı|ofiste değilim|izinde(?:yim)?|yıllık izin(?:deyim)?"
    r"|automatische (?:antwort|abwesenheitsnotiz)|abwesenheits(?:notiz|nachricht|meldung|assistent|mitteilung|info)\w*|abwesend|abwesenheit|auto-antwort|außer haus|nicht im büro"
    r"|réponse automatique|absence du bureau|absent(?:e)? du bureau|message d'absence|message d’absence|notification d'absence|répondeur automatique|réponse auto"
    r"|respuesta automática|respuesta automatica|fuera de (?:la )?oficina|ausente|ausencia|contestación automática|mensaje automático"
    r"|risposta automatica|fuori (?:sede|ufficio)|assente|risponditore automatico|avviso di assenza"
    r"|automatisch antwoord|automatische (?:reactie|antwoorden|beantwoording)|afwezig(?:heid|heidsbericht)?|niet aanwezig|buiten kantoor"
    r"|resposta automática|resposta automatica|fora do escritório|ausência(?: temporária)?|ausente do escritório"
    r"|automatyczna odpowiedź|odpowiedź automatyczna|autoodpowiedź|poza biurem|nieobecność|nieobecny|nieobecna"
    r"|autosvar|automatiskt svar|automatisk svar|frånvarande|frånvaro(?:meddelande)?|ej på kontoret|fravær(?:smelding|sbesked|sassistent)?|ikke til stede"
    r"|automaattinen vastaus|poissa toimistosta|poissaoloilmoitus|automatická odpověď|automatická odpoveď|mimo kancelář|automatikus válasz|házon kívül"
    r"|automatické? odpověď|răspuns automat|αυτόματη απάντηση|автоматический ответ|автоответ(?:чик)?|вне офиса|в отпуске|автоматична відповідь"
    r"|自動応答|自動返信|不在(?:通知|のお知らせ)?|自动回复|自动答复|自動回覆|自動回復|不在办公室|외출 중|자동 회신|자동 응답|부재 중|رد تلقائي|خارج المكتب|מענה אוטומטי|תשובה אוטומטית|مרחוץ למשרד"
    r"|trả lời tự động|balasan otomatis|ตอบกลับอัตโนมัติ)"
    r"[\])*\"”]*\s*(?:$|\s[-–—]|[:：|(\[!.,]|re:|bis\b|until\b|till\b|vom\b|from\b|du\b|tot\b|hasta\b|fino\b).*)",
    re.IGNORECASE,
)

# What sentences of a vacation notice say. Every sentence of the text must say one of these.
_ABSENCE = re.compile(
    r"\b(?:(?:i am|i'm|i’m|i will be|i'll be|im|currently) (?:\w+ ){0,3}?(?:out of (?:the )?office|away|on (?:\w+ )?(?:leave|vacation|holidays?)|on pto|travell?ing|absent|unavailable|not (?:in the office|available))|\bno longer (?:work|with|employed)|artık .{0,40}çalışm(?:ıyorum|amaktayım)"
    r"|(?:ofis|şirket|ofisim|iş yeri) dışında(?:yım|yim)?\b|ofiste (?:değilim|bulunmuyorum|olmayacağım)|(?:izinde(?:yim)?|izinli(?:yim)?|tatilde(?:yim)?|raporlu(?:yum)?)|yıllık izin"
    r"|(?:bin|befinde mich)\b.{0,60}\b(?:abwesend|nicht im (?:büro|haus)|im urlaub|außer haus|nicht erreichbar|unterwegs|in elternzeit|auf dienstreise)"
    r"|(?:je suis|je serai|actuellement)\b.{0,40}\b(?:absente?|en congés?|en vacances|hors du bureau|en déplacement)"
    r"|(?:estoy|estaré|me encuentro|encontraré)\b.{0,40}\b(?:fuera|de vacaciones|ausente)|(?:sono|sarò)\b.{0,40}\b(?:assente|fuori (?:sede|ufficio)|in ferie)"
    r"|(?:ben ik|ik ben|ben)\b.{0,40}\b(?:afwezig|niet aanwezig|met vakantie|op vakantie|met verlof)|(?:estou|estarei|encontro-me)\b.{0,40}\b(?:ausente|de férias|fora)"
    r"|(?:jestem|będę|przebywam)\b.{0,40}\b(?:nieobecn\w+|na urlopie|poza biurem)|(?:jag är|är jag)\b.{0,40}\b(?:frånvarande|på semester|ledig|bortrest|inte på kontoret)"
    r"|(?:jeg er|er jeg)\b.{0,40}\b(?:på ferie|fraværende|bortreist|ikke på kontoret|på kurs|på reise)|(?:olen|poissa)\b.{0,40}\b(?:lomalla|poissa|toimistolta)|(?:jsem|som)\b.{0,40}\b(?:na dovolené|mimo kancelář)"
    r"|(?:я )?(?:нахожусь|буду|сейчас)\b.{0,30}\b(?:в отпуске|отсутству\w+|вне офиса|в командировке))|休暇|不在|休假|出差|외근|휴가|إجازة",
    re.IGNORECASE,
)
# Only where the text says so of itself: a person may write of somebody's automatic reply.
_NOTICE = re.compile(
    r"\b(?:this is an? auto(?:mat(?:ic|ed))?(?:ally[- ]generated)?[- ]?(?:generated )?(?:reply|response|message|e-?mail|answer)|this (?:e-?mail|message|reply|response) (?:was|is|has been) (?:sent )?automatically"
    r"|otomatik (?:bir )?(?:yanıt|cevap|ileti|mesaj|e-?posta)(?:tır|dır|tir|dir|dur)|otomatik olarak (?:gönder|oluştur|üret)\w*"
    r"|(?:dies ist|das ist|dies|diese nachricht wurde|diese e-?mail wurde)\b.{0,20}\bautomatisch\w*|(?:ceci est|ce message est|il s'agit d)\b.{0,25}\bautomatique"
    r"|(?:esta es|este es|este mensaje es|esta é|este é)\b.{0,30}\bautomátic[ao]|(?:questa è|questo è)\b.{0,30}\bautomatic[ao]|dit is een automatisch\w*|to jest automatyczn\w*"
    r"|(?:detta är|dette er|det här är) (?:ett|et) auto\w*|это (?:автоматическ\w+|автоответ)|(?:これは|本メールは|このメールは).{0,10}自動|(?:这是|此邮件为|本邮件为).{0,6}自动|هذا رد تلقائي)",
    re.IGNORECASE,
)
# An absence has an end, or is for ever; a person who goes away tomorrow rarely says so in a notice.
_PERIOD = re.compile(
    r"\b(?:until|till|through|return|back|no longer|bis|zurück|ab dem|jusqu|retour|hasta|vuelt|regres|fino al?|rientr|tot|terug|até|retorn|do dnia|wrac|powr|till|tillbaka|åter|tilbake|tilbage"
    r"|tarihine|tarihleri|tarihinde|arası|dön(?:üş|ece|düğ)|kadar|from \d|to \d|vom \d|do \d|between|artık|до|с \d|вернусь)|до \d|まで|から|返回|至|до",
    re.IGNORECASE,
)
_WORK = re.compile(
    r"\b(?:still|fail\w*|errors?|broken|outage|incident|tickets?|servers?|nodes?|logs?|inc-\d+|crash\w*|hata\w*|sorun\w*|hâlâ|hala|sunucu\w*|ama|fehler\w*|weiterhin|störung|panne|erreur|fallo|sigue|errore|fout|erro|błąd|fel|but|aber|however|ошибк\w*)\b|障害|故障|エラー",
    re.IGNORECASE,
)
_ELSE = re.compile(
    r"\b(?:thank(?:s| you)|thx|hello|hi|dear|received|urgent|emergency|in my absence|during (?:my absence|this time|that time)|contact|please (?:call|write|reach)|return|be back|back (?:on|in)|get back to you|as soon as|limited access|reply|respond|answer"
    r"|forwarded|regards|direct|enquir|inquir|colleague|no access|automatically|teşekkür|merhaba|sayın|acil|ulaş|iletişim|dön(?:üş|ece|düğ)|yanıt|cevap|e-?posta\w*|mesajınız|yokluğum|tarih|vielen dank|danke|guten tag|hallo|dringend|wenden sie|kontakt|zurück|erreich|vertret|weitergeleitet|bearbeite|antwort|beantwort"
    r"|merci|bonjour|urgen|contact|retour|absence|répon|gracias|hola|contact|regres|vuelt|urgen|respond|ausencia|grazie|buongiorno|salve|urgen|contatt|rientr|rispond|assenza|bedankt|dank|dringend|terug|spoed|contact|obrigad|olá|regress|contat|retorn"
    r"|dziękuję|dzień dobry|piln|kontakt|wrac|powró|tack|hej|brådskande|kontakta|åter|tillbaka|спасибо|здравствуйте|срочн|обра[щт]|верн|свяж|связ|ответ|until|bis|jusqu|hasta|fino al|tot|até|do dnia|till)|お世話|緊急|ご連絡|メール|ありがとう|感谢|谢谢|联系|邮件|返回|شكر",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?。！？\n]+(?:\.(?=\w)[^.!?。！？\n]+)*[.!?。！？]?")
_DAY = re.compile(r"(\d)\.\s+(?=[a-zà-ž]|Jan|Feb|Mär|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez)")
MAX_NOTICE = 1_500


def why_automatic(
    headers: Headers,
    *,
    subject: str,
    text: str,
    from_addresses: tuple[str, ...] = (),
    envelope_from: str | None = None,
    calendar_method: str = "",
    report_type: str = "",
) -> str:
    """The first reason that a mail is no person's, in words for staff; "" for a person's.

    `text` is the new text; `calendar_method` that of an iTIP part (RFC 5546), `report_type` that of a
    multipart/report (RFC 6522).
    """
    return (
        _report(report_type)
        or _submitted(headers)
        or ("Calendar answer (METHOD:REPLY)" if calendar_method.upper() in ("REPLY", "COUNTER") else "")
        or _header(headers)
        or _sender(from_addresses, envelope_from)
        or (f"Subject: {subject[:80]}" if _SUBJECT.fullmatch(subject[:300]) else "")
        or ("The text is an absence notice" if is_absence_notice(text) else "")
    )


def _report(report_type: str) -> str:
    return {
        "delivery-status": "Delivery report",
        "disposition-notification": "Read receipt",
        "feedback-report": "Feedback report",
    }.get(report_type.lower(), f"Report ({report_type[:60]})" if report_type else "")


def _submitted(headers: Headers) -> str:
    """RFC 3834 §5: everything but "no" was sent by a program."""
    value = headers.first("auto-submitted").partition(";")[0].partition("(")[0].strip().lower()
    return f"Auto-Submitted: {value[:60]}" if value not in ("", "no") else ""


def _header(headers: Headers) -> str:
    precedence = headers.first("precedence").strip().lower()
    if re.sub(r"[-_ ]", "", precedence) in ("bulk", "junk", "list", "autoreply"):
        return f"Precedence: {precedence[:40]}"
    for name, said in (
        ("x-autoreply", "X-Autoreply"),
        ("x-autorespond", "X-Autorespond"),
        ("x-autoresponder", "X-Autoresponder"),
        ("x-auto-reply-from", "X-Auto-Reply-From"),
        ("x-mail-autoreply", "X-Mail-Autoreply"),
        ("x-autogenerated", "X-Autogenerated"),
        ("x-ms-exchange-generated-message-source", "X-MS-Exchange-Generated-Message-Source"),
        ("x-vacation", "X-Vacation"),
        ("feedback-id", ""),
        ("list-id", "List-Id"),
        ("list-unsubscribe", "List-Unsubscribe"),
        ("x-failed-recipients", "X-Failed-Recipients"),
    ):
        if said and name in headers and headers.first(name).strip().lower() not in ("no", "false", "0"):
            return said
    return ""


def _sender(from_addresses: tuple[str, ...], envelope_from: str | None) -> str:
    if envelope_from == "":
        return "Null return path"
    for address in (*from_addresses, envelope_from or ""):
        if _NOBODY.fullmatch(address):
            return f"Sender: {address[:100]}"
    return ""


def is_absence_notice(text: str) -> bool:
    """Whether every sentence belongs to an absence notice or an automatic answer. A question never does."""
    if not text.strip() or len(text) > MAX_NOTICE or "?" in text or "？" in text:
        return False
    text = _DAY.sub(r"\1 ", text)  # "9. März" is no end of a sentence
    joined = re.sub(r"(?<![.!?:,。！？])\n(?=[a-zçğıöşüäßéèà])", " ", text)
    sentences = [match.strip() for match in _SENTENCE.findall(joined) if len(match.strip()) > 3]
    spoken = [sentence for sentence in sentences if sentence[-1] in ".!。！" and len(sentence) > 6]
    if not spoken or _WORK.search(text) or not all(_belongs(sentence) for sentence in spoken):
        return False
    is_absent = any(_ABSENCE.search(sentence) for sentence in sentences[:4])
    return _NOTICE.search(text) is not None or (
        is_absent and len(spoken) >= 2 and _PERIOD.search(text) is not None
    )


def _belongs(sentence: str) -> bool:
    return any(pattern.search(sentence) for pattern in (_ABSENCE, _NOTICE, _ELSE))
