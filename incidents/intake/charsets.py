"""Bytes of a mail as text, whatever they are called. PURE.

What a sender says of the charset is often wrong: nothing here fails, and what could not be read becomes
U+FFFD. Labels are widened as browsers widen them (WHATWG Encoding Standard): Latin-1 means Windows-1252.
"""

from __future__ import annotations

import codecs
import re

FALLBACK = "cp1254"  # Windows-1252 with Turkish letters in the place of Icelandic ones

_WIDER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "iso2022_jp": "iso2022_jp_ext",
    "tis-620": "cp874",
    "iso8859-11": "cp874",
}
_ALIASES = {
    "x-sjis": "cp932",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "unicode-1-1-utf-7": "utf-7",
    "x-mac-turkish": "mac_turkish",
    "x-unknown": "",
    "unknown-8bit": "",
    "default": "",
    "utf8mb4": "utf-8",
}
_NOT_CHARSETS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\ud800-\udfff]")
_C1 = re.compile("[\x80-\x9f]")
_ICELANDIC = re.compile("[ÐÝÞðýþ]")
_ICELANDIC_ONLY = re.compile("[ÆæÁÍÚ]")
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def codec_of(label: str) -> str:
    """The codec that reads a charset label; "" when it is not known, or names no charset of text."""
    label = label.strip().strip("\"'").lower()[:60]
    label = _ALIASES.get(label, label)
    if not label or "\0" in label:
        return ""
    try:
        info = codecs.lookup(label)
    except (LookupError, UnicodeError, ValueError):
        return ""
    if info.name.replace("-", "_") in _NOT_CHARSETS or not getattr(info, "_is_text_encoding", True):
        return ""
    return _WIDER.get(info.name, info.name)


def decode(data: bytes, label: str = "") -> tuple[str, str]:
    """The text of `data`, and a notice or "". Never fails; controls, NULs and lone surrogates are gone."""
    text, notice = _decode(data, label)
    return clean(text), notice


def _decode(data: bytes, label: str) -> tuple[str, str]:
    for bom, name in _BOMS:
        if data.startswith(bom):
            return data.decode(name, "replace"), ""
    codec = codec_of(label)
    if codec.startswith(("utf-16", "utf-32", "utf-7", "iso2022", "hz")):
        return _strictly_or_not(data, codec)
    if data.isascii():
        return data.decode("ascii"), ""
    if _is_utf8(data):
        wrong = codec not in ("", "utf-8") and f"The text says {codec}, but is UTF-8."
        return data.decode("utf-8"), wrong or ""
    if codec and codec != "utf-8":
        return _strictly_or_not(data, codec)
    return _guess(data, label)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _guess(data: bytes, label: str) -> tuple[str, str]:
    """Said to be UTF-8 and mostly so: keep the good; else our fallback."""
    text = data.decode("utf-8", "replace")
    high = sum(byte > 127 for byte in data[:100_000])
    if text[:100_000].count("\ufffd") * 4 <= high:
        return text, "Some characters could not be read."
    said = f"is not in the charset it names ({label[:40]})" if label else "does not name its charset"
    return data.decode(FALLBACK, "replace"), f"The text {said}; it was read as Western or Turkish."


def _strictly_or_not(data: bytes, codec: str) -> tuple[str, str]:
    try:
        text = data.decode(codec)
    except (UnicodeError, ValueError):
        return data.decode(codec, "replace"), "Some characters could not be read."
    if codec == "cp1252" and _ICELANDIC.search(text) and not _ICELANDIC_ONLY.search(text):
        return data.decode(FALLBACK, "replace"), ""  # Turkish that calls itself Latin-1 is common
    return text, ""


def clean(text: str) -> str:
    """Line ends as \\n; no NUL, no other control but tab, no byte-order mark, no lone surrogate."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n\n")
    return _C1.sub("", _CONTROLS.sub("", text.replace("\x85", "\n").replace("\xa0", " ")))
