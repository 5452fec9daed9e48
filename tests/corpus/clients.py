"""How mail clients quote when one answers on top."""

from tests.corpus.build import ASKED, OLD, OLD_WORDS, SENDER, Case, multi, part, reply

NEW = "The second node is still failing with code 503."
Q = "\n".join(f"> {line}" for line in OLD.split(". "))
BLOCK = "Support Desk <support@desk.example>"
GMAIL_ON = "On Mon, Mar 2, 2026 at 10:00 AM Support Desk <support@desk.example> wrote:"

CASES = [
    reply("gmail web, plain", f"{NEW}\n\nOn Mon, Mar 2, 2026 at 10:00 AM Support Desk <support@desk.example>\nwrote:\n\n{Q}\n", NEW),
    reply("gmail mobile, plain", f"{NEW}\n\nOn Mon, Mar 2, 2026, 10:00 AM Support Desk <support@desk.example> wrote:\n\n{Q}\n", NEW),
    reply(
        "gmail web, html",
        f'<div dir="ltr">{NEW}<br clear="all"><div><br></div><span class="gmail_signature_prefix">-- </span><br><div dir="ltr" class="gmail_signature" '
        f'data-smartmail="gmail_signature"><div dir="ltr">Ayse Kaya<br>Ops lead</div></div></div><br><div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">'
        f'{GMAIL_ON.replace("<", "&lt;").replace(">", "&gt;")}<br></div><blockquote class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex">{OLD}</blockquote></div>',
        NEW, is_html=True, old=(*OLD_WORDS, "Ops lead", "wrote:"),
    ),
    reply(
        "gmail mobile, html",
        f'<div dir="auto">{NEW}<div dir="auto"><br></div><div data-smartmail="gmail_signature" dir="auto"></div></div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">'
        f'On Mon, Mar 2, 2026, 10:00 AM Support Desk &lt;<a href="mailto:support@desk.example">support@desk.example</a>&gt; wrote:<br></div><blockquote class="gmail_quote"><p>{OLD}</p></blockquote></div>',
        NEW, is_html=True,
    ),
    Case(
        "gmail, both parts",
        multi([part(f"{NEW}\n\n{GMAIL_ON}\n\n{Q}\n"), part(f"<div>{NEW}</div>", "text/html; charset=utf-8")], "alternative"),
        new=(NEW,), old=OLD_WORDS, thread=(ASKED, ASKED),
    ),
    reply("outlook desktop, plain", f"{NEW}\r\n\r\n-----Original Message-----\r\nFrom: {BLOCK} \r\nSent: Monday, March 2, 2026 10:00 AM\r\nTo: Ayse Kaya <{SENDER}>\r\nSubject: [INC-1042] Login fails\r\n\r\n{OLD}\r\n", NEW),
    reply(
        "outlook desktop, html",
        f'<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style>p.MsoNormal {{margin:0}}</style></head><body lang="EN-GB"><div class="WordSection1"><p class="MsoNormal">{NEW}<o:p></o:p></p>'
        f'<p class="MsoNormal"><o:p>&nbsp;</o:p></p><div><div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm"><p class="MsoNormal"><b>From:</b> Support Desk &lt;support@desk.example&gt; <br>'
        f"<b>Sent:</b> 02 March 2026 10:00<br><b>To:</b> Ayse Kaya &lt;ayse@kunde.example&gt;<br><b>Subject:</b> [INC-1042] Login fails<o:p></o:p></p></div></div><p class=MsoNormal>{OLD}<o:p></o:p></p></div></body></html>",
        NEW, is_html=True,
    ),
    reply(
        "outlook 365 on the web, html",
        f'<html><body dir="ltr"><div class="elementToProof" style="font-family: Aptos">{NEW}</div><div id="Signature"><p>Ayse Kaya</p><p>Head of Operations</p></div><div id="appendonsend"></div>'
        f'<hr style="display:inline-block;width:98%" tabindex="-1"><div id="divRplyFwdMsg" dir="ltr"><font face="Calibri"><b>From:</b> Support Desk &lt;support@desk.example&gt;<br><b>Sent:</b> Monday, March 2, 2026 10:00 AM<br>'
        f"<b>To:</b> Ayse Kaya<br><b>Subject:</b> [INC-1042] Login fails</font><div>&nbsp;</div></div><div>{OLD}</div></body></html>",
        NEW, is_html=True, old=(*OLD_WORDS, "Head of Operations"),
    ),
    reply(
        "outlook mobile, html",
        f'<div dir="auto">{NEW}</div><div id="ms-outlook-mobile-signature"><div><br></div>Get <a href="https://aka.ms/o0ukef">Outlook for iOS</a></div><hr><div id="divRplyFwdMsg"><b>From:</b> Support Desk<br><b>Sent:</b> Monday, March 2, 2026 10:00:05 AM<br><b>To:</b> Ayse<br><b>Subject:</b> x</div><br>{OLD}',
        NEW, is_html=True, old=(*OLD_WORDS, "Outlook for iOS"),
    ),
    reply("outlook mobile, plain", f"{NEW}\n\nGet Outlook for Android<https://aka.ms/AAb9ysg>\n________________________________\nFrom: {BLOCK}\nSent: Monday, March 2, 2026 10:00:05 AM\nTo: Ayse Kaya <{SENDER}>\nSubject: [INC-1042] Login fails\n\n{OLD}\n", NEW, old=(*OLD_WORDS, "Get Outlook")),
    reply("outlook, starred labels", f"{NEW}\n\n*From:* {BLOCK}\n*Sent:* Monday, March 2, 2026 10:00 AM\n*To:* Ayse Kaya\n*Cc:* Can Demir; Deniz Er\n*Subject:* RE: [INC-1042] Login fails\n\n{OLD}\n", NEW),
    reply("outlook, a long Cc folded", f"{NEW}\n\nFrom: {BLOCK}\nSent: Monday, March 2, 2026 10:00 AM\nTo: Ayse Kaya <{SENDER}>; Can Demir <can@kunde.example>;\n Deniz Er <deniz@kunde.example>; Ece Su <ece@kunde.example>\nCc: all@kunde.example\nSubject: [INC-1042] Login fails\nImportance: High\n\n{OLD}\n", NEW),
    reply("apple mail, plain", f"{NEW}\n\n> On 2 Mar 2026, at 10:00, Support Desk <support@desk.example> wrote:\n> \n{Q}\n", NEW),
    reply("apple mail, attribution outside", f"{NEW}\n\nOn 2. Mar 2026, at 10:00, Support Desk <support@desk.example> wrote:\n\n{Q}\n", NEW),
    reply("iphone, plain", f"{NEW}\n\nSent from my iPhone\n\n> On Mar 2, 2026, at 10:00 AM, Support Desk <support@desk.example> wrote:\n> \n> \ufeff\n{Q}\n", NEW, old=(*OLD_WORDS, "iPhone")),
    reply("apple mail, html", f'<html><head></head><body style="overflow-wrap: break-word;">{NEW}<br id="lineBreakAtBeginningOfMessage"><div><br><blockquote type="cite"><div>On 2 Mar 2026, at 10:00, Support Desk &lt;support@desk.example&gt; wrote:</div><br class="Apple-interchange-newline"><div>{OLD}</div></blockquote></div><br></body></html>', NEW, is_html=True),
    reply("thunderbird, plain", f"{NEW}\n\nOn 02/03/2026 10:00, Support Desk wrote:\n{Q}\n\n-- \nAyse Kaya\nOps lead\n", NEW, old=(*OLD_WORDS, "Ops lead")),
    reply("thunderbird, html", f'<p>{NEW}</p><div class="moz-cite-prefix">On 02/03/2026 10:00, Support Desk wrote:<br></div><blockquote type="cite" cite="mid:ask.7@desk.example"><p>{OLD}</p></blockquote><pre class="moz-signature" cols="72">-- \nAyse Kaya\nOps lead</pre>', NEW, is_html=True, old=(*OLD_WORDS, "Ops lead")),
    reply("yahoo, html", f'<div class="yahoo-style-wrap"><div dir="ltr">{NEW}</div></div><div id="yahoo_quoted_123" class="yahoo_quoted"><div>On Monday, March 2, 2026 at 10:00:00 AM GMT+3, Support Desk &lt;support@desk.example&gt; wrote:</div><div><br></div><div>{OLD}</div></div>', NEW, is_html=True),
    reply("yahoo, plain, not quoted", f"{NEW}\n\n    On Monday, March 2, 2026 at 10:00:00 AM GMT+3, Support Desk <support@desk.example> wrote:  \n \n {OLD}\n", NEW),
    reply("zoho, plain", f"{NEW}\n\n\n---- On Mon, 02 Mar 2026 10:00:00 +0300 Support Desk <support@desk.example> wrote ----\n\n{OLD}\n", NEW),
    reply("zoho, html", f'<div>{NEW}<br></div><div class="zmail_extra" style="">---- On Mon, 02 Mar 2026 10:00:00 +0300 <b>Support Desk &lt;support@desk.example&gt;</b> wrote ---<br><br><blockquote style="border-left: 1px dotted">{OLD}</blockquote></div>', NEW, is_html=True),
    reply("yandex, html", f'<div>{NEW}</div><div> </div><div>02.03.2026, 10:00, "Support Desk" &lt;support@desk.example&gt;:</div><blockquote><div>{OLD}</div></blockquote>', NEW, is_html=True),
    reply("yandex, plain", f"{NEW}\n\n02.03.2026, 10:00, \"Support Desk\" <support@desk.example>:\n{Q}\n", NEW),
    reply("lotus notes", f"{NEW}\n\n\nFrom:\tSupport Desk <support@desk.example>\nTo:\tAyse Kaya/KUNDE@KUNDE,\nDate:\t02.03.2026 10:00\nSubject:\t[INC-1042] Login fails\n\n\n\n{OLD}\n", NEW),
    reply("lotus notes, dashes", f'{NEW}\n\n-----"Support Desk" <support@desk.example> wrote: -----\nTo: Ayse Kaya\nFrom: Support Desk\nDate: 03/02/2026 10:00AM\nSubject: [INC-1042] Login fails\n\n{OLD}\n', NEW),
    reply("k-9 mail", f"{NEW}\n-- \nSent from my Android device with K-9 Mail. Please excuse my brevity.\n\nAm 2. März 2026 10:00:00 MEZ schrieb Support Desk <support@desk.example>:\n{Q}\n", NEW, old=(*OLD_WORDS, "K-9")),
    reply("k-9 mail, original message", f"{NEW}\n\n-------- Original Message --------\nFrom: Support Desk <support@desk.example>\nSent: Mon Mar 02 10:00:00 GMT+03:00 2026\nTo: ayse@kunde.example\nSubject: [INC-1042] Login fails\n\n{OLD}\n", NEW),
    reply("samsung mail", f"{NEW}\n\nSent from my Galaxy\n\n\n-------- Original message --------\nFrom: Support Desk <support@desk.example> \nDate: 02/03/2026 10:00 (GMT+03:00) \nTo: ayse@kunde.example \nSubject: [INC-1042] Login fails \n\n{OLD}\n", NEW, old=(*OLD_WORDS, "Galaxy")),
    reply("mutt", f"{NEW}\n\nOn Mon, Mar 02, 2026 at 10:00:00AM +0300, Support Desk wrote:\n{Q}\n\n-- \nAyse\n", NEW),
    reply("proton", f"{NEW}\n\nSent with Proton Mail secure email.\n\nOn Monday, March 2nd, 2026 at 10:00 AM, Support Desk <support@desk.example> wrote:\n\n{Q}\n", NEW, old=(*OLD_WORDS, "Proton")),
    reply("proton, older", f"{NEW}\n\n------- Original Message -------\nOn Monday, March 2nd, 2026 at 10:00 AM, Support Desk <support@desk.example> wrote:\n\n\n{Q}\n", NEW),
    reply("proton, html", f'<div style="font-family: Arial">{NEW}</div><div class="protonmail_signature_block"><div>Sent with Proton Mail</div></div><div class="protonmail_quote">On Monday, March 2nd, 2026 at 10:00 AM, Support Desk &lt;support@desk.example&gt; wrote:<br><blockquote class="protonmail_quote" type="cite">{OLD}</blockquote><br></div>', NEW, is_html=True, old=(*OLD_WORDS, "Proton")),
    reply("fastmail", f"{NEW}\n\nOn Mon, Mar 2, 2026, at 10:00 AM, Support Desk wrote:\n{Q}\n", NEW),
    reply("spark", f"{NEW}\nOn 2 Mar 2026 at 10:00 +0300, Support Desk <support@desk.example>, wrote:\n{Q}\n", NEW),
    reply("em client", f'{NEW}\n\n------ Original Message ------\nFrom "Support Desk" <support@desk.example>\nTo "Ayse Kaya" <ayse@kunde.example>\nDate 02.03.2026 10:00:00\nSubject [INC-1042] Login fails\n\n{OLD}\n', NEW),
    reply("roundcube", f"{NEW}\n\nOn 2026-03-02 10:00, Support Desk wrote:\n{Q}\n", NEW),
    reply("horde", f"{NEW}\n\n\nZitat von Support Desk <support@desk.example>:\n\n{Q}\n", NEW),
    reply("squirrelmail", f"{NEW}\n\n> {OLD}\n>\n>\n\n", NEW),
    reply("groupwise", f">>> Support Desk <support@desk.example> 02.03.2026 10:00 >>>\n{OLD}\n\n{NEW}\n", NEW, old=()),
    reply("open-xchange", f"{NEW}\n\n> Support Desk <support@desk.example> hat am 02.03.2026 10:00 CET geschrieben:\n> \n> \n{Q}\n", NEW),
    reply("windows mail", f"{NEW}\n\nSent from Mail for Windows\n\nFrom: Support Desk\nSent: Monday, 2 March 2026 10:00\nTo: ayse@kunde.example\nSubject: [INC-1042] Login fails\n\n{OLD}\n", NEW, old=(*OLD_WORDS, "Sent from Mail")),
    reply("mail.ru", f"{NEW}\n\n\n>Понедельник, 2 марта 2026, 10:00 +03:00 от Support Desk <support@desk.example>:\n>\n{Q}\n>\n", NEW),
    reply("our own marker line", f"{NEW}\n\nSupport Desk said\n— Please write above this line —\n{OLD}\n", NEW),
    reply("our own marker line, turkish", f"{NEW}\n\n— Lütfen bu satırın üzerine yazın —\n{OLD}\n", NEW),
    reply("a header block on one line", f"{NEW}\n\nFrom: Support Desk <support@desk.example> Sent: Monday, March 2, 2026 10:00 AM To: Ayse Kaya Subject: [INC-1042] Login fails\n\n{OLD}\n", NEW),
    reply("a quote of a quote", f"{NEW}\n\nOn Mon, Mar 2, 2026 at 10:00 AM Support Desk <support@desk.example> wrote:\n{Q}\n>\n> On Mon, Mar 2, 2026 at 9:00 AM Ayse Kaya <ayse@kunde.example> wrote:\n>> It fails since nine.\n", NEW, old=(*OLD_WORDS, "since nine")),
]  # fmt: skip
