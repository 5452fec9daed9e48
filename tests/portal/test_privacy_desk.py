"""Who may export, erase and change rules, and what each of them gets."""

import io
import json
import zipfile
from datetime import timedelta

import jsonschema
import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.utils import timezone

from incidents import actions
from portal import privacy_export
from portal.models import AuditEntry, Erasure, RetentionRule
from tests.conftest import T0
from tests.factories import PASSWORD, incident


@pytest.fixture
def signed_in(client):
    """Signed in by the password just now, as a page of its own asks it."""

    def sign_in(person):
        client.force_login(person)
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        return client

    return sign_in


@pytest.fixture
def thread(a1, a2, g1):
    made = incident(a1, T0, title="Mine", description="My report.")
    actions.reply(
        made, by=a1, now=T0 + timedelta(minutes=1), channel="portal", text="My words.",
        files=[SimpleUploadedFile("mine.txt", b"my file")],
    )  # fmt: skip
    actions.reply(
        made, by=a2, now=T0 + timedelta(minutes=2), channel="portal", text="Words of my manager.",
        files=[SimpleUploadedFile("theirs.txt", b"their file")],
    )  # fmt: skip
    actions.reply(made, by=g1, now=T0 + timedelta(minutes=3), channel="admin", text="Words of staff.")
    actions.add_note(made, by=g1, now=T0 + timedelta(minutes=4), channel="admin", text="Note about Ada One.")
    return made


def opened(content):
    return zipfile.ZipFile(io.BytesIO(content))


def test_a_person_gets_their_own_and_nothing_of_others(thread, a1, signed_in):
    answer = signed_in(a1).post("/profile/data/")
    content = b"".join(answer.streaming_content)
    archive = opened(content)
    data = json.loads(archive.read("data.json"))
    jsonschema.validate(data, json.loads(archive.read("schema.json")))
    [message] = data["tables"]["incidents.Message"]
    assert (message["text"], message["incident.reference"]) == ("My words.", thread.reference)
    assert data["tables"]["incidents.Incident"][0]["description"] == "My report."
    assert data["tables"]["portal.User"][0]["email"] == a1.email
    [attachment] = data["tables"]["incidents.Attachment"]
    assert archive.read(f"files/{attachment['file']}") == b"my file"
    everything = b"".join(archive.read(name) for name in archive.namelist()).decode()
    for others in (
        "Words of my manager",
        "their file",
        "theirs.txt",
        "Words of staff",
        "Note about",
        "Ali Two",
        "a2@acme",
        "Gül One",
        "g1@",
    ):
        assert others not in everything
    assert "md5$" not in everything
    assert AuditEntry.objects.get(kind="data_exported").by == a1


def test_the_page_asks_who_is_there(a1, client, thread):
    assert "/accounts/login/" in client.get("/profile/data/")["Location"]
    client.force_login(a1)
    for method in (client.get, client.post):
        assert "/reauthenticate/" in method("/profile/data/")["Location"]
    assert not AuditEntry.objects.filter(kind="data_exported").exists()


def test_whoever_looks_on_as_somebody_else_gets_nothing(a1, g1, rf, thread):
    from django.core.exceptions import PermissionDenied

    from portal.privacy_views import own_data

    request = rf.post("/profile/data/")
    request.user, request.impersonator = a1, g1
    with pytest.raises(PermissionDenied):
        own_data(request)


def test_the_command_writes_the_same_for_administrators_of_the_machine(thread, a1, tmp_path, capsys):
    call_command("export_person", a1.email.upper(), to=str(tmp_path))
    [path] = tmp_path.iterdir()
    assert str(path) in capsys.readouterr().out
    assert path.stat().st_mode & 0o077 == 0
    assert "My words." in opened(path.read_bytes()).read("data.json").decode()
    with pytest.raises(CommandError, match="Nobody here"):
        call_command("export_person", "no@body.example", to=str(tmp_path))


def test_memory_stays_bounded_by_writing_through(a1):
    assert isinstance(privacy_export._json(a1, T0), type(x for x in ()))


# --- the desk ---

PAGES = ["find/", "person/{}/", "person/{}/data/"]


@pytest.mark.parametrize("page", PAGES)
def test_only_administrators_come_to_the_pages(page, a1, a2, g1, h1, signed_in):
    for person in (g1, h1):
        assert signed_in(person).post(f"/admin/portal/erasure/{page.format(a1.pk)}").status_code == 403
    answer = signed_in(a2).post(f"/admin/portal/erasure/{page.format(a1.pk)}")
    assert answer.status_code in (302, 403)
    assert not Erasure.objects.exists()
    assert not AuditEntry.objects.filter(kind="data_exported").exists()


def test_an_administrator_previews_types_the_address_and_erases(a1, a2, root, thread, signed_in):
    client = signed_in(root)
    found = client.post("/admin/portal/erasure/find/", {"email": a1.email})
    page = found["Location"]
    shown = client.get(page).content.decode()
    assert "portal.Membership" in shown
    assert not Erasure.objects.exists()
    wrong = client.post(page, {"typed": a2.email, "reason": "asked"})
    assert (wrong.status_code, Erasure.objects.exists()) == (400, False)
    assert client.post(page, {"typed": a1.email, "reason": ""}).status_code == 400
    assert client.post(page, {"typed": a1.email, "reason": "asked by letter"}).status_code == 302
    assert Erasure.objects.get().person == a1
    assert f"Former user {a1.pk}" in client.get(page).content.decode()


def test_erasing_asks_for_the_password_again(a1, root, client):
    client.force_login(root)
    page = f"/admin/portal/erasure/person/{a1.pk}/"
    assert "/reauthenticate/" in client.get(page)["Location"]
    client.post(page, {"typed": a1.email, "reason": "x"})
    assert not Erasure.objects.exists()


def test_the_desk_says_what_is_in_the_way(a2, root, signed_in):
    client = signed_in(root)
    page = f"/admin/portal/erasure/person/{a2.pk}/"
    assert "The only manager of Acme" in client.get(page).content.decode()
    assert client.post(page, {"typed": a2.email, "reason": "asked"}).status_code == 400
    assert not Erasure.objects.exists()


def test_an_administrator_hands_out_the_data(a1, root, thread, signed_in):
    answer = signed_in(root).post(f"/admin/portal/erasure/person/{a1.pk}/data/")
    assert opened(b"".join(answer.streaming_content)).namelist()
    assert AuditEntry.objects.get(kind="data_exported").by == root


def test_retention_is_shown_tried_and_changed_by_administrators(root, h1, signed_in):
    assert signed_in(h1).get("/admin/portal/retentionrule/").status_code == 403
    assert (
        signed_in(h1).post("/admin/portal/retentionrule/kind/outbox_texts/", {"keep_days": 40}).status_code
        == 403
    )
    client = signed_in(root)
    assert "365" in client.get("/admin/portal/retentionrule/").content.decode()
    page = "/admin/portal/retentionrule/kind/outbox_texts/"
    tried = client.post(page, {"keep_days": 40, "preview": "1"}).content.decode()
    assert "Nothing has been changed yet" in tried
    assert not RetentionRule.objects.exists()
    assert client.post(page, {"keep_days": 3}).status_code == 400
    assert client.post(page, {"keep_days": 40}).status_code == 302
    assert RetentionRule.objects.get().keep_days == 40
    assert client.get("/admin/portal/retentionrule/kind/nothing/").status_code == 404
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        assert "/reauthenticate/" in client.post(page, {"keep_days": 50})["Location"]
