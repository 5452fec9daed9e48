"""The cut of quotes on texts alone: each invented after the patterns were written, and mended at its cause."""

import pytest

from incidents.intake.html_text import html_to_text
from incidents.intake.quotes import new_text

OLD = "We looked at it. The engineer is Mehmet."
CASES = {}


def said(name, body, new, *, reply=True, fwd=False, ishtml=False, old=("Mehmet",)):
    assert name not in CASES
    CASES[name] = (html_to_text(body).text if ishtml else body, new, old, reply, fwd)


# fmt: off
N="It is broken on node nine."
G="On Mon, 2 Mar 2026 at 10:00, Desk <s@desk.example> wrote:"
said("html gmail plain-quoted pre",f"<pre>{N}\n\n{G.replace('<', '&lt;')}\n&gt; {OLD}</pre>",[N],ishtml=True)
said("html br-only",f"{N}<br><br>{G.replace('<','&lt;')}<br>&gt; {OLD}<br>",[N],ishtml=True)
said("indent attrib",f"{N}\n\n  {G}\n\n  > {OLD}\n",[N])
said("tab quote",f"{N}\n\n{G}\n\n\t{OLD}\n",[N])
said("pipe quote",f"{N}\n\n{G}\n| {OLD}\n| more\n",[N])
said("percent quote: initials",f"{N}\n\n{G}\nDesk> {OLD}\n",[N])
said("supercite",f'>>>>> "Desk" == Desk <s@desk.example> writes:\n\n    Desk> {OLD}\n\n{N}\n',[N],old=())
said("attrib no colon",f"{N}\n\nOn Mon, 2 Mar 2026 at 10:00, Desk <s@desk.example> wrote\n> {OLD}\n",[N])
said("attrib ends with '...'",f"{N}\n\nOn 2 Mar 2026 10:00, Desk wrote...\n> {OLD}\n",[N])
said("AM in caps MIME",f"{N}\n\nAT 10:00 AM 3/2/2026, DESK WROTE:\n>{OLD}\n",[N])
said("eudora",f"{N}\n\nAt 10:00 02/03/2026 +0300, you wrote:\n>{OLD}\n",[N])
said("pine",f"{N}\n\nOn Mon, 2 Mar 2026, Desk wrote:\n\n> {OLD}\n",[N])
said("the bat",f"Hello Desk,\n\nMonday, March 2, 2026, 10:00:00 AM, you wrote:\n\n> {OLD}\n\n{N}\n",["Hello Desk,",N])
said("the bat initials",f"{G}\nMO> {OLD}\n\n{N}\n",[N],old=())
said("two header blocks",f"{N}\n\nFrom: Desk\nSent: Monday, 2 March 2026 10:00\nTo: Ayse\nSubject: x\n\n{OLD}\n\nFrom: Ayse\nSent: Monday, 2 March 2026 09:00\nTo: Desk\nSubject: x\n\nearlier Mehmet\n",[N])
said("bold html labels split lines",f"<p>{N}</p><p><b>From:</b> Desk</p><p><b>Sent:</b> Monday 2 March 2026 10:00</p><p><b>To:</b> Ayse</p><p><b>Subject:</b> x</p><p>{OLD}</p>",[N],ishtml=True)
said("html dl",f"<p>{N}</p><dl><dt>From:</dt><dd>Desk &lt;s@desk.example&gt;</dd><dt>Sent:</dt><dd>Monday 2 March 2026 10:00</dd><dt>To:</dt><dd>Ayse</dd><dt>Subject:</dt><dd>x</dd></dl><p>{OLD}</p>",[N],ishtml=True)
said("Outlook web 'On behalf of'",f"{N}\n\nFrom: Desk <s@desk.example> On Behalf Of Mehmet Oz\nSent: Monday, March 2, 2026 10:00 AM\nTo: Ayse\nSubject: x\n\n{OLD}",[N])
said("Outlook [EXTERNAL] + caution",f"{N}\n\n________________________________\nFrom: Desk\nSent: Monday, March 2, 2026 10:00 AM\nTo: Ayse\nSubject: [EXTERNAL] x\n\nCAUTION: external\n{OLD}",[N])
said("from:, Date:, to, subject in reply w/o rule",f"{N}\n\nFrom: Desk <s@desk.example>\nDate: Mon, 2 Mar 2026 10:00\nSubject: x\nTo: a@b.example\n\n{OLD}",[N])
said("From/To/CC/Date/Subject",f"{N}\n\nFrom: Desk <s@desk.example>\nTo: a@b.example\nCC: c@b.example\nDate: 2/3/2026 10:00\nSubject: x\n\n{OLD}",[N])
said("Subject first",f"{N}\n\nSubject: x\nFrom: Desk <s@desk.example>\nDate: 2/3/2026 10:00\nTo: a@b.example\n\n{OLD}",[N])
said("not reply header block",f"{N}\n\nFrom: Desk <s@desk.example>\nSent: 2 March 2026 10:00\nTo: a@b.example\nSubject: x\n\n{OLD}",[N],reply=False)
said("not reply gmail",f"{N}\n\n{G}\n> {OLD}",[N],reply=False)
said("not reply gmail tr",f"{N}\n\nDesk <s@desk.example>, 2 Mar 2026 Pzt, 10:00 tarihinde şunu yazdı:\n> {OLD}",[N],reply=False)
said("zero width",f"{N}\n\n\u200bOn Mon, 2 Mar 2026 at 10:00, Desk <s@desk.example> wrote:\u200b\n> {OLD}",[N])
said("trailing sp colon nbsp",f"{N}\n\nLe lun. 2 mars 2026 à 10:00, Desk <s@desk.example> a écrit\u00a0:\n\n> {OLD}".replace("\u00a0"," "),[N])
said("inside quotes <mailto:>",f"{N}\n\nOn Mar 2, 2026, at 10:00, Desk <s@desk.example<mailto:s@desk.example>> wrote:\n\n{OLD}",[N])
said("exchange plain of apple",f"{N}\n\nSent from my iPhone\n\nOn Mar 2, 2026, at 10:00 AM, Desk <s@desk.example> wrote:\n\n\n{OLD}\n",[N],old=("Mehmet","iPhone"))
said("exchange apple multi",f"{N}\n\nOn Mar 2, 2026, at 10:00 AM, Desk <s@desk.example<mailto:s@desk.example>>\nwrote:\n\n{OLD}\n",[N])
said("android tr Outlook",f"{N}\n\nAndroid için Outlook'u edinin<https://aka.ms/x>\n________________________________\nGönderen: Desk <s@desk.example>\nGönderildi: Pazartesi, Mart 2, 2026 10:00\nKime: Ayşe\nKonu: x\n\n{OLD}\n",[N],old=("Mehmet","edinin"))
said("Samsung tr",f"{N}\n\nSamsung cep telefonumdan gönderildi.\n\n-------- Orijinal mesaj --------\nKimden: Desk <s@desk.example>\nTarih: 2.03.2026 10:00 (GMT+03:00)\nAlıcı: a@b.example\nKonu: x\n\n{OLD}",[N],old=("Mehmet","Samsung"))
said("Huawei",f"{N}\n\nGesendet von meinem HUAWEI P30\n\n-------- Ursprüngliche Nachricht --------\nVon: Desk\nDatum: Mo., 2. März 2026, 10:00\nAn: a@b.example\nBetreff: x\n{OLD}",[N],old=("Mehmet","HUAWEI"))
said("mynet",f"{N}\n\n----- Orijinal Mesaj -----\nKimden: Desk\nKime: a@b.example\nGönderim: 2 Mart 2026\nKonu: x\n{OLD}",[N])
said("Outlook Express tr",f"{N}\n  ----- Original Message ----- \n  From: Desk \n  To: a@b.example \n  Sent: Monday, March 02, 2026 10:00 AM\n  Subject: x\n\n\n  {OLD}",[N])
said("fr outlook 'De :' with nbsp",f"{N}\n\nDe : Desk <s@desk.example> \nEnvoyé : lundi 2 mars 2026 10:00\nÀ : Ayse\nCc : Can\nObjet : RE: x\n\n{OLD}",[N])
said("es outlook",f"{N}\n\nDe: Desk\nEnviado: lunes, 2 de marzo de 2026 10:00\nPara: Ayse\nAsunto: x\n\n{OLD}",[N])
said("fi outlook",f"{N}\n\nLähettäjä: Desk\nLähetetty: maanantai 2. maaliskuuta 2026 10.00\nVastaanottaja: Ayse\nAihe: x\n\n{OLD}",[N])
said("zh tw outlook",f"好的\n\n寄件者: Desk <s@desk.example>\n寄件日期: 2026年3月2日 上午 10:00\n收件者: Ayse\n主旨: x\n\n{OLD}",["好的"])
said("ko outlook",f"네\n\n보낸 사람: Desk <s@desk.example>\n보낸 날짜: 2026년 3월 2일 월요일 오전 10:00\n받는 사람: Ayse\n제목: x\n\n{OLD}",["네"])
said("quoted top then answer html plain blockquote",f"<blockquote>{OLD}</blockquote><p>{N}</p>",[N],ishtml=True,old=())
said("new blockquote in new mail",f"<p>They said:</p><blockquote>the disk is full</blockquote><p>{N}</p>",["the disk is full",N],reply=False,ishtml=True,old=())
said("new blockquote in reply",f"<p>They said:</p><blockquote>the disk is full</blockquote><p>{N}</p><div class='gmail_quote'><div class='gmail_attr'>{G.replace('<','&lt;')}</div><blockquote class='gmail_quote'>{OLD}</blockquote></div>",["the disk is full",N],ishtml=True)
said("indent list in reply",f"<p>{N}</p><blockquote style='margin:0 0 0 40px;border:none'>indented new words</blockquote><div class='gmail_quote'><div class='gmail_attr'>{G.replace('<','&lt;')}</div><blockquote class='gmail_quote'>{OLD}</blockquote></div>",["indented new words",N],ishtml=True)
said("reply all words with wrote: inside",f"As Can wrote: nothing works.\n{N}\n\n{G}\n> {OLD}",["As Can wrote: nothing works.",N])
said("time sentence",f"We restarted at 10:00 on 2026-03-02, see ops@kunde.example:\n> ok\n> failed\nThat is all.\n\n{G}\n> {OLD}",["We restarted","ok","failed","That is all."])
said("sig then answer below quote",f"-- \nAyse\n\n{G}\n> {OLD}\n\n{N}\n",[N])
said("dashes sig long answer",f"{N}\n--\nSecond part: the node has no memory left.\n\n{G}\n> {OLD}",[N])
said("bullet dash","- one\n- two\n\n-- \nme",["- one","- two"],old=("me",))
said("asterisk list attrib",f"* a\n* b\n\n{G}\n> {OLD}",["* a","* b"])
said("numbered lines w/ time",f"1. 10:00 restart\n2. 10:05 fail: see below:\n> trace a\n> trace b\n\n3. end\n\n{G}\n> {OLD}",["10:00 restart","trace a","3. end"])
said("signature between answers",f"{G}\n> q1\n\nA one.\n\n> q2\n\nA two.\n\n-- \nAyse\n\n> {OLD}\n",["A one.","A two."])
said("german inline below","Hallo,\n\nsiehe unten im Text.\n\nVon: Desk\nGesendet: Montag, 2. März 2026 10:00\nAn: Ayse\nBetreff: x\n\nWelcher Knoten?\n=> Knoten neun\n",["Knoten neun"],old=())
said("see below en","See below.\n\nFrom: Desk\nSent: Monday, 2 March 2026 10:00\nTo: Ayse\nSubject: x\n\nWhich node?\n>> node nine\n",["node nine"],old=())
said("see inline","Please see inline.\n\n-----Original Message-----\nFrom: Desk\nSent: Monday, 2 March 2026 10:00\nTo: Ayse\nSubject: x\n\nWhich node?\n[Ayse] node nine\n",["node nine"],old=())
said("outlook [name] answers unannounced","From: Desk\nSent: Monday, 2 March 2026 10:00\nTo: Ayse\nSubject: x\n\nWhich node?\n[Ayse] node nine\n",["node nine"],old=())
said("outlook bottom after hdr","\n\n-----Original Message-----\nFrom: Desk\nSent: Monday, 2 March 2026 10:00\nTo: Ayse\nSubject: x\n\n> Which node?\n> Mehmet\n\nnode nine\n",["node nine"])
said("fwd by person w/ comment below",f"---------- Forwarded message ---------\nFrom: M <m@x.example>\nDate: Mon, 2 Mar 2026\nSubject: x\nTo: <o@k.example>\n\nalarm words\n\n{N}",[N,"alarm words"],reply=False,fwd=True,old=())
said("fwd word in sentence",f"The forwarded message never arrived.\n{N}\n\n{G}\n> {OLD}",["never arrived",N])
said("emoji reaction gmail",f"👍\n\nAyse Kaya reacted via Gmail\n\n{G}\n> {OLD}",["👍"])
said("teams/calendar underscore",f"{N}\n\n________________________________________________________________________________\nMicrosoft Teams meeting\nJoin: https://x.example\nMeeting ID: 123\n",[N],reply=False,old=())
said("legal footer then quote",f"{N}\n\nThis e-mail is confidential.\n\n{G}\n> {OLD}",[N])
said("hash fence",f"```\n{G}\n> kept\n```\n{N}\n\n{G}\n> {OLD}",["kept",N])
said("list footer",f"{N}\n\n{G}\n> {OLD}\n\n_______________________________________________\nusers mailing list\nusers@list.example\n",[N])
said("attr w/ no blank and html-div",f"<div>{N}</div><div>{G.replace('<','&lt;')}</div><div style='margin-left:1em;border-left:2px solid'><div>{OLD}</div></div>",[N],ishtml=True)
said("moz-forward",f"<p>{N}</p><div class='moz-forward-container'>-------- Forwarded Message --------<table class='moz-email-headers-table'><tr><th>Subject: </th><td>x</td></tr><tr><th>Date: </th><td>Mon, 2 Mar 2026 10:00</td></tr><tr><th>From: </th><td>M &lt;m@x.example&gt;</td></tr><tr><th>To: </th><td>o@k.example</td></tr></table><p>alarm words</p></div>",[N,"alarm words"],reply=False,fwd=True,ishtml=True,old=())
said("outlook fwd html reply subject RE FW",f"<p>{N}</p><div id='divRplyFwdMsg'><b>From:</b> D<br><b>Sent:</b> Monday<br><b>To:</b> x<br><b>Subject:</b> FW: x</div><p>{OLD}</p>",[N],ishtml=True)
said("log right below the words of an answer","I get this now\n> error 17\n> giving up\n",["error 17","giving up"],old=())
said("a title of one's own above a pasted header",f"Look:\n\n---- mail of the monitor ----\nFrom: m@x.example\nTo: o@k.example\nDate: 2026-03-02 10:00\nSubject: node nine\n\n{N}\n",["m@x.example",N],reply=False,old=())
said("indented words in an answer between marked quotes",f"<div>{G.replace('<','&lt;')}</div><blockquote type=cite>Which node?</blockquote><p>This one:</p><blockquote>node nine, rack two</blockquote><blockquote type=cite>Since when?</blockquote><p>Since ten.</p>",["node nine, rack two","Since ten."],ishtml=True)
# fmt: on


@pytest.mark.parametrize("name", CASES)
def test_new_words_stay_and_old_words_go(name):
    body, new, old, is_reply, is_forward = CASES[name]
    text = " ".join(new_text(body, is_reply=is_reply, is_forward=is_forward).split())
    assert [words for words in new if words not in text] == [], text
    assert [words for words in old if words in text] == [], text
