"""An upload is what its name says, is kept under a random name, and leaves as a download that cannot act."""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import path

from portal.uploads import ALLOWED, clean_name, random_name, serve_attachment, validate_upload

pytestmark = pytest.mark.urls(__name__)


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, "<x/>")
    return buffer.getvalue()


PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
JPG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(64)
GIF = b"GIF89a" + bytes(32)
PDF = b"%PDF-1.7\n1 0 obj\n"
ZIP = archive("log.txt")
HTML = b"<!doctype html><script>alert(1)</script>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
GOOD = {
    "graph.png": PNG,
    "photo.jpg": JPG,
    "photo.JPEG": JPG,
    "exif.jpg": b"\xff\xd8\xff\xe1\x00\x10Exif\x00\x00" + bytes(64),
    "a.gif": GIF,
    "a.webp": b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(32),
    "report.pdf": PDF,
    "logs.zip": ZIP,
    "logs.tar.gz": gzip.compress(b"x"),
    "logs.tgz": gzip.compress(b"x"),
    "plan.docx": archive("[Content_Types].xml", "word/document.xml"),
    "costs.xlsx": archive("[Content_Types].xml", "xl/workbook.xml"),
    "talk.pptx": archive("[Content_Types].xml", "ppt/presentation.xml"),
    "screen.mp4": b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
    "app.log": "12:00 büyük hata\n".encode(),
    "latin.log": "büyük".encode("latin-1"),
    "windows.log": "büyük".encode("utf-16"),
    "rows.csv": b"a;b\n1;2\n",
    "trace.har": b'{"log": {}}',
    "data.json": b'{"a": 1}',
    "notes.md": b"# x",
    "values.yaml": b"a: 1\n",
    "mail.eml": b"From: ada@example.com\n\nHello",
    "page.html.txt": HTML,  # text, and served as text
}
BAD = {
    "page.html": HTML,
    "page.HTM": HTML,
    "picture.svg": SVG,
    "feed.xml": b"<?xml version='1.0'?><a/>",
    "code.js": b"alert(1)",
    "tool.exe": b"MZ\x90\x00",
    "run.sh": b"#!/bin/sh\n",
    "noextension": b"x",
    ".png": PNG,
    "graph.png.html": PNG,
    "graph.png\x00.html": PNG,
    "picture.png": HTML,
    "picture.jpg": PNG,
    "picture.gif": SVG,
    "report.pdf": HTML,
    "tool.zip": b"MZ\x90\x00" + bytes(64),
    "tool.txt": b"MZ\x90\x00" + bytes(64),
    "plan.docx": PDF,
    "logs.gz": ZIP,
    "screen.mp4": b"not a film",
}


def upload(name: str, content: bytes, content_type: str = "image/png") -> SimpleUploadedFile:
    file = SimpleUploadedFile("x", content, content_type)
    file._name = name  # past the cleaning that Django does itself: mails and tests of the API bring any name
    return file


@pytest.mark.parametrize("name", GOOD)
def test_a_file_of_an_allowed_kind_passes(name: str) -> None:
    file = upload(name, GOOD[name])
    checked = validate_upload(file)
    assert checked.name == name
    assert checked.content_type == ALLOWED["." + name.rsplit(".", 1)[1].lower()]
    assert file.read() == GOOD[name]  # the check leaves the file at its beginning


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("claimed", ["image/png", "text/plain", "text/html"])
def test_a_file_of_another_kind_is_refused_whatever_type_it_claims(name: str, claimed: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        validate_upload(upload(name, BAD[name], claimed))
    assert refusal.value.code in ("kind", "content")
    assert clean_name(name) in refusal.value.messages[0]


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(ValidationError, match="empty"):
        validate_upload(upload("app.log", b""))


def test_a_file_may_be_as_large_as_the_limit_and_no_larger(settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES = 25 * 1024 * 1024
    assert validate_upload(upload("app.log", b"x" * settings.UPLOAD_MAX_BYTES)).name == "app.log"
    with pytest.raises(ValidationError, match="larger than 25"):
        validate_upload(upload("app.log", b"x" * (settings.UPLOAD_MAX_BYTES + 1)))


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("..\\..\\windows\\system.log", "system.log"),
        ("/home/ada/a.png", "a.png"),
        ("C:\\fakepath\\a.png", "a.png"),
        ("a\r\nSet-Cookie: x=1.txt", "a__Set-Cookie_ x=1.txt"),
        ("a\x00.png", "a_.png"),
        ("a\u2028b\u2029.png", "a_b_.png"),
        ("invoice\u202egnp.exe", "invoicegnp.exe"),
        ("ze\u200bro.txt", "zero.txt"),
        ('a"b<c>|?*:.txt', "a_b_c_.txt"),
        ("  .. spaced   out .txt", "spaced out.txt"),
        ("trailing.txt. . ", "trailing.txt"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("LPT1.tar.gz", "_LPT1.tar.gz"),
        ("com¹.txt", "_com¹.txt"),
        ("console.txt", "console.txt"),
        ("rapor-büyüme-日本.pdf", "rapor-büyüme-日本.pdf"),
        ("u\u0308ber.txt", "über.txt"),
        ("\ud800.txt", "_.txt"),
        ("", "file"),
        ("...", "file"),
        ("/", "file"),
    ],
)
def test_a_name_is_cleaned(sent: str, shown: str) -> None:
    assert clean_name(sent) == shown
    assert clean_name(shown) == shown


@pytest.mark.parametrize("sent", ["x" * 400 + ".txt", "ü" * 255 + ".docx", "x" * 300, "a." + "y" * 300])
def test_a_long_name_is_cut_and_keeps_its_extension(sent: str) -> None:
    shown = clean_name(sent)
    assert len(shown) <= 150
    if sent.endswith((".txt", ".docx")):
        assert shown.endswith(sent[-5:].lstrip("x"))


def test_stored_names_are_random_and_tell_nothing() -> None:
    names = {random_name() for _ in range(100)}
    assert len(names) == 100
    assert all(len(name) == 32 and set(name) <= set("0123456789abcdef") for name in names)


def serve(request: HttpRequest) -> HttpResponseBase:
    name, content_type = request.GET["name"], request.GET["type"]
    return serve_attachment(io.BytesIO(HTML), name, content_type)


urlpatterns = [path("serve", serve)]


def served(client: Client, name: str, content_type: str) -> Any:
    response = client.get("/serve", {"name": name, "type": content_type})
    assert b"".join(response.streaming_content) == HTML  # type: ignore[attr-defined]
    return response


def test_a_served_file_cannot_act_even_behind_our_own_middleware(client: Client) -> None:
    response = served(client, "page.txt", "text/plain")
    assert response["Content-Type"] == "application/octet-stream"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert response["Cache-Control"] == "private, no-store"
    assert response["Content-Disposition"] == 'attachment; filename="page.txt"'


@pytest.mark.parametrize(
    "said", ["text/plain", "text/html", "image/svg+xml", "application/json", "message/rfc822", "x/y", ""]
)
def test_a_type_that_a_browser_might_run_is_served_as_mere_bytes(client: Client, said: str) -> None:
    response = served(client, "page.txt", said)
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("said", ["image/png", "application/pdf"])
def test_a_harmless_type_is_said(client: Client, said: str) -> None:
    response = served(client, "x", said)
    assert response["Content-Type"] == said


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("rapor büyüme.pdf", "attachment; filename*=utf-8''rapor%20b%C3%BCy%C3%BCme.pdf"),
        ('a"b.pdf', 'attachment; filename="a_b.pdf"'),
        ("a\r\nX-Evil: 1.pdf", 'attachment; filename="a__X-Evil_ 1.pdf"'),
        ("../../a.pdf", 'attachment; filename="a.pdf"'),
    ],
)
def test_the_name_travels_as_rfc_6266_wants(client: Client, name: str, header: str) -> None:
    response = served(client, name, "application/pdf")
    assert response["Content-Disposition"] == header
    assert "X-Evil" not in response.headers
