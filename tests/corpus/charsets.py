"""Charsets as they are named, misnamed and not named."""

import base64
import quopri

from tests.corpus.build import ASKED, Case, head

TURKISH = "Günaydın, şifre değişikliği çalışmıyor. İyi günler."


def charset(
    name: str,
    body: str,
    label: str | None,
    real: str,
    *,
    new: tuple[str, ...] | None = None,
    encoding: str = "8bit",
    notices: tuple[str, ...] = (),
) -> Case:
    data = body.encode(real)
    if encoding == "base64":
        data = base64.encodebytes(data)
    if encoding == "quoted-printable":
        data = quopri.encodestring(data)
    kind = "text/plain" + (f"; charset={label}" if label else "")
    raw = f"{head()}Content-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n\n".encode() + data + b"\n"
    return Case(
        f"charset: {name}",
        raw,
        new=new if new is not None else (body,),
        thread=(ASKED, ASKED),
        notices=notices,
    )


def subject(name: str, raw: bytes, expected: str) -> Case:
    fields = head().encode().replace(b"Re: [INC-1042] Login fails", raw)
    return Case(
        f"subject: {name}", fields + b"\nhello\n", new=("hello",), thread=(ASKED, ASKED), subject=expected
    )


CASES = [
    charset("utf-8", TURKISH, "utf-8", "utf-8"),
    charset("utf-8 in base64", TURKISH, "UTF-8", "utf-8", encoding="base64"),
    charset("utf-8 in quoted-printable", TURKISH, '"utf-8"', "utf-8", encoding="quoted-printable"),
    charset("windows-1254", TURKISH, "windows-1254", "cp1254"),
    charset("iso-8859-9", TURKISH, "iso-8859-9", "iso8859-9", encoding="quoted-printable"),
    charset("iso-8859-9 called iso-8859-1", TURKISH, "iso-8859-1", "iso8859-9"),
    charset("windows-1254 called windows-1252", TURKISH, "windows-1252", "cp1254"),
    charset("utf-8 called iso-8859-1", TURKISH, "iso-8859-1", "utf-8"),
    charset("utf-8 called us-ascii", TURKISH, "us-ascii", "utf-8"),
    charset("windows-1254 called utf-8", TURKISH, "utf-8", "cp1254", notices=("charset",)),
    charset("windows-1254 not named", TURKISH, None, "cp1254", notices=("does not name its charset",)),
    charset("utf-8 not named", TURKISH, None, "utf-8"),
    charset("an unknown name", TURKISH, "x-klingon", "utf-8"),
    charset("a name that is no charset", "hello", "rot13", "ascii"),
    charset("another codec that is no charset", "hello", "unicode_escape", "ascii"),
    charset("a codec that would read escapes", "şifre \\x41", "unicode_escape", "cp1254"),
    charset("windows-1252 with its quotes", "He said “no” – für 5 €.", "iso-8859-1", "cp1252"),
    charset("iso-8859-15", "Cela coûte 5 €, œuvre.", "iso-8859-15", "iso8859-15"),
    charset("icelandic stays icelandic", "Það er ekki í lagi, Ægir.", "iso-8859-1", "latin-1"),
    charset("iso-8859-2", "Żółw nie działa", "iso-8859-2", "iso8859-2"),
    charset("koi8-r", "Сервер не отвечает", "koi8-r", "koi8-r"),
    charset("windows-1251", "Сервер не отвечает", "windows-1251", "cp1251"),
    charset("iso-2022-jp", "サーバーが落ちました", "iso-2022-jp", "iso2022_jp"),
    charset("shift_jis", "サーバーが①落ちました", "shift_jis", "cp932"),
    charset("euc-jp", "サーバーが落ちました", "euc-jp", "euc_jp"),
    charset("big5", "伺服器沒有回應", "big5", "big5"),
    charset("gb2312 that is gbk", "服务器沒有响应", "gb2312", "gbk"),
    charset("gb18030", "服务器没有响应", "gb18030", "gb18030"),
    charset("euc-kr", "서버가 응답하지 않습니다", "ks_c_5601-1987", "cp949"),
    charset("windows-1256", "الخادم لا يستجيب", "windows-1256", "cp1256"),
    charset("windows-1255", "השרת לא עונה", "windows-1255", "cp1255"),
    charset("windows-1253", "Ο διακομιστής δεν απαντά", "windows-1253", "cp1253"),
    charset("utf-16", TURKISH, "utf-16", "utf-16", encoding="base64"),
    charset("utf-7", "Hi Mom -+Jjo--!", "utf-7", "ascii", new=("☺",)),
    charset("NULs and controls", "one\0two\x07three\x1b[0m", "utf-8", "utf-8", new=("onetwothree",)),
    subject("utf-8, b", b"=?UTF-8?B?w5xyw7xuIMOnYWzEscWfbcSxeW9y?=", "Ürün çalışmıyor"),
    subject("windows-1254, q", b"=?windows-1254?Q?=DC=FCr=FCn_=E7al=FD=FEm=FDyor?=", "Üürün çalışmıyor"),
    subject("two words, no space between", b"=?utf-8?q?=C3=9Cr=C3=BC?=\n =?utf-8?q?n?=", "Ürün"),
    subject("a letter cut between two words", b"=?utf-8?b?w5xyw7w=?= =?utf-8?q?=C5?= =?utf-8?q?=9F?=", "Ürüş"),
    subject("raw utf-8", "Ürün çalışmıyor".encode(), "Ürün çalışmıyor"),
    subject("raw windows-1254", "Ürün çalışmıyor".encode("cp1254"), "Ürün çalışmıyor"),
    subject("damaged base64", b"=?utf-8?b?w5xyw7xu*?= x", "Ürün x"),
    subject("an unknown charset", b"=?x-klingon?q?hello?=", "hello"),
    subject("a line break inside", b"=?utf-8?q?one=0D=0ABcc=3A_x=40y=2Eexample?=", "one Bcc: x@y.example"),
    subject("line separators inside", "one\u2028two\u2029three\u0085four".encode(), "one two three four"),
    subject("a mark that turns the direction", "pay \u202egpj.exe".encode(), "pay gpj.exe"),
    subject("folded", b"one\n two\n\tthree", "one two three"),
]  # fmt: skip
