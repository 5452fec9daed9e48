"""What is recorded: sign-ins, factors, settings, people, tokens, reads; once each, and nothing for ordinary pages."""

import json

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.urls import reverse

from incidents.models import InboundMessage
from portal import audit_words, pdf
from portal.audit import record
from portal.audit_wires import OF_ORGANISATIONS
from portal.models import AuditEntry, Membership, Organisation, Team, User
from tests.conftest import T0
from tests.factories import PASSWORD, incident
from tests.incidents.test_stranger import Writes


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""
    with time_machine.travel(T0, tick=True):
        yield


@pytest.fixture
def told(db):
    """The kinds that were recorded since."""
    start = AuditEntry.objects.count()

    def kinds():
        return list(AuditEntry.objects.order_by("pk").values_list("kind", flat=True))[start:]

    return kinds


def last(kind):
    return AuditEntry.objects.filter(kind=kind).latest("pk")


def sign_in(client, email, password=PASSWORD):
    return client.post(reverse("account_login"), {"login": email, "password": password})


# --- kinds ---


def test_an_undeclared_kind_is_refused(db):
    with pytest.raises(ValueError, match="audit_words"):
        record("something_new", by=None, now=T0)
    assert not AuditEntry.objects.filter(kind="something_new").exists()


def test_each_kind_has_a_group_and_a_sentence():
    for name, kind in audit_words.KINDS.items():
        assert kind.group in audit_words.GROUPS, name
        assert str(kind.sentence), name
    assert not {"settings_changed", "staff_limited", "purge_opened"} & set(audit_words.public_kinds())


# --- sign-in ---


def test_a_sign_in_is_recorded_with_its_method_and_origin(client, a1, acme):
    sign_in(client, a1.email)
    entry = last("signed_in")
    assert (entry.by, entry.organisation, entry.subject) == (a1, acme, f"person/{a1.pk}")
    assert entry.facts == {"methods": ["password"]}
    assert entry.origin.address == "127.0.0.1"
    client.post(reverse("account_logout"))
    assert last("signed_out").by == a1


def test_somebody_of_two_organisations_is_told_to_both(client, a1, acme, nordwind):
    Membership.objects.create(user=a1, organisation=nordwind, role="viewer")
    sign_in(client, a1.email)
    found = AuditEntry.objects.filter(kind="signed_in").order_by("pk")
    assert [entry.organisation for entry in found] == [acme, nordwind]


def test_a_failed_sign_in_names_a_known_person_and_no_unknown_address(client, a1, acme, told):
    before = told()
    sign_in(client, a1.email.upper(), "wrong-wrong")
    entry = last("sign_in_failed")
    assert (entry.by, entry.organisation, entry.subject) == (None, acme, f"person/{a1.pk}")
    for _ in range(2):
        sign_in(client, "nobody@acme.example", "wrong-wrong")
    assert told() == [*before, *["sign_in_failed"] * 3]
    unknown = AuditEntry.objects.filter(kind="sign_in_failed", subject="")
    assert [entry.organisation for entry in unknown] == [None, None]
    assert len({json.dumps(entry.facts) for entry in unknown}) == 1
    assert "nobody" not in json.dumps(unknown[0].facts)
    assert "wrong-wrong" not in json.dumps(list(AuditEntry.objects.values_list("facts", flat=True)))


def code(secret):
    counter = next(yield_hotp_counters_from_time())
    return format_hotp_value(hotp_value(secret, counter))


def test_second_factors_are_recorded(client, a1, told):
    sign_in(client, a1.email)
    secret = "JBSWY3DPEHPK3PXP"
    TOTP.activate(a1, secret)
    RecoveryCodes.activate(a1)
    client.post(reverse("account_logout"))
    sign_in(client, a1.email)
    client.post(reverse("mfa_authenticate"), {"code": "000000"})
    assert last("sign_in_failed").facts.keys() == {"method"}
    recovery = Authenticator.objects.get(user=a1, type="recovery_codes").wrap().get_unused_codes()[0]
    client.post(reverse("mfa_authenticate"), {"code": recovery})
    assert {"recovery_code_used", "signed_in"} <= set(told())
    assert last("signed_in").facts == {"methods": ["password", "mfa"]}
    client.post(reverse("mfa_reauthenticate"), {"code": code(secret)})
    assert "reauthenticated" in told()
    client.post(reverse("mfa_deactivate_totp"))
    removed = AuditEntry.objects.filter(kind="factor_removed").order_by("pk")
    assert [entry.facts for entry in removed] == [{"type": "totp"}, {"type": "recovery_codes"}]


def test_a_changed_password_is_recorded(client, a1):
    sign_in(client, a1.email)
    new = "another-horse-7"
    data = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert client.post(reverse("account_change_password"), data).status_code == 302
    assert last("password_changed").by == a1
    assert new not in json.dumps(list(AuditEntry.objects.values_list("facts", flat=True)))


def test_a_second_factor_that_staff_remove_is_recorded(client, root, a1, acme):
    factor = Authenticator.objects.create(user=a1, type="totp", data={"secret": "x"})
    client.force_login(root)
    client.post(reverse("admin:mfa_authenticator_delete", args=[factor.pk]), {"post": "yes"})
    entry = last("factor_reset_by_staff")
    assert (entry.by, entry.organisation, entry.subject) == (root, acme, f"person/{a1.pk}")


# --- settings and rights ---


def test_a_setting_names_its_row_its_columns_and_its_history(client, h1, acme):
    client.force_login(h1)
    team = Team.objects.create(organisation=acme, name="Cards")
    assert last("settings_changed").facts["change"] == "added"
    team.name = "Payments"
    team.save()
    entry = last("settings_changed")
    assert (entry.organisation, entry.subject) == (acme, f"portal.team/{team.pk}")
    assert entry.facts == {
        "model": "portal.team", "history": team.history.latest().pk, "change": "changed", "fields": ["name"],
    }  # fmt: skip
    team.delete()
    assert last("settings_changed").facts["change"] == "removed"


def test_what_staff_change_of_an_organisation_on_the_desk_is_told_to_it(client, h1, acme):
    client.force_login(h1)
    data = {"name": "Acme", "slug": "acme", "language": "en", "time_zone": "Europe/Berlin", "is_active": "on"}
    for prefix in ("memberships", "subscriptions", "teams"):
        data |= {f"{prefix}-{key}": "0" for key in ("TOTAL_FORMS", "INITIAL_FORMS", "MIN_NUM_FORMS")}
    answer = client.post(reverse("admin:portal_organisation_change", args=[acme.pk]), data)
    assert answer.status_code == 302
    entry = last("organisation_settings_changed")
    assert (entry.by, entry.organisation) == (h1, acme)
    assert entry.facts["fields"] == ["time_zone"]
    assert entry.origin.address == "127.0.0.1"


def test_an_organisation_that_goes_takes_no_entry_with_it(db):
    gone = Organisation.objects.create(name="Gone", slug="gone")
    AuditEntry.objects.filter(organisation=gone)
    label = f"portal.organisation/{gone.pk}"
    assert AuditEntry.objects.filter(subject=label, facts__change="added").exists()


def test_the_models_of_organisations_exist():
    from django.apps import apps

    assert {apps.get_model(label)._meta.label_lower for label in OF_ORGANISATIONS} == OF_ORGANISATIONS


def test_a_person_changed_on_the_desk_is_recorded(client, root, g1, a1, acme):
    client.force_login(root)
    data = {
        "email": g1.email,
        "name": "New",
        "staff_role": "duty_manager",
        "is_staff": "on",
        "is_active": "on",
    }
    limits = {f"staff_limits-{key}": "0" for key in ("TOTAL_FORMS", "INITIAL_FORMS", "MIN_NUM_FORMS")}
    data |= {"daily_summary_hour": "8"} | limits
    assert client.post(reverse("admin:portal_user_change", args=[g1.pk]), data).status_code == 302
    entry = last("staff_changed")
    assert (entry.by, entry.subject, entry.organisation) == (root, f"person/{g1.pk}", None)
    assert (entry.facts["role_from"], entry.facts["role_to"]) == ("agent", "duty_manager")
    data = {"email": a1.email, "name": "New", "daily_summary_hour": "8"} | limits
    assert client.post(reverse("admin:portal_user_change", args=[a1.pk]), data).status_code == 302
    entry = last("person_changed")
    assert (entry.by, entry.organisation) == (root, acme)
    assert {"name", "is_active"} <= set(entry.facts["fields"])
    assert "New" not in json.dumps(entry.facts)
    assert not User.objects.get(pk=a1.pk).is_active


def test_a_token_of_the_command_is_recorded_without_the_token(a1, acme, capsys):
    call_command("create_api_token", a1.email, read_only=True)
    token = capsys.readouterr().out.strip()
    entry = last("token_created")
    assert (entry.by, entry.organisation) == (None, acme)
    assert entry.facts == {"scope": "read", "person": a1.pk, "days": 365, "service": None}
    assert token[:15] not in json.dumps(entry.facts) + entry.subject


# --- reads ---


def test_a_download_is_recorded_and_a_refused_one_is_not(client, a1, b1, acme, told):
    made = incident(a1, T0, files=[SimpleUploadedFile("a.txt", b"words")])
    file = made.attachments.get()
    to = f"{made.get_absolute_url()}attachments/{file.pk}/"
    before = told()
    client.force_login(b1)
    assert client.get(to).status_code == 404
    assert client.get(f"{made.get_absolute_url()}attachments/{file.pk + 99}/").status_code == 404
    assert told() == before
    client.force_login(a1)
    with Writes.noted() as writes:
        answer = client.get(to)
    assert (answer.status_code, b"".join(answer.streaming_content)) == (200, b"words")
    assert len(writes) == 2  # the entry and its origin
    entry = last("attachment_read")
    assert (entry.by, entry.organisation, entry.subject) == (a1, acme, f"incident/{made.reference}")
    assert entry.facts == {"attachment": file.pk}


def test_ordinary_pages_write_nothing(client, a1, g1):
    made = incident(a1, T0)
    for user, pages in ((a1, ["/", made.get_absolute_url(), "/status/"]), (g1, ["/admin/"])):
        client.force_login(user)
        client.get("/")
        with Writes.noted() as writes:
            for page in pages:
                assert client.get(page).status_code == 200
        assert [sql for sql in writes if "portal_audit" in sql] == []


def test_whole_mails_are_recorded(client, a1, g1, acme, monkeypatch):
    made = incident(a1, T0)
    mail = InboundMessage.objects.create(
        kind="mail", via="pipe", dedupe_key="x", received_at=T0, state="done", incident=made,
        raw=SimpleUploadedFile("m.eml", b"Subject: x\r\n\r\nx"),
    )  # fmt: skip
    client.force_login(g1)
    answer = client.get(reverse("admin:incidents_inboundmessage_raw", args=[mail.pk]))
    assert (answer.status_code, b"".join(answer.streaming_content)) == (200, b"Subject: x\r\n\r\nx")
    entry = last("original_read")
    assert (entry.by, entry.organisation, entry.facts) == (g1, acme, {"mail": mail.pk})


def test_reports_taken_away_are_recorded(client, a1, g1, acme, monkeypatch):
    incident(a1, T0)
    month = f"{T0:%Y-%m}"
    client.force_login(a1)
    assert client.get(reverse("incidents:report_csv", args=[month])).status_code == 200
    assert last("report_exported").facts == {"month": month, "format": "csv"}
    monkeypatch.setattr("incidents.report_pages.pdf_of", lambda *_args: b"%PDF")
    assert client.get(reverse("incidents:report_pdf", args=[month])).status_code == 200
    entry = last("report_exported")
    assert (entry.by, entry.organisation, entry.facts["format"]) == (a1, acme, "pdf")

    def unavailable(*_args):
        raise pdf.Unavailable

    before = AuditEntry.objects.count()
    monkeypatch.setattr("incidents.report_pages.pdf_of", unavailable)
    client.get(reverse("incidents:report_pdf", args=[month]))
    assert AuditEntry.objects.count() == before
    client.force_login(g1)
    assert client.get(reverse("incidents:report_all_csv", args=[month])).status_code == 200
    assert (last("reports_exported").by, last("reports_exported").organisation) == (g1, None)


def test_both_names_stand_where_somebody_looks_as_another(db, rf, g1, a1, acme):
    request = rf.get("/")
    request.impersonator = g1
    entry = record("attachment_read", by=a1, now=T0, organisation=acme, request=request)
    assert (entry.by, entry.on_behalf_of) == (g1, a1)
