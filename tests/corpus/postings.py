"""Where people write: above, below, between. And what looks old but is new, and must stay."""

from tests.corpus.build import ASKED, OLD, OLD_WORDS, Case, head, html, reply, text

ON = "On Mon, Mar 2, 2026 at 10:00 AM Support Desk <support@desk.example> wrote:"
Q = f"> {OLD}"
TWO = f"{ON}\n> Which node fails?\n\nThe second one, node-b.\n\n> Since when do you see it?\n\nSince nine this morning.\n"
HEADERS = "From: probe@monitor.example\nTo: ops@kunde.example\nSubject: node-b is down\nDate: Mon, 2 Mar 2026 09:00:00 +0300"
NEW_MAIL = head("Login fails for everybody", replies_to=None)

CASES = [
    reply("below the quote", f"{ON}\n{Q}\n\nThe second node is node-b.\n\n-- \nAyse\n", "The second node is node-b."),
    reply("below the quote, wrapped attribution", f"On Mon, Mar 2, 2026 at 10:00 AM Support Desk\n<support@desk.example> wrote:\n\n{Q}\n\nStill failing, please call.\n", "Still failing, please call.", old=(*OLD_WORDS, "wrote:")),
    reply("below the quote, html", f"<div><div class='moz-cite-prefix'>{ON.replace('<', '&lt;')}</div><blockquote type='cite'>{OLD}</blockquote><p>It is node-b, since nine.</p></div>", "It is node-b, since nine.", is_html=True),
    reply("between the quoted lines", TWO, "The second one, node-b.", "Since nine this morning.", old=("wrote:",)),
    reply("between, with a greeting above", f"Hello,\n\n{TWO}", "Hello,", "The second one, node-b.", "Since nine this morning.", old=("wrote:",)),
    reply("between, and a quote at the end", f"{TWO}\n> {OLD}\n", "The second one, node-b.", "Since nine this morning.", old=OLD_WORDS),
    reply("between, html of gmail", f"<div dir='ltr'><div class='gmail_quote'><div class='gmail_attr'>{ON.replace('<', '&lt;')}</div><blockquote class='gmail_quote'>Which node fails?</blockquote><div>It is node-b.</div><blockquote class='gmail_quote'>Since when?</blockquote><div>Since nine.</div></div></div>", "It is node-b.", "Since nine.", is_html=True),
    reply("between, in proton's container", f"<div>Hi</div><div class='protonmail_quote'>{ON.replace('<', '&lt;')}<blockquote type='cite'>Which node?</blockquote><div>node-b it is</div><blockquote type='cite'>Since when?</blockquote><div>nine sharp</div></div>", "node-b it is", "nine sharp", is_html=True),
    reply("answers announced in colour", "My answers are below in red.\n\nFrom: Support Desk\nSent: Monday, March 2, 2026 10:00 AM\nTo: Ayse\nSubject: x\n\nWhich node fails?\nIt is node-b.\n", "My answers are below in red.", "It is node-b.", old=()),
    reply("answers announced, turkish", "Yanıtlarım aşağıda kırmızı ile.\n\nKimden: Destek\nGönderildi: 2 Mart 2026 10:00\nKime: Ayşe\nKonu: x\n\nHangi sunucu?\nİkinci sunucu.\n", "Yanıtlarım aşağıda", "İkinci sunucu.", old=()),
    reply("above and below", f"In short: no.\n\n{ON}\n{Q}\n\nIn long: node-b has no disk left.\n", "In short: no.", "node-b has no disk left."),
    reply("only a quote", f"{ON}\n{Q}\n", "failing logins", old=()),
    reply("one word", f"ok\n\n{ON}\n{Q}\n", "ok"),
    reply("a thumb", f"👍\n\n{ON}\n{Q}\n", "👍"),
    reply("a number", f"42\n\n{ON}\n{Q}\n", "42"),
    Case("a new mail", text("Nobody can log in.\nPlease help.\n", NEW_MAIL), new=("Nobody can log in.", "Please help."), subject="Login fails for everybody"),
    Case("log lines that begin with >", text("I ran:\n> npm install\n> node server.js\nand it stopped.\n", NEW_MAIL), new=("> npm install", "> node server.js", "and it stopped.")),
    Case("log lines with > at the end", text("Output of the tool:\n> error 17 at line 3\n> giving up\n", NEW_MAIL), new=("error 17 at line 3", "giving up")),
    reply("log lines with > in an answer", f"I ran it again:\n> error 17 at line 3\n> giving up\n\nWhat now?\n\n{ON}\n{Q}\n", "error 17 at line 3", "giving up", "What now?"),
    Case("a pasted header in a new mail", text(f"We get this mail every minute:\n\n{HEADERS}\n\nnode-b is down\n\nCan you stop it?\n", NEW_MAIL), new=("probe@monitor.example", "Subject: node-b is down", "Can you stop it?")),
    reply("a pasted header in an answer, introduced", f"The header is this:\n{HEADERS}\n\nSee it?\n\n{ON}\n{Q}\n", "probe@monitor.example", "See it?"),
    reply("a pasted header with its technical fields", f"Here:\n\nFrom: a@x.example\nTo: b@y.example\nSubject: hello\nMessage-ID: <1@x.example>\nReceived: from x\n\nCan you see why?\n\n{ON}\n{Q}\n", "Message-ID: <1@x.example>", "Can you see why?"),
    reply("a pasted header in a code fence", f"Look:\n\n```\nFrom: Bob\nSent: Monday\nTo: Al\nSubject: x\n```\n\nWhy is that?\n\n{ON}\n{Q}\n", "Subject: x", "Why is that?"),
    Case("configuration that looks like a header", text("From: is a label in our form.\nTo: should be there as well.\nThe page shows neither.\n", NEW_MAIL), new=("From: is a label", "To: should be there", "shows neither")),
    reply("the word wrote in a sentence", f"Yesterday Bob wrote:\nthe disk is full, and nobody read it.\nSo we wait.\n\n{ON}\n{Q}\n", "the disk is full", "So we wait."),
    reply("a sentence that ends in a time and a colon", f"On 2 March 2026 at 10:00 these nodes failed:\nnode-a\nnode-b\n\n{ON}\n{Q}\n", "these nodes failed:", "node-a", "node-b"),
    reply("a sentence right above the attribution", f"See the log of 10:00.\n{ON}\n{Q}\n", "See the log of 10:00.", old=(*OLD_WORDS, "wrote:")),
    reply("a list with dashes", f"- node-a works\n- node-b fails\n-- node-c unknown\n\n{ON}\n{Q}\n", "node-a works", "node-b fails", "node-c unknown"),
    Case("a rule of dashes between paragraphs", text("First point.\n\n-----\n\nSecond point.\n\n____________\n\nThird point.\n", NEW_MAIL), new=("First point.", "Second point.", "Third point.")),
    Case("two dashes between paragraphs", text("First point.\n--\nDo you think that the second point, about which I write here at some length so that it is no signature, matters?\n", NEW_MAIL), new=("First point.", "matters?")),
    Case("a signature", text("Please call me.\n\n-- \nAyse Kaya\nHead of Operations\n+90 212 555 01 01\n", NEW_MAIL), new=("Please call me.",), old=("Head of Operations", "555 01 01")),
    Case("a postscript below the signature", text("Please call me.\n\n-- \nAyse Kaya\n\nP.S. The disk of node-b is full.\n", NEW_MAIL), new=("Please call me.", "The disk of node-b is full.")),
    Case("a name after regards stays", text("Please call me.\n\nBest regards,\nAyse\n", NEW_MAIL), new=("Please call me.", "Ayse")),
    Case("only a signature", text("-- \nAyse Kaya\n", NEW_MAIL), new=("Ayse Kaya",)),
    Case("sent from is a sentence", text("The alarm was wrong.\nSent from the wrong host, it said node-a, but meant node-b.\n", NEW_MAIL), new=("Sent from the wrong host", "meant node-b.")),
    Case("a mobile signature on a new mail", text("Nothing works.\n\niPhone’umdan gönderildi\n", NEW_MAIL), new=("Nothing works.",), old=("gönderildi",)),
    Case("forwarded, gmail", text("Can you look at this?\n\n---------- Forwarded message ---------\nFrom: Monitor <probe@monitor.example>\nDate: Mon, Mar 2, 2026 at 9:00 AM\nSubject: node-b is down\nTo: <ops@kunde.example>\n\nnode-b answers 503 since 09:00.\n", head("Fwd: node-b is down", replies_to=None)), new=("Can you look at this?", "node-b answers 503 since 09:00.", "probe@monitor.example")),
    Case("forwarded, gmail, html", html("<div dir='ltr'><br><br><div class='gmail_quote'><div dir='ltr' class='gmail_attr'>---------- Forwarded message ---------<br>From: <strong>Monitor</strong><br>Date: Mon, Mar 2, 2026<br>Subject: node-b<br></div><br><div>node-b answers 503.</div></div></div>", head("Fwd: node-b is down", replies_to=None)), new=("node-b answers 503.",)),
    Case("forwarded, outlook", text("FYI\n\nFrom: Monitor <probe@monitor.example>\nSent: Monday, March 2, 2026 9:00 AM\nTo: Ops\nSubject: node-b is down\n\nnode-b answers 503 since 09:00.\n", head("FW: node-b is down")), new=("FYI", "node-b answers 503 since 09:00."), thread=(ASKED, ASKED)),
    Case("forwarded, outlook, turkish", text("Bilginize.\n\nKimden: İzleme <probe@monitor.example>\nGönderildi: 2 Mart 2026 Pazartesi 09:00\nKime: Ayşe\nKonu: node-b\n\nnode-b 503 veriyor.\n", head("İLT: node-b", replies_to=None)), new=("Bilginize.", "node-b 503 veriyor.")),
    Case("forwarded, apple", text("\n\nBegin forwarded message:\n\nFrom: Monitor <probe@monitor.example>\nSubject: node-b is down\nDate: 2 March 2026 at 09:00:00 GMT+3\nTo: Ops <ops@kunde.example>\n\nnode-b answers 503.\n", head("Fwd: node-b", replies_to=None)), new=("node-b answers 503.",)),
    Case("forwarded, thunderbird, turkish", text("Şuna bakar mısınız?\n\n-------- İletilen İleti --------\nKonu: node-b\nTarih: Mon, 2 Mar 2026 09:00:00 +0300\nKimden: Monitor <probe@monitor.example>\nKime: ops@kunde.example\n\nnode-b 503 veriyor.\n", head("Fwd: node-b", replies_to=None)), new=("Şuna bakar mısınız?", "node-b 503 veriyor.")),
    reply("an answer to a forwarded mail", f"Thanks, we see it.\n\n{ON}\n> ---------- Forwarded message ---------\n> From: Monitor\n> {OLD}\n", "Thanks, we see it."),
    Case("flowed text", text("The second node is \nstill failing since \nnine.\n\nOn 02/03/2026 10:00, Support Desk wrote:\n> We have started to look into the \n> failing logins.\n", extra="; format=flowed"), new=("The second node is still failing since nine.",), old=("failing logins", "wrote"), thread=(ASKED, ASKED)),
    Case("flowed text with delsp", text("漢字の \n続き。\n", head("Re: x"), extra="; format=flowed; delsp=yes"), new=("漢字の続き。",), thread=(ASKED, ASKED)),
]  # fmt: skip
