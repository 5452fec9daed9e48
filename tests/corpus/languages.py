"""The same answer in many languages: Gmail's, Apple's, Thunderbird's and Outlook's words above a quote."""

from tests.corpus.build import OLD, reply

Q = f"> {OLD}"
D = "Support Desk <support@desk.example>"

# language: the answer, what stands above a quoted line, the labels of Outlook's header block, the mobile signature
SAID = {
    "tr": ("İkinci sunucu hâlâ 503 veriyor.", f"{D}, 2 Mar 2026 Pzt, 10:00\ntarihinde şunu yazdı:", ("Kimden", "Gönderildi", "Kime", "Konu"), "iPhone'umdan gönderildi"),
    "de": ("Der zweite Knoten liefert weiter 503.", f"Am Mo., 2. März 2026 um 10:00 Uhr schrieb {D}:", ("Von", "Gesendet", "An", "Betreff"), "Von meinem iPhone gesendet"),
    "fr": ("Le deuxième nœud répond toujours 503.", f"Le lun. 2 mars 2026 à 10:00, {D} a écrit :", ("De", "Envoyé", "À", "Objet"), "Envoyé de mon iPhone"),
    "es": ("El segundo nodo sigue dando 503.", "El lun, 2 mar 2026 a las 10:00, Support Desk (<support@desk.example>)\nescribió:", ("De", "Enviado el", "Para", "Asunto"), "Enviado desde mi iPhone"),
    "it": ("Il secondo nodo dà ancora 503.", f"Il giorno lun 2 mar 2026 alle ore 10:00 {D} ha\nscritto:", ("Da", "Inviato", "A", "Oggetto"), "Inviato da iPhone"),
    "nl": ("De tweede node geeft nog steeds 503.", f"Op ma 2 mrt 2026 om 10:00 schreef {D}:", ("Van", "Verzonden", "Aan", "Onderwerp"), "Verstuurd vanaf mijn iPhone"),
    "pt": ("O segundo nó continua com 503.", f"{D} escreveu (segunda, 2/03/2026 à(s) 10:00):", ("De", "Enviado", "Para", "Assunto"), "Enviado do meu iPhone"),
    "pl": ("Drugi węzeł nadal zwraca 503.", f"pon., 2 mar 2026 o 10:00 {D} napisał(a):", ("Od", "Wysłano", "Do", "Temat"), "Wysłane z iPhone'a"),
    "sv": ("Den andra noden svarar fortfarande 503.", f"Den mån 2 mars 2026 kl 10:00 skrev {D}:", ("Från", "Skickat", "Till", "Ämne"), "Skickat från min iPhone"),
    "ru": ("Второй узел всё ещё отвечает 503.", f"пн, 2 мар. 2026 г. в 10:00, {D}:", ("От", "Отправлено", "Кому", "Тема"), "Отправлено с iPhone"),
    "ja": ("二番目のノードはまだ503です。", f"2026年3月2日(月) 10:00 {D}:", ("差出人", "送信日時", "宛先", "件名"), "iPhoneから送信"),
    "zh": ("第二个节点仍然返回503。", "Support Desk <support@desk.example> 于2026年3月2日周一 10:00写道：", ("发件人", "发送时间", "收件人", "主题"), "发自我的iPhone"),
    "ar": ("العقدة الثانية ما زالت ترد 503.", f"في الاثنين، 2 مارس 2026 في 10:00 ص تمت كتابة ما يلي بواسطة {D}:", ("من", "تاريخ الإرسال", "إلى", "الموضوع"), "تم الإرسال من iPhone"),
}  # fmt: skip

APPLE = {
    "tr": "Support Desk <support@desk.example> şunları yazdı (2 Mar 2026 10:00):",
    "de": f"Am 02.03.2026 um 10:00 schrieb {D}:",
    "fr": f"Le 2 mars 2026 à 10:00, {D} a écrit :",
    "es": f"El 2 mar 2026, a las 10:00, {D} escribió:",
    "it": f"Il giorno 2 mar 2026, alle ore 10:00, {D} ha scritto:",
    "nl": f"Op 2 mrt 2026 om 10:00 heeft {D} het volgende geschreven:",
    "pt": f"No dia 2 de mar. de 2026, às 10:00, {D} escreveu:",
    "pl": f"Wiadomość napisana przez {D} w dniu 2 mar 2026, o godz. 10:00:",
    "sv": f"2 mars 2026 kl. 10:00 skrev {D}:",
    "ru": f"2 марта 2026 г., в 10:00, {D} написал(а):",
    "ja": f"2026/03/02 10:00、{D}のメール:",
    "zh": f"在 2026年3月2日，10:00，{D} 写道：",
    "ar": f"في ٢ مارس ٢٠٢٦، الساعة ١٠:٠٠، كتب {D}:",
}


def _outlook(labels: tuple[str, ...], colon: str = ":") -> str:
    values = (D, "2 03 2026 10:00", "Ayse Kaya <ayse@kunde.example>", "RE: [INC-1042] Login fails")
    return "\n".join(f"{label}{colon} {value}" for label, value in zip(labels, values, strict=True))


CASES = [
    *(reply(f"gmail, {name}", f"{new}\n\n{above}\n\n{Q}\n", new, old=("failing logins", "Mehmet", "Support Desk")) for name, (new, above, _, _) in SAID.items()),
    *(reply(f"apple, {name}", f"{SAID[name][0]}\n\n{SAID[name][3]}\n\n> {above}\n> \n{Q}\n", SAID[name][0], old=("failing logins", "iPhone", "Support Desk")) for name, above in APPLE.items()),
    *(reply(f"apple, {name}, attribution outside the quote", f"{SAID[name][0]}\n\n{above}\n\n{Q}\n", SAID[name][0], old=("failing logins", "Support Desk")) for name, above in APPLE.items()),
    *(reply(f"outlook, {name}", f"{new}\n\n{_outlook(labels, '：' if name in ('zh', 'ja') else ' :' if name == 'fr' else ':')}\n\n{OLD}\n", new, old=("failing logins", "Support Desk")) for name, (new, _, labels, _) in SAID.items()),
    *(reply(f"outlook html, {name}", f"<p>{new}</p><div style='border-top:solid'><p>" + _outlook(labels).replace("<", "&lt;").replace("\n", "<br>\n") + f"</p></div><p>{OLD}</p>", new, is_html=True, old=("failing logins", "Support Desk")) for name, (new, _, labels, _) in SAID.items()),
    reply("thunderbird, tr", f"Tamamdır.\n\n2.03.2026 10:00 tarihinde Support Desk yazdı:\n{Q}\n", "Tamamdır."),
    reply("outlook, tr, longer labels", f"Evet.\n\nGönderen: {D}\nGönderilme Tarihi: 2 Mart 2026 Pazartesi 10:00\nAlıcı: Ayşe\nBilgi: Can\nKonu: Re: x\n\n{OLD}\n", "Evet."),
    reply("original message, tr", f"Evet.\n\n-----Özgün İleti-----\nKimden: {D}\nGönderme: 2 Mart 2026\nKime: Ayşe\nKonu: x\n\n{OLD}\n", "Evet."),
    reply("original message, de", f"Ja.\n\n-----Ursprüngliche Nachricht-----\nVon: {D}\nGesendet: Montag, 2. März 2026 10:00\nAn: Ayse\nBetreff: x\n\n{OLD}\n", "Ja."),
    reply("qq mail, zh", f"好的。\n\n\n------------------ 原始邮件 ------------------\n发件人: \"support\"<support@desk.example>;\n发送时间: 2026年3月2日(星期一) 上午10:00\n收件人: \"Ayse\"<ayse@kunde.example>;\n主题: x\n\n{OLD}\n", "好的。"),
    reply("163, zh", f"好的。\n\n在 2026-03-02 10:00:00，\"Support Desk\" <support@desk.example> 写道：\n\n>{OLD}\n", "好的。"),
    reply("cs", f"Ano, funguje.\n\npo 2. 3. 2026 v 10:00 odesílatel {D} napsal:\n\n{Q}\n", "Ano, funguje."),
    reply("fi", f"Kyllä toimii.\n\nma 2. maalisk. 2026 klo 10.00 {D} kirjoitti:\n\n{Q}\n", "Kyllä toimii."),
    reply("da", f"Ja det virker.\n\nDen man. 2. mar. 2026 kl. 10.00 skrev {D}:\n\n{Q}\n", "Ja det virker."),
    reply("hu", f"Igen, jó.\n\n{D} ezt írta (időpont: 2026. márc. 2., H, 10:00):\n\n{Q}\n", "Igen, jó."),
    reply("ko", f"네, 됩니다.\n\n2026년 3월 2일 (월) 오전 10:00, {D}님이 작성:\n\n{Q}\n", "네, 됩니다."),
    reply("el", f"Ναι, λειτουργεί.\n\nΣτις Δευ 2 Μαρ 2026 στις 10:00 π.μ., ο χρήστης {D} έγραψε:\n\n{Q}\n", "Ναι, λειτουργεί."),
    reply("he", f"כן, עובד.\n\n‫בתאריך יום ב׳, 2 במרץ 2026 ב-10:00 מאת ‪Support Desk‬‏ <‪support@desk.example‬‏>:‬\n\n{Q}\n", "כן, עובד."),
    reply("vi", f"Được rồi.\n\nVào Th 2, 2 thg 3, 2026 vào lúc 10:00 {D} đã viết:\n\n{Q}\n", "Được rồi."),
]  # fmt: skip
