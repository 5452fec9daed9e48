"""The words by which mail clients, in many languages, announce what is quoted or forwarded. PURE: data.

Patterns stand beside rules that need no language (an address and a time before a colon, lines of label and
value), so that a client or a language that nobody thought of is mostly cut right too.
"""

from __future__ import annotations

import re

# "wrote", as mail clients say it; each stands at the end of an attribution, or before the writer's name.
WROTE = re.compile(
    r"\b(?:wrote|writes|schrieb|schrieben|geschrieben|a écrit|a ecrit|écrivait|escribió|escribio|escribiste|ha scritto|scrisse"
    r"|schreef|heeft geschreven|escreveu|napisał|napisała|napisał\(a\)|pisze|skrev|skrifaði|kirjoitti"
    r"|пишет|писал|писала|написал|написала|написав|пише|yazdı|yazmış|yazdi|napsal|napsala|napsal\(a\)|napísal|napísala"
    r"|írta|a scris|έγραψε|napisao|napisala|je napisal|rašė|rakstīja|kirjutas|đã viết|menulis|va escriure|idatzi du)\b"
    r"|\(a\) napisał|写道|寫道|さんは書きました|書きました|のメッセージ|님이 작성|님이 쓴 글|작성:|كتب|כתב|เขียน",
    re.IGNORECASE,
)
OPENER = re.compile(
    r"[\W_]*(?:(?:on|am|le|el|il|op|em|no dia|dia|w dniu|dnia|dne|dňa|den|på|at|pe|în|στις|vào|pada|vào lúc|в|во|у|tarih\w*|mon|tue|wed|thu|fri|sat|sun|lun|mar|mer|mié|mie"
    r"|jeu|ven|vie|sam|sáb|sab|dim|dom|gio|pzt|sal|çar|per|cum|cmt|paz|pon|wto|śro|czw|pią|pt|sob|nie|mån|tis|ons|tor|fre|lör|sön|ma|di|wo|do|vr|za|zo|po|út|st|čt|pá|so|ne"
    r"|monday|tuesday|wednesday|thursday|friday|saturday|sunday|пн|вт|ср|чт|пт|сб|вс)\b|\d|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag"
    r"|понедельник|вторник|сред|четверг|пятниц|суббот|воскресен|在|於|于|في|بتاريخ|ב)",
    re.IGNORECASE,
)
TIME = re.compile(r"\b\d{1,2}\s?[:.h٫]\s?\d{2}\b|\d{1,2}時\d{1,2}分|[٠-٩]{1,2}:[٠-٩]{2}")
DATE = re.compile(
    r"\b(?:19|20)\d\d\b|\b\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b|\d{4}\s?[年년]|\b\d{1,2}[. ]+\S{3,12}[. ]+\d{2,4}\b|[٠-٩]{4}"
)
ADDRESS = re.compile(r"[^\s<>()\[\],;:\"]+@[^\s<>()\[\],;:\"]+")

# Header blocks of quotes, by what the label says.
LABELS = {
    "from": "from|von|de|da|van|od|från|fra|lähettäjä|от|от кого|kimden|gönderen|feladó|de la|από|差出人|送信元|发件人|寄件者|寄件人"
    "|發件人|보낸 사람|보낸사람|من|מאת|จาก|od koho|expéditeur|remitente|mittente|absender|von:|từ|dari|expeditor|odesílatel",
    "sent": "sent|gesendet|gesendet am|enviado|enviado el|enviado em|enviada em|envoyé|envoyé le|inviato|verzonden|wysłano|wyslano|skickat|sendt"
    "|lähetetty|отправлено|gönderildi|gönderilme tarihi|gönderim|odesláno|odoslané|küldve|elküldve|trimis|送信日時|送信|发送时间|傳送時間|寄件日期|보낸 날짜|تاريخ الإرسال|نشرت|נשלח|στάλθηκε|đã gửi|poslano|dikirim",
    "date": "date|datum|fecha|data|tarih|dato|päivämäärä|дата|dátum|日付|日時|日期|날짜|التاريخ|תאריך|ημερομηνία|ngày|tanggal|päiväys|dată",
    "to": "to|an|para|à|a|aan|do|till|til|vastaanottaja|кому|kime|alıcı|komu|címzett|către|宛先|收件人|收件者|받는 사람|받는사람|إلى|אל|προς|ถึง|đến|kepada|per|destinataire|destinatario|empfänger|za|dla",
    "cc": "cc|bcc|kopie|kopia|kopi|copie|copia|kopio|bilgi|dw|udw|копия|másolat|抄送|副本|참조|نسخة|cc:|gizli|cópia|cci|kopya|ccn",
    "subject": "subject|betreff|objet|objeto|asunto|oggetto|onderwerp|temat|ämne|emne|aihe|тема|konu|předmět|predmet|tárgy|subiect|件名|主题|主旨|标题|제목|الموضوع|נושא|θέμα|assunto|chủ đề|subjek|sujet|assumpte|naslov|zadeva|tema",
    "other": "importance|priority|wichtigkeit|öncelik|önem|importancia|importância|priorità|attachments|anlagen|ekler|reply-to|yanıt adresi|organization|sensitivity|importance:|antwort an|when|where|required|optional",
}
_BY_LABEL = {
    label: category for category in reversed(LABELS) for label in LABELS[category].casefold().split("|")
}
LABELLED = re.compile(
    r"[ \t]{0,3}[*_]{0,2}\s?([^\W\d_][^:：*\t\n]{0,24}?)\s?[*_]{0,2}\s?[:：][*_]{0,2}(?:\s|$|(?=[^\s/]))(.*)"
)
TECHNICAL = re.compile(
    r"\s*(?:received|message-id|mime-version|content-type|content-transfer-encoding|return-path|dkim-signature|x-[\w-]+"
    r"|authentication-results|delivered-to|in-reply-to|references)\s*:",
    re.IGNORECASE,
)
ONE_LINE_BLOCK = re.compile(
    r"[>*_\s]*(?:from|von|de|da|van|kimden|gönderen|od|från|от)\s?:.{3,200}?[\s*](?:sent|date|gesendet|datum|enviado(?: el| em)?|envoyé|inviato|verzonden"
    r"|gönderildi|gönderilme tarihi|tarih|wysłano|skickat|отправлено)\s?:.{5,120}?[\s*](?:to|an|para|à|a|aan|kime|do|till|кому)\s?:"
    r".{3,300}?[\s*](?:subject|betreff|asunto|objet|oggetto|onderwerp|konu|temat|ämne|тема|assunto)\s?:",
    re.IGNORECASE,
)

ORIGINAL = re.compile(
    r"[\s>*]*[-_=—]{2,}\s*(?:original message|original appointment|original-nachricht|original nachricht|originalnachricht"
    r"|ursprüngliche nachricht|ursprüngliche mail|reply message|message d'origine|message d’origine|message original|mensaje original"
    r"|messaggio originale|messaggio ricevuto|oorspronkelijk bericht|mensagem original|wiadomość oryginalna|oryginalna wiadomość|originalmeddelande"
    r"|ursprungligt meddelande|oprindelig meddelelse|original melding|opprinnelig melding|alkuperäinen viesti|исходное сообщение|оригинальное сообщение"
    r"|orijinal ileti|orijinal mesaj|özgün ileti|özgün mesaj|asıl ileti|původní zpráva|pôvodná správa|eredeti üzenet|mesaj original"
    r"|αρχικό μήνυμα|元のメッセージ|原始邮件|原始郵件|原邮件|원본 메시지|원본 메일|original mail|الرسالة الأصلية|หมายถึง)\s*[-_=—]{2,}.*",
    re.IGNORECASE,
)
DASHED_TITLE = re.compile(r"\s*[-_=—]{4,}\s?[^-_=—]{3,60}?\s?[-_=—]{4,}\s*")
WROTE_BETWEEN_DASHES = re.compile(r"\s*-{2,}.{5,300}\S\s?-{2,}\s*")
RULE = re.compile(r"\s*(?:[_=*—–]{5,}|-{5,}|_{3,})\s*")

FORWARDED = re.compile(
    r"[\s>*]*(?:[-_=—]{2,}\s*)?(?:forwarded message|forwarded mail|forwarded by .{1,80}|begin forwarded message|start of forwarded message|weitergeleitete nachricht|anfang der weitergeleiteten nachricht"
    r"|weitergeleitete e-mail|message transféré|message réexpédié|début du message réexpédié|début du message transféré|mensaje reenviado|inicio del mensaje reenviado"
    r"|messaggio inoltrato|inizio messaggio inoltrato|doorgestuurd bericht|begin doorgestuurd bericht|mensagem encaminhada|mensagem reencaminhada|início da mensagem reencaminhada"
    r"|wiadomość przekazana|przekazana wiadomość|treść przekazanej wiadomości|vidarebefordrat meddelande|vidarebefordrat brev|vidarebefordrat mejl|videresendt meddelelse|videresendt melding|videresendt besked"
    r"|välitetty viesti|пересылаемое сообщение|пересланное сообщение|пересылаемое письмо|начало переадресованного сообщения|iletilen ileti|iletilmiş ileti|iletilen mesaj|yönlendirilen ileti|yönlendirilen mesaj|yönlendirilmiş mesaj|iletilen e-posta"
    r"|přeposlaná zpráva|továbbított üzenet|mesaj redirecționat|προωθημένο μήνυμα|転送メッセージ|転送されたメッセージ|转发的邮件|转发邮件|轉寄郵件|轉寄的郵件|전달된 메시지|전달된 메일|رسالة معاد توجيهها|رسالة محولة|הודעה שהועברה)"
    r"(?:\s*[:：]?\s*[-_=—]{2,}.*|\s*[:：]\s*|\s*)",
    re.IGNORECASE,
)
FORWARD_SUBJECT = re.compile(
    r"\s*(?:fw|fwd|wg|tr|rv|enc|i|doorst|vb|vs|vl|vl\.|pd|ilt|i̇lt|ileti|yön|пересл|fs|转发|轉寄|転送|전달|továbbítás|前転)\s*(?:\[\d+\])?\s*[:：]",
    re.IGNORECASE,
)
REPLY_SUBJECT = re.compile(
    r"\s*(?:re|aw|sv|ynt|yan|yanıt|cevap|ri|r|rif|res|odp|antw|vs|ref|rép|回复|回覆|答复|答覆|ответ|на|atb|vá|svar|답장|回信|返信|رد|השב)\s*(?:\[\d+\])?\s*[:：]",
    re.IGNORECASE,
)

# A person who answers inside the quote says so; then nothing of it may be cut.
ANSWERS_INSIDE = re.compile(
    r"\b(?:in-?line|in line|(?:answers?|comments?|replies|responses?|remarks?|notes)\b.{0,40}\b(?:below|inline|in (?:red|blue|green|bold|caps))"
    r"|see (?:my )?(?:comments|answers|replies) (?:below|above|in)|below in (?:red|blue|green|bold)"
    r"|(?:antworten|kommentare|anmerkungen)\b.{0,40}\b(?:unten|im text|in rot|in blau|rot|blau)|(?:réponses?|commentaires?)\b.{0,40}\b(?:ci-dessous|dans le texte|en rouge|en bleu)"
    r"|(?:respuestas?|comentarios?|respostas?|comentários?)\b.{0,40}\b(?:abajo|abaixo|en rojo|en azul|em vermelho|em azul|en el texto|no texto)"
    r"|(?:risposte|commenti)\b.{0,40}\b(?:sotto|in rosso|in blu|nel testo)|(?:antwoorden|opmerkingen)\b.{0,40}\b(?:hieronder|onder|in het rood|in de tekst)"
    r"|(?:yanıt|cevap|yorum|not)\w*\b.{0,40}\b(?:aşağıda\w*|kırmızı\w*|mavi\w*|satır ara\w*|metnin içinde|arasında)|aşağıda (?:yanıtla|cevapla)\w*"
    r"|(?:ответы|комментарии)\b.{0,40}\b(?:ниже|в тексте|красным)|odpowiedzi\b.{0,40}\b(?:poniżej|w tekście|na czerwono)|svar(?:en)?\b.{0,30}\b(?:nedan|i texten|i rött))",
    re.IGNORECASE,
)

_PRODUCTS = (
    r"(?:iphone|ipad|ipod|apple watch|android|samsung|galaxy|huawei|xiaomi|redmi|oppo|honor|oneplus|pixel|nokia|blackberry|windows ?phone|windows ?mail"
    r"|mail for windows|windows|outlook|yahoo|gmail|proton ?mail|proton|tutanota|tuta|spark|mailbird|k-9|fairemail|aqua ?mail|mymail|my mail|nine|bluemail|blue mail"
    r"|superhuman|edison|airmail|em client|zoho|yandex|яндекс|mail\.ru|почт|gmx|web\.de|freemail|t-online|orange|libero|aol|canary|thunderbird|newton|email\.cz|seznam"
    r"|mobile|mobil\w*|smartphone|handy|móvil|telefon\w*|téléphone|teléfono|celular|cellulare|telefoon|tablet|phone|айфон\w*|телефон\w*|смартфон\w*)"
)
_SENT = (
    r"(?:sent (?:from|via|with|by|using)|von mein\w+|gesendet (?:von|mit|über|aus)|versendet mit|diese nachricht wurde von mein\w+|envoyé (?:de|depuis|à partir d[e']|avec|via)"
    r"|enviado (?:desde|do|da|de|a partir d[oe]|con|via|pelo)|inviato (?:da|dal|dall'|con)|verzonden (?:vanaf|met|via|vanuit)|verstuurd (?:vanaf|met)|wysłan[eoay] (?:z|za pomocą)"
    r"|skickat (?:från|via|med)|sendt (?:fra|med|via)|lähetetty|отправлено (?:с|из|через)|odesláno z|odoslané z|elküldve|trimis (?:de pe|din)|στάλθηκε από|verstuurt|gönderen cihaz)"
)
_MINE = (
    r"(?:sent from my|von meinem|gesendet von meinem|envoyé de mon|envoyé depuis mon|enviado desde mi|enviado do meu|inviato dal mio|verzonden vanaf mijn|wysłane z mojego|skickat från min"
    r"|sendt fra min|отправлено с моего|odesláno z mého|trimis de pe)"
)
# So does one who writes little more than this above a quote that has no ">" to tell the two apart.
SEE_BELOW = re.compile(
    r"\b(?:see below|answered below|below please|siehe unten|s\.\s?u\.|voir ci-dessous|aşağıya|aşağıda(?:dır|ki gibi)?|bkz\.? aşağı|ver abajo|véase abajo|ver abaixo|vedi sotto"
    r"|zie (?:onder|hieronder|beneden)|patrz poniżej|se nedan|se nedenfor|viz níže|см\.? ниже|смотри(?:те)? ниже)\b|下記|请看下面|见下",
    re.IGNORECASE,
)
# The last line of a mail that the client wrote, not its writer.
MOBILE = re.compile(
    rf"[\s*_\[(<]*(?:{_MINE}\s[^,;?!]{{2,60}}|{_SENT}\s(?:[\w'’]+\s){{0,3}}?[\w'’]{{0,4}}{_PRODUCTS}[^,;?!]{{0,70}}"
    rf"|{_PRODUCTS}\S*[^,;?!]{{0,40}}?(?:gönderildi|gönderilmiştir|yollandı|edinin|indirin|yükleyin|gesendet|verzonden|lähetetty)\.?"
    r"|(?:get|download) outlook (?:for|per|für)\b.{2,70}|(?:télécharge[rz]|obtene[rz]|obtenga|descargar?|scarica|ottieni|obter|obtenha|baixe|pobierz|hämta|skaffa|hent|hanki|holen sie sich|скачать|скачайте) .{0,12}outlook\b.{0,70}"
    r"|outlook (?:for|für|voor|pour|para|per|för|til) (?:ios|android)\b.{0,70}|(?:ios|android) için outlook.{0,70}"
    r"|.{0,30}(?:から送信|より送信)|发自我的.{1,30}|從我的 ?.{1,20}(?:傳送|寄出)|从我的.{1,20}发送|내 .{1,20}에서 보냄|나의 .{1,20}에서 보냄|أ?رسلت? من .{2,40}|تم الإرسال من .{2,40}|נשלח מ.{1,30})[\s*_\])>]*",
    re.IGNORECASE,
)


def category_of(label: str) -> str:
    """What a label of a header block says: from, sent, date, to, cc, subject, other; "" if it is none."""
    return _BY_LABEL.get(" ".join(label.casefold().split()), "")


def is_reply_subject(subject: str) -> bool:
    return REPLY_SUBJECT.match(subject) is not None


def is_forward_subject(subject: str) -> bool:
    return FORWARD_SUBJECT.match(subject) is not None
