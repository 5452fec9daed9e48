"""Attachments, inline images, attached mails, and how mails are put together of parts."""

from tests.corpus.build import ASKED, OLD, OLD_WORDS, Case, head, html, multi, part, text

PNG = b"\x89PNG\r\n\x1a\n0000"
SAYS = part("See the picture of the error.\n")
RICH = "text/html; charset=utf-8"


def attached(
    name: str,
    parts: list[bytes],
    *files: tuple[str, bool],
    kind: str = "mixed",
    new: tuple[str, ...] = ("See the picture of the error.",),
    **more,
) -> Case:
    return Case(
        f"files: {name}",
        multi(parts, kind, extra=more.pop("extra", "")),
        new=new,
        files=files,
        thread=(ASKED, ASKED),
        **more,
    )


def image(name: str = "", cid: str = "", how: str = "") -> bytes:
    extra = f"Content-ID: <{cid}>\n" if cid else ""
    extra += f'Content-Disposition: {how}; filename="{name}"\n' if how else ""
    return part(PNG, f'image/png; name="{name}"' if name else "image/png", extra)


def named(name: str, disposition: str, expected: str, kind: str = "application/pdf") -> Case:
    return attached(
        name, [SAYS, part(b"%PDF-1.7", kind, f"Content-Disposition: {disposition}\n")], (expected, False)
    )


CASES = [
    attached("an attachment", [SAYS, image("error.png", how="attachment")], ("error.png", False)),
    attached("a name in the type only", [SAYS, part(b"%PDF", 'application/pdf; name="plan.pdf"')], ("plan.pdf", False)),
    attached("no name at all", [SAYS, part(b"%PDF", "application/pdf")], ("attachment-1.pdf", False)),
    attached("several, one empty", [SAYS, image("a.png", how="attachment"), part(b"", "text/csv", 'Content-Disposition: attachment; filename="empty.csv"\n')], ("a.png", False), ("empty.csv", False)),
    attached("a text file", [SAYS, part("log line 1\n", "text/plain; charset=utf-8", 'Content-Disposition: attachment; filename="node.log"\n')], ("node.log", False), old=("log line 1",)),
    attached("a text file that is inline and named", [SAYS, part("log line 1\n", 'text/plain; name="node.log"', "Content-Disposition: inline\n")], ("node.log", False), old=("log line 1",)),
    attached("an inline image", [part('<p>See the picture of the error.<img src="cid:one@x"></p>', RICH), image("error.png", "one@x", "inline")], ("error.png", True), kind="related"),
    attached("an inline image beside two alternatives", [multi([SAYS, multi([part('See the picture of the error. <img src="cid:one@x">', RICH), image("error.png", "one@x", "inline")], "related", "")], "alternative", "")], ("error.png", True)),
    attached("an inline image called an attachment", [part('<p>See the picture of the error.<img src="cid:one@x"></p>', RICH), image("error.png", "one@x", "attachment")], ("error.png", True)),
    attached("an attachment that has a Content-ID", [SAYS, image("error.png", "one@x", "attachment")], ("error.png", False)),
    attached("an inline image without a name", [part('<p>See the picture of the error.<img src="cid:one@x"></p>', RICH), image(cid="one@x")], ("image-1.png", True), kind="related"),
    attached("related with start", [image("a.png", "a@x", "inline"), part('See the picture of the error.<img src="cid:a@x">', RICH, "Content-ID: <root@x>\n")], ("a.png", True), kind="related", extra='; start="<root@x>"; type="text/html"'),
    attached("text, file, text", [SAYS, image("error.png", how="attachment"), part("And one word more.\n")], ("error.png", False), new=("See the picture of the error.", "And one word more.")),
    attached("apple: html between files", [multi([SAYS, multi([part("See the picture of the error.", RICH), image("error.png", how="inline"), part("<br>", RICH)], "mixed", "")], "alternative", "")], ("error.png", False)),
    attached("an attached mail", [SAYS, part(f"From: probe@monitor.example\nSubject: node-b is down\nContent-Type: text/plain\n\nIt answers {OLD}\n".encode(), "message/rfc822")], ("node-b is down.eml", False), old=OLD_WORDS),
    attached("an attached mail with a name", [SAYS, part(b"Subject: x\n\ny", "message/rfc822", 'Content-Disposition: attachment; filename="evidence.eml"\n')], ("evidence.eml", False)),
    attached("an attached mail with files of its own", [SAYS, part(multi([part("inner words"), image("inner.png", how="attachment")], header="Subject: outer\n"), "message/rfc822")], ("outer.eml", False), old=("inner words",)),
    attached("winmail.dat", [SAYS, part(b"\x78\x9f\x3e\x22", 'application/ms-tnef; name="winmail.dat"', 'Content-Disposition: attachment; filename="winmail.dat"\n')], ("winmail.dat", False)),
    attached("signed", [SAYS, part(b"-----BEGIN PGP SIGNATURE-----", 'application/pgp-signature; name="signature.asc"')], kind="signed", extra='; protocol="application/pgp-signature"'),
    attached("signed with s/mime", [SAYS, part(b"0", 'application/pkcs7-signature; name="smime.p7s"')], kind="signed"),
    attached("encrypted", [part(b"Version: 1", "application/pgp-encrypted"), part(b"-----BEGIN PGP MESSAGE-----", 'application/octet-stream; name="encrypted.asc"')], ("attachment-1.bin", False), ("encrypted.asc", False), kind="encrypted", new=(), notices=("encrypted",)),
    attached("a contact card", [SAYS, part("BEGIN:VCARD", 'text/vcard; name="ayse.vcf"')], ("ayse.vcf", False)),
    attached("a digest", [part(b"Subject: one\n\nfirst", "message/rfc822")], ("one.eml", False), kind="digest", new=()),
    Case("files: the whole mail is a file", head().encode() + part(b"%PDF-1.7", 'application/pdf; name="scan.pdf"'), files=(("scan.pdf", False),), thread=(ASKED, ASKED)),
    Case("files: a picture within the html", html('<p>Look:</p><img src="data:image/png;base64,iVBORw0KGgowMDAwMDAwMDAw" alt="">'), new=("Look:",), files=(("image-1.png", True),), thread=(ASKED, ASKED)),
    named("rfc 2231", "attachment; filename*=utf-8'tr'%C5%9Fifre%20hatas%C4%B1.pdf", "şifre hatası.pdf"),
    named("rfc 2231 in pieces", "attachment; filename*0*=utf-8''%C5%9Fifre; filename*1=\"-list\"; filename*2=\".pdf\"", "şifre-list.pdf"),
    named("rfc 2231 beside the plain name", "attachment; filename=\"sifre.pdf\"; filename*=utf-8''%C5%9Fifre.pdf", "şifre.pdf"),
    named("rfc 2047 in a parameter", 'attachment; filename="=?utf-8?q?=C5=9Fifre.pdf?="', "şifre.pdf"),
    named("raw utf-8", 'attachment; filename="şifre.pdf"', "şifre.pdf"),
    named("quoted quotes", 'attachment; filename="a \\"b\\".pdf"', 'a "b".pdf'),
    named("not quoted", "attachment; filename=plan v2.pdf", "plan v2.pdf"),
    named("a path", 'attachment; filename="../../etc/passwd"', "../../etc/passwd"),
    named("a line break", "attachment; filename*=utf-8''a%0D%0AX-Evil%3A%20b.pdf", "a X-Evil: b.pdf"),
    Case("html: list, link, entities, nothing hidden", html("<style>p{color:red}</style><p>Steps &amp; results:</p><ol><li>open <a href='https://kunde.example/login'>the page</a></li><li>wait&nbsp;10&lt;20</li></ol><ul><li>one<ul><li>two</li></ul></li></ul><div style='display:none'>preheader words</div><script>alert(1)</script><p hidden>secret words</p><p>Write to <a href='mailto:ops@kunde.example'>ops@kunde.example</a></p>", head("Login", replies_to=None)),
         new=("Steps & results:", "1. open the page (https://kunde.example/login)", "2. wait 10<20", "- one", "- two", "Write to ops@kunde.example"), old=("preheader words", "secret words", "alert", "color", "mailto")),
    Case("html: a table", html("<table><tr><th>node</th><th>code</th></tr><tr><td>node-b</td><td>503</td></tr></table>", head("Login", replies_to=None)), new=("node | code", "node-b | 503")),
    Case("html: pre keeps its lines", html("<p>Log:</p><pre>line one\n  line two\n\nline three</pre><p>End</p>", head("Log", replies_to=None)), new=("line one", "line two", "line three", "End")),
    Case("html: unclosed and wrong", html("<p>one<b>two<p>three</i></table><td>four<div>five", head("x", replies_to=None)), new=("one", "two", "three", "four", "five")),
    Case("html: conditional comments of word", html("<p>one<!--[if mso]><b>two</b><![endif]--><![if !supportLists]>three<![endif]></p><o:p>four</o:p>", head("x", replies_to=None)), new=("one", "three", "four")),
    Case("html: charset in meta only", head().encode() + b"Content-Type: text/html\n\n<html><head><meta charset='windows-1254'></head><body>\xfeifre \xe7al\xfd\xfem\xfdyor</body></html>", new=("şifre çalışmıyor",), thread=(ASKED, ASKED)),
    Case("html: an emphasis inside a word", html("<p>un<b>break</b>able</p><p>a<br>b</p>", head("x", replies_to=None)), new=("unbreakable", "a b")),
    attached("the plain text only says that there is html", [part("Please view this message in an HTML capable mail reader."), part("<p>See the picture of the error.</p>", RICH)], kind="alternative"),
    attached("the plain text is empty", [part(" \n"), part("<p>See the picture of the error.</p>", RICH)], kind="alternative"),
    attached("html comes first", [part("<p>rich</p>", RICH), SAYS], kind="alternative", old=("rich",)),
    Case("files: enriched text", text("<bold>Nobody</bold> can log in.\n").replace(b"text/plain", b"text/enriched"), new=("Nobody can log in.",), thread=(ASKED, ASKED)),
]  # fmt: skip
