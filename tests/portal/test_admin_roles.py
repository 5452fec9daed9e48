"""The admin's roles, cell by cell and by real requests; then its side doors."""

import json
from datetime import timedelta

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.db import transaction
from django.http import HttpResponse
from django.template.response import SimpleTemplateResponse
from django.urls import reverse

from incidents import actions
from incidents.desk import VIEWS
from incidents.models import (
    RCA,
    Alarm,
    Attachment,
    CannedText,
    InboundMessage,
    Shift,
    SLAPolicy,
    SLAPolicyVersion,
    SLATarget,
)
from maintenance.admin import VIEWS as WINDOW_VIEWS
from maintenance.models import MaintenancePlan
from portal import announcing, calendars
from portal.admin_base import RoleMixin
from portal.models import (
    BusinessCalendar,
    CalendarVersion,
    DeliveryAttempt,
    Endpoint,
    Erasure,
    GroupRole,
    IdentityProvider,
    Organisation,
    OrganisationDomain,
    OutboxMessage,
    OwnDay,
    RetentionRule,
    Service,
    SpecialDate,
    StaffLimit,
    Team,
    User,
)
from tests import alarm_senders
from tests.conftest import T0
from tests.factories import PASSWORD, agent, article, incident
from tests.incidents.test_stranger import Writes
from tests.maintenance import world as windows

# May they view, add, change, delete? Each model of the admin has its line here, or the test fails.
MATRIX = """
                              agent  duty   head   administrator
incidents.alarm               v---   v---   v---   v---
incidents.alarmsource         v---   v---   vac-   vac-
incidents.article             vac-   vac-   vac-   vac-
incidents.attachment          v---   v---   v---   v---
incidents.cannedtext          v---   vacd   vacd   vacd
incidents.communicationplan   v---   v---   vac-   vac-
incidents.inboundmessage      v---   v---   v---   v---
incidents.incident            va--   va--   va--   va--
incidents.rca                 v---   v---   v---   v---
incidents.shift               v---   vacd   vacd   vacd
incidents.slapolicy           v---   v---   vac-   vac-
incidents.slapolicyversion    v---   v---   vac-   vac-
incidents.supportplan         v---   v---   vac-   vac-
maintenance.freeze            va--   va--   va--   va--
maintenance.maintenanceplan   v---   v---   vac-   vac-
maintenance.maintenancewindow va--   va--   va--   va--
mfa.authenticator             ----   ----   ----   v--d
portal.auditentry             ----   ----   v---   v---
portal.announcement           vac-   vac-   vac-   vac-
portal.businesscalendar       v---   v---   vac-   vac-
portal.calendarversion        v---   v---   va--   va--
portal.endpoint               v---   v---   vac-   vac-
portal.erasure                ----   ----   ----   v---
portal.identityprovider       v---   v---   vac-   vac-
portal.organisation           v---   v---   vac-   vac-
portal.organisationdomain     v---   v---   vacd   vacd
portal.outboxmessage          v---   v---   v---   v---
portal.retentionrule          ----   ----   ----   v---
portal.service                v---   v---   vac-   vac-
portal.user                   v---   v---   v---   vac-
"""
# The same for the rows within another model's page (of those whose page may be changed at all).
INLINES = """
                                                agent  duty   head   administrator
incidents.article incidents.articleversion      v---   v---   v---   v---
incidents.communicationplan rules               v---   v---   vacd   vacd
incidents.communicationplan steps               v---   v---   vacd   vacd
incidents.communicationplan rules-2             v---   v---   vacd   vacd
incidents.communicationplan steps-2             v---   v---   vacd   vacd
incidents.communicationplan rules-3             v---   v---   vacd   vacd
incidents.communicationplan steps-3             v---   v---   vacd   vacd
incidents.slapolicyversion incidents.slatarget  v---   v---   vacd   vacd
portal.businesscalendar portal.calendarversion  v---   v---   v---   v---
portal.calendarversion portal.ownday            v---   v---   v---   v---
portal.calendarversion portal.specialdate       v---   v---   v---   v---
portal.identityprovider portal.grouprole        v---   v---   vacd   vacd
portal.organisation portal.membership           v---   v---   vacd   vacd
portal.outboxmessage portal.deliveryattempt     v---   v---   v---   v---
portal.organisation portal.servicesubscription  v---   v---   vacd   vacd
portal.organisation portal.team                 v---   v---   vacd   vacd
portal.user portal.stafflimit                   v---   v---   v---   vacd
"""
ACTIONS = """
                                   agent  duty  head  administrator
incidents.alarmsource make_token   no     no    yes   yes
incidents.attachment delete_file   no     no    no    yes
portal.endpoint make_a_new_secret  no     no    yes   yes
portal.endpoint send_a_test        no     no    yes   yes
portal.organisationdomain vouch    no     no    yes   yes
portal.outboxmessage replay        no     yes   yes   yes
portal.outboxmessage send_again    no     yes   yes   yes
"""
VERBS = """
                 agent  duty  head  administrator
decide_contest   no     yes   yes   yes
change_promise   no     no    yes   yes
declare_major    no     yes   yes   yes
add_note         yes    yes   yes   yes
"""
ROLES = ["agent", "duty", "head", "administrator"]
SECRETS = {"password", "digest", "token_digest", "token_key", "token", "data", "secret", "session_data"} | {
    "client_secret",
    "challenge",
}
PLAN_TABS = ["rules", "steps", "rules-2", "steps-2", "rules-3", "steps-3"]  # a tab for each level's rows
COUNTLESS = {"INITIAL_FORMS": "0", "TOTAL_FORMS": "0", "MIN_NUM_FORMS": "0", "MAX_NUM_FORMS": "1000"}


def column(table, role):
    """One role's column of a table, by the words before the columns."""
    lines = [line.split() for line in table.strip().splitlines()[1:]]
    return {" ".join(line[: -len(ROLES)]): line[ROLES.index(role) - len(ROLES)] for line in lines}


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""  # no holidays: they take time, and no right depends on them
    with time_machine.travel(T0, tick=True):
        yield


@pytest.fixture
def undrawn(monkeypatch):
    """Draw no page: the verdict falls before, and to draw takes most of the time."""
    monkeypatch.setattr(SimpleTemplateResponse, "rendered_content", "")
    monkeypatch.setattr("simple_history.admin.render", lambda *_args: HttpResponse())


@pytest.fixture
def people(g1, m1, h1, root):
    """A person of each role, and one whom somebody made staff without any."""
    administrator = agent("admin@briqmind.example", "Ayla Admin", "administrator")
    agent("norole@briqmind.example", "Nil Norole", "")
    return {"agent": g1, "duty": m1, "head": h1, "administrator": administrator, "superuser": root}


@pytest.fixture
def world(people, a1, b1):
    """One row of each model of the admin: {label: row}; of those that may be agreed, one that is not."""
    made = incident(a1, T0)
    source, _token = alarm_senders.source("generic", organisation=made.organisation)
    Alarm.objects.create(source=source, fingerprint="f", title="Down", first_at=T0, last_at=T0)
    article(people["agent"], T0)
    RCA.objects.create(incident=made, owed_since=T0)
    CannedText.objects.create(title="Hello", text="Hello")
    pager = Endpoint.objects.create(
        name="Room", url="https://hooks.example.com/path-of-it", secret="whsec_aHVzaC1odXNo"
    )
    Shift.objects.create(
        role="on_call",
        person=people["head"],
        from_at=T0 + timedelta(days=1),
        until_at=T0 + timedelta(days=2),
    ).save()  # twice: its history has a page for each
    message = OutboxMessage.objects.first()
    OutboxMessage.objects.filter(pk=message.pk).update(state="set_aside", channel="webhook", endpoint=pager)
    DeliveryAttempt.objects.create(message=message, at=T0, milliseconds=9, is_accepted=False, answer="410")
    Authenticator.objects.create(user=a1, type="totp", data={"secret": "hush-hush"})
    InboundMessage.objects.create(kind="mail", via="pipe", dedupe_key="x", received_at=T0, state="held")
    version = SLAPolicyVersion.objects.create(policy=made.policy_version.policy, number=2, created_at=T0)
    SLATarget.objects.create(version=version, level="P1", kind="rca", rule="business_days", amount=5)
    windows.draft(people["head"])
    MaintenancePlan.objects.create(name="Standard")
    windows.actions.enter_freeze(
        made.organisation,
        starts_at=T0,
        ends_at=T0 + timedelta(days=1),
        reason="Closing",
        by=a1,
        now=T0,
        channel="portal",
    )
    Attachment.objects.create(
        incident=made, name="held.txt", size=1, uploaded_by=a1, uploaded_at=T0, scan="infected", file="none"
    )
    Erasure.objects.create(person=b1, by=people["superuser"], reason="asked", at=T0)
    RetentionRule.objects.create(kind="outbox_texts", keep_days=365)
    announcing.write(by=people["agent"], now=T0, title="Draft", text="Draft", audience="all")
    OrganisationDomain.objects.create(organisation=made.organisation, domain="acme.example", created_at=T0)
    provider = IdentityProvider.objects.create(
        organisation=made.organisation,
        key="idp-acme",
        name="Login",
        server_url="https://login.acme.example",
        client_id="portal",
        client_secret="hush-hush",
        created_at=T0,
    )
    GroupRole.objects.create(provider=provider, group="support", role="member")
    quiet = calendars.new_version(BusinessCalendar.objects.create(name="Quiet"), now=T0, by=None)
    OwnDay.objects.create(version=quiet, day=T0.date(), name="Move")
    SpecialDate.objects.create(version=quiet, day=T0.date(), name="Move")
    rows = {model._meta.label_lower: model._default_manager.order_by("-pk").first() for model in models()}
    rows["portal.user"], rows["portal.organisation"] = a1, made.organisation
    rows["portal.outboxmessage"] = OutboxMessage.objects.get(state="set_aside")
    return rows


def models():
    return sorted(admin.site._registry, key=lambda model: model._meta.label_lower)


def address(label, page, *args):
    return reverse(f"admin:{label.replace('.', '_')}_{page}", args=args)


def formset(prefix, *forms, initial=0):
    """The fields of an inline's forms."""
    data = {f"{prefix}-{name}": value for name, value in COUNTLESS.items()}
    data |= {f"{prefix}-TOTAL_FORMS": str(len(forms)), f"{prefix}-INITIAL_FORMS": str(initial)}
    for number, fields in enumerate(forms):
        data |= {f"{prefix}-{number}-{name}": value for name, value in fields.items()}
    return data


def bodies(world):
    """A valid form of each model: a refusal is then one of the role, not of the words."""
    plan, calendar = world["incidents.supportplan"], world["portal.calendarversion"]
    return {
        "incidents.alarm": {"title": "Forged", "count": "9"},
        "incidents.alarmsource": {
            "name": "New",
            "kind": "generic",
            "organisation": world["portal.organisation"].pk,
            "level_rules": "[]",
            "default_level": "P2",
            "storm_threshold": "5",
            "storm_minutes": "5",
        },
        "incidents.article": {"slug": "new", "title": "How to fix", "text": "Do **this**."}
        | formset("versions"),
        "incidents.attachment": {"name": "new.txt", "scan": "clean"},
        "incidents.cannedtext": {"title": "New", "text": "New"},
        "incidents.communicationplan": {
            "name": "New",
            "reminder_days": "3",
            "close_days": "9",
            "escalation_answer_minutes": "30",
        }
        | {key: value for prefix in PLAN_TABS for key, value in formset(prefix).items()},
        "incidents.incident": {
            "organisation": world["portal.organisation"].pk,
            "reporter": world["portal.user"].email,
            "title": "By telephone",
            "claimed_level": "P2",
            "impact": "degraded",
        },
        "incidents.inboundmessage": {"state": "done", "sender": "new@acme.example"},
        "incidents.rca": {"impact": "Forged", "status": "published"},
        "incidents.shift": {"role": "on_call", "person": world["incidents.shift"].person_id, "weeks": "2"}
        | {
            "from_at_0": "2026-03-09",
            "from_at_1": "10:00:00",
            "until_at_0": "2026-03-09",
            "until_at_1": "12:00:00",
        },
        "incidents.slapolicy": {"name": "New"},
        "incidents.slapolicyversion": {"policy": plan.policy_version.policy_id, "note": "New"}
        | formset("targets"),
        "incidents.supportplan": {
            "organisation": Organisation.objects.get(name="Nordwind").pk,
            "policy_version": plan.policy_version_id,
            "calendar": plan.calendar_id,
            "communication_plan": plan.communication_plan_id,
        },
        "maintenance.freeze": {
            "organisation": world["portal.organisation"].pk,
            "starts_at": "2026-03-09T10:00",
            "ends_at": "2026-03-09T12:00",
            "reason": "New",
        },
        "maintenance.maintenanceplan": {
            "name": "New",
            "none_notice_minutes": "0",
            "reduced_redundancy_notice_minutes": "0",
            "degraded_notice_minutes": "60",
            "outage_notice_minutes": "60",
            "reminder_minutes": "[60]",
        },
        "maintenance.maintenancewindow": {
            "title": "New",
            "description": "New",
            "time_zone": "UTC",
            "starts_at": "2026-03-19T10:00",
            "ends_at": "2026-03-19T12:00",
            "rollback_decision_at": "2026-03-19T11:00",
            "owner": world["incidents.shift"].person_id,
            "steps": "New",
            "conditions": "New | new",
        },
        "mfa.authenticator": {"user": world["portal.user"].pk, "type": "totp", "data": "{}"},
        "portal.announcement": {"title": "New", "text": "New", "audience": "all"},
        "portal.auditentry": {"kind": "forged"},
        "portal.businesscalendar": {"name": "New"} | formset("versions"),
        "portal.calendarversion": {
            "calendar": calendar.calendar_id,
            "time_zone": "Europe/Berlin",
            "week": json.dumps({"monday": ["10:00-11:00"]}),
            "half_day_until": "13:00",
        }
        | formset("own_days")
        | formset("special_dates"),
        "portal.endpoint": {
            "name": "New",
            "use": "pager",
            "service": "webhook",
            "url": "https://hooks.example.com/new",
            "is_active": "on",
        },
        "portal.identityprovider": {
            "organisation": world["portal.organisation"].pk,
            "name": "New",
            "server_url": "https://sso.acme.example",
            "client_id": "new",
            "default_role": "viewer",
            "default_visibility": "all",
        }
        | formset("group_roles"),
        "portal.organisationdomain": {
            "organisation": world["portal.organisation"].pk,
            "domain": "new.example",
        },
        "portal.erasure": {"reason": "New"},
        "portal.retentionrule": {"kind": "outbox_texts", "keep_days": "1"},
        "portal.organisation": {"name": "New", "slug": "new", "language": "en", "time_zone": "Europe/Berlin"}
        | formset("memberships")
        | formset("subscriptions")
        | formset("teams"),
        "portal.outboxmessage": {"kind": "new", "subject": "New", "state": "queued"},
        "portal.service": {"name": "New", "slug": "new", "position": "1"},
        "portal.user": {"email": "new@acme.example", "name": "New", "daily_summary_hour": "8"}
        | formset("staff_limits"),
    }


class Tried:
    """Requests of one person, each undone afterwards. A GET that writes is no success, whoever asks."""

    def __init__(self, client, user):
        self.client = client
        client.force_login(user)

    def get(self, to, data=None):
        with Writes.noted() as writes:
            status = self.client.get(to, data).status_code
        return f"GET {status}, {writes=}" if writes else status

    def post(self, to, data, read=lambda: None):
        """The status, and what `read` then says; instead of a success without writes, or the like, words."""
        with transaction.atomic(), Writes.noted() as writes:
            status, after = self.client.post(to, data).status_code, read()
            transaction.set_rollback(True)
        expected = {302: True, 403: False}
        return (status if bool(writes) is expected.get(status) else f"POST {status}, {writes=}"), after


def cell(letter, *found):
    """The letter for all successes, “-” for all refusals, otherwise what was found."""
    if all(status in (200, 302) for status in found):
        return letter
    return "-" if set(found) == {403} else f"{letter}{found}"


def measured(tried, label, row, body):
    """What the person may really do with a model, in the matrix' own letters."""
    change = address(label, "change", row.pk)
    looks = [address(label, "changelist"), change, address(label, "history", row.pk)]
    changes = [change]
    if hasattr(row, "history"):
        looks.append(address(label, "simple_history", row.pk, row.history.first().pk))
        changes.append(looks[-1])
    added, deleted = address(label, "add"), address(label, "delete", row.pk)
    return "".join(
        [
            cell("v", *[tried.get(look) for look in looks]),
            cell("a", tried.get(added), tried.post(added, body)[0]),
            cell("c", *[tried.post(to, body)[0] for to in changes]),
            cell("d", tried.get(deleted), tried.post(deleted, {"post": "yes"})[0]),
        ]
    )


@pytest.mark.parametrize("role", ROLES)
def test_each_cell_of_the_matrix_holds(client, people, world, role, request):
    if role != "head":  # one role has every page drawn
        request.getfixturevalue("undrawn")
    tried = Tried(client, people[role])
    given = bodies(world)
    found = {label: measured(tried, label, row, given.get(label, {})) for label, row in world.items()}
    assert found == column(MATRIX, role)


def test_every_page_of_the_admin_goes_by_roles_and_none_by_permissions_of_django():
    assert [model for model in models() if not isinstance(admin.site._registry[model], RoleMixin)] == []
    assert [inline for _model, inline in inlines() if not issubclass(inline, RoleMixin)] == []


# --- the rows within a page ---


def inlines():
    return [(model, inline) for model in models() for inline in admin.site._registry[model].inlines]


def inline_fields(world, b1):
    """A valid form of each inline."""
    third = Service.objects.create(name="Third", slug="third")
    span = {"written_at_0": "2026-03-03", "written_at_1": "10:00:00"}
    return {
        "incidents.articleversion": {"number": "9", "title": "Forged", "author": b1.pk} | span,
        "incidents.communicationrule": {"topic": "progress", "role": "escalation_contacts", "way": "email"},
        "incidents.escalationstep": {"kind": "rca", "percent": "33", "role": "team", "way": "both"}
        | {"after_minutes": "", "max_pages": "1", "stop": "delivered"},
        "incidents.slatarget": {"level": "P2", "kind": "rca", "rule": "business_days", "amount": "9"}
        | {"warn_percents": "[50]"},
        "portal.calendarversion": {"number": "9", "time_zone": "Europe/Berlin", "country": "DE"},
        "portal.ownday": {"day": "2026-03-04", "name": "Forged", "spans": "[]"},
        "portal.specialdate": {"day": "2026-03-04", "name": "Forged", "spans": "[]"},
        "portal.deliveryattempt": {"milliseconds": "1", "is_accepted": "on", "answer": "Forged"}
        | {"at_0": "2026-03-03", "at_1": "10:00:00"},
        "portal.grouprole": {"group": "forged", "role": "manager"},
        "portal.membership": {"user": b1.pk, "role": "manager", "visibility": "all"},
        "portal.servicesubscription": {"service": third.pk},
        "portal.team": {"name": "Forged"},
        "portal.stafflimit": {"organisation": b1.memberships.get().organisation_id},
    }


def prefixes(model):
    """Each inline of a page with the prefix of its form: of the same kind the first, second, third."""
    seen = {}
    for inline in admin.site._registry[model].inlines:
        [link] = [f for f in inline.model._meta.fields if f.related_model is model and f.name != "article_"]
        name = link.remote_field.get_accessor_name()
        seen[name] = seen.get(name, 0) + 1
        yield inline, name if seen[name] == 1 else f"{name}-{seen[name]}"


def measured_inline(tried, row, body, inline, fields, prefix):
    """What the person may do with the rows of one inline of a page."""
    [link] = [f for f in inline.model._meta.fields if f.related_model is type(row) and f.name != "article_"]
    to = address(row._meta.label_lower, "change", row.pk)
    level = {"level": inline.level} if hasattr(inline, "level") else {}
    own = inline.model._base_manager.filter(**{link.name: row}, **level).order_by("pk")
    old = {"id": own[0].pk, link.name: row.pk}

    def try_to(letter, *forms, **counts):
        before = list(own.values_list())
        status, after = tried.post(
            to, body | formset(prefix, *forms, **counts), lambda: list(own.values_list())
        )
        return (
            letter if (status, after == before) == (302, False) else "-" if after == before else f"{status}"
        )

    shown = tried.client.get(to).context_data["inline_admin_formsets"]
    return "".join(
        [
            "v" if prefix in [form.formset.prefix for form in shown] else "-",
            try_to("a", fields),
            try_to("c", old | fields, initial=1),
            try_to("d", old | fields | {"DELETE": "on"}, initial=1),
        ]
    )


@pytest.mark.parametrize("role", ROLES)
def test_inlines_obey_the_same_roles(client, undrawn, people, world, b1, role):
    tried = Tried(client, people[role])
    given, fields = bodies(world), inline_fields(world, b1)
    world["portal.user"] = (
        people["duty"] if role == "agent" else people["agent"]
    )  # staff: they can be limited
    StaffLimit.objects.create(user=world["portal.user"], organisation=world["portal.organisation"])
    Team.objects.create(organisation=world["portal.organisation"], name="Night")
    given["portal.user"] |= {"email": "staff@briqmind.example", "staff_role": "agent", "is_staff": "on"}
    found = {}
    for model in models():
        for inline, prefix in prefixes(model):
            label, inner = model._meta.label_lower, inline.model._meta.label_lower
            name = prefix if hasattr(inline, "level") else inner
            found[f"{label} {name}"] = measured_inline(
                tried, world[label], given[label], inline, fields[inner], prefix
            )
    assert found == column(INLINES, role)


def test_the_targets_of_an_agreed_version_are_only_read(client, undrawn, people, world, b1):
    world["incidents.slapolicyversion"] = world["incidents.supportplan"].policy_version
    tried = Tried(client, people["superuser"])
    inline = admin.site._registry[SLAPolicyVersion].inlines[0]
    fields = inline_fields(world, b1)["incidents.slatarget"]
    body = bodies(world)["incidents.slapolicyversion"]
    version = world["incidents.slapolicyversion"]
    assert measured_inline(tried, version, body, inline, fields, "targets") == "v---"


# --- actions ---


def test_every_action_is_refused_to_those_without_the_right_and_to_a_get(client, people, world, rf):
    request = rf.get("/")
    request.user = people["superuser"]
    found = {}
    for model in models():
        for name in admin.site._registry[model].get_actions(request):
            label = model._meta.label_lower
            data = {"action": name, "_selected_action": world[label].pk, "select_across": "1", "index": "0"}
            for role in ROLES:
                tried = Tried(client, people[role])
                assert tried.get(address(label, "changelist"), data) == 400
                wrote = tried.post(address(label, "changelist"), data)[0] == 302
                found[f"{label} {name}", role] = "yes" if wrote else "no"
    expected = {(name, role): cell for role in ROLES for name, cell in column(ACTIONS, role).items()}
    assert found == expected


def test_no_page_has_an_action_that_works_by_a_get():
    """Unfold's own kinds of actions are plain links: a page that a reader is led to would use them."""
    kinds = ["actions_list", "actions_row", "actions_detail", "actions_submit_line"]
    pages = [admin.site._registry[model] for model in models()]
    assert [(page, kind) for page in pages for kind in kinds if getattr(page, kind)] == []


def test_nothing_is_edited_or_deleted_in_a_list(client, undrawn, people, world):
    client.force_login(people["superuser"])
    for label, row in world.items():
        edited = formset("form", {"id": row.pk, "name": "New", "is_active": ""}, initial=1) | {
            "_save": "Save"
        }
        deleted = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes", "index": "0"}
        for data in (edited, deleted):
            with Writes.noted() as writes:
                assert client.post(address(label, "changelist"), data).status_code in (200, 302, 403)
            assert writes == [], label


WINDOW_VERBS = """
                  agent  duty  head  administrator
override_consent  no     yes   yes   yes
post              yes    yes   yes   yes
cancel            yes    yes   yes   yes
"""


def test_the_maintenance_desk_gives_each_role_its_verbs(client, people, world):
    at = windows.START - timedelta(days=1)  # less notice than promised: a consent is asked
    for window in windows.MaintenanceWindow.objects.all():
        windows.actions.cancel(window, reason="x", by=people["head"], now=T0, channel="admin")
    affected = [(windows.service("Vector Store"), "outage")]  # the other one has an open P1
    made = windows.announced(people["head"], people["duty"], at, services=affected)
    asked = made.consents.first()
    data = {"reason": "True", "text": "True", "is_public": "on"}
    with time_machine.travel(at, tick=False):
        for role in ROLES:
            tried, expected = Tried(client, people[role]), column(WINDOW_VERBS, role)
            found = {}
            for verb in expected:
                args = [made.pk, verb] + ([asked.pk] if "consent" in verb else [])
                page = "do_part" if "consent" in verb else "do"
                found[verb] = tried.post(address("maintenance.maintenancewindow", page, *args), data)[0]
            assert found == {verb: {"yes": 302, "no": 403}[word] for verb, word in expected.items()}, role


def test_the_desk_gives_each_role_its_verbs(client, people, world, a1):
    made = world["incidents.incident"]
    actions.validate_level(made, by=people["duty"], now=T0, channel="admin", level="P2", reason="Slow only")
    actions.contest_lowering(made, by=a1, now=T0, channel="portal", reason="No, down")
    data = {"text": "A note", "is_upheld": "yes", "reason": "True"}
    data["calendar_version"] = made.calendar_version_id
    data["policy_version"] = world["incidents.slapolicyversion"].pk
    for role in ROLES:
        tried = Tried(client, people[role])
        expected = column(VERBS, role)
        to = {verb: address("incidents.incident", "do", made.pk, verb) for verb in expected}
        found = {verb: tried.post(to[verb], data)[0] for verb in to}
        assert found == {verb: {"yes": 302, "no": 403}[word] for verb, word in expected.items()}, role


# --- lookups, popups, choices ---


def secret_paths(model, depth=3):
    """Every way from a model to a column that nobody may read, such as recipient__password."""
    for field in model._meta.get_fields():
        if field.name in SECRETS and not field.is_relation:
            yield field.name
        if field.is_relation and field.related_model and depth > 1:
            yield from (f"{field.name}__{rest}" for rest in secret_paths(field.related_model, depth - 1))


def test_no_lookup_leads_to_a_secret(people, rf):
    request = rf.get("/")
    request.user = people["superuser"]
    tried = [
        (page, f"{path}{lookup}")
        for page in (admin.site._registry[model] for model in models())
        for path in secret_paths(page.model)
        for lookup in ("", "__startswith", "__regex", "__isnull")
    ]
    assert len(tried) > 300
    assert [(page, path) for page, path in tried if page.lookup_allowed(path, "m", request)] == []
    for page, _path in tried:
        assert not any(secret in field for field in page.search_fields for secret in SECRETS)


def test_a_lookup_is_refused_and_never_narrows_the_list(client, people, world):
    client.force_login(people["agent"])
    for label, lookup in [
        ("portal.user", "password__startswith"),
        ("portal.user", "memberships__user__password__startswith"),
        ("portal.user", "auth_token_set__digest__startswith"),
        ("portal.user", "is_superuser__exact"),
        ("portal.user", "last_login__gte"),
        ("portal.organisation", "memberships__user__password__startswith"),
        ("portal.outboxmessage", "recipient__password__startswith"),
        ("portal.outboxmessage", "headers__contains"),
        ("incidents.alarm", "source__token_digest__startswith"),
        ("incidents.alarmsource", "token_digest__startswith"),
        ("incidents.incident", "reporter__password__startswith"),
        ("incidents.incident", "organisation__memberships__user__password__startswith"),
        ("incidents.incident", "reply_addresses__token__startswith"),
        ("incidents.supportplan", "history__history_user__password__startswith"),
        ("maintenance.maintenancewindow", "owner__password__startswith"),
        ("maintenance.maintenancewindow", "invitations__token__startswith"),
        ("maintenance.freeze", "entered_by__password__startswith"),
    ]:
        for value in ("md5", "m", "x", "1"):
            assert client.get(address(label, "changelist"), {lookup: value}).status_code == 400, lookup


def test_the_filters_that_a_list_offers_work(client, people, world):
    client.force_login(people["agent"])
    organisation = world["portal.organisation"].pk
    for label, queries in [
        ("incidents.incident", [f"view={name}" for name in VIEWS]),
        ("incidents.incident", ["level__exact=P1", f"organisation__id__exact={organisation}"]),
        ("incidents.incident", ["status__exact=closed"]),
        ("maintenance.maintenancewindow", [f"view={name}" for name in WINDOW_VIEWS]),
        ("maintenance.maintenancewindow", ["status__exact=draft&view=all"]),
        ("maintenance.freeze", ["show=all", f"organisation__id__exact={organisation}"]),
        ("portal.user", ["staff_role__exact=agent", "is_active__exact=1"]),
        ("portal.outboxmessage", ["state__exact=set_aside", "kind__exact=opened", "is_automatic__exact=1"]),
    ]:
        for query in queries:
            assert client.get(f"{address(label, 'changelist')}?{query}").status_code == 200, query


def test_a_password_is_on_no_page_and_found_by_no_search(client, people, world):
    client.force_login(people["agent"])
    words = "md5$"
    user = people["superuser"]
    assert user.password.startswith(words)
    for page in ("change", "history"):
        assert words not in client.get(address("portal.user", page, user.pk)).content.decode()
    assert b"hush-hush" not in client.get(address("portal.user", "change", world["portal.user"].pk)).content
    client.force_login(user)
    for page in ("change", "delete"):
        factor = world["mfa.authenticator"]
        assert b"hush-hush" not in client.get(address("mfa.authenticator", page, factor.pk)).content


def test_a_popup_and_a_to_field_open_no_door(client, undrawn, people, world):
    client.force_login(people["agent"])
    given = bodies(world)
    for label, may in column(MATRIX, "agent").items():
        query = "?_popup=1&_to_field=id"
        added, listed = address(label, "add") + query, address(label, "changelist")
        assert client.get(added).status_code == (200 if "a" in may else 403), label
        for to in (added, address(label, "change", world[label].pk) + query):
            if "a" in may:
                continue
            with Writes.noted() as writes:
                assert client.post(to, given[label] | {"_popup": "1"}).status_code == 403
            assert writes == [], to
        if "v" in may:
            assert client.get(f"{listed}{query}").status_code == 200
            for column_ in ("password", "data", "email"):
                assert client.get(f"{listed}?_popup=1&_to_field={column_}").status_code == 400


def choices(client, label, field, term=""):
    app, model = label.split(".")
    query = {"app_label": app, "model_name": model, "field_name": field, "term": term}
    return client.get(reverse("admin:autocomplete"), query)


def test_choices_are_those_that_the_role_may_view(client, people, world, a1):
    fields = [(model, name) for model in models() for name in admin.site._registry[model].autocomplete_fields]
    fields += [(inline.model, name) for _model, inline in inlines() for name in inline.autocomplete_fields]
    assert len(fields) >= 7
    for role in ROLES:
        client.force_login(people[role])
        for model, name in fields:
            target = model._meta.get_field(name).related_model._meta.label_lower
            expected = 200 if "v" in column(MATRIX, role)[target] else 403
            answer = choices(client, model._meta.label_lower, name)
            assert answer.status_code == expected, (role, target)
            assert b"md5$" not in answer.content
    client.force_login(people["agent"])
    for label, name in [
        ("portal.user", "authenticator"),
        ("portal.user", "groups"),
        ("portal.user", "password"),
    ]:
        assert choices(client, label, name).status_code == 403
    for term in ("md5", "md5$", world["portal.user"].password):
        assert choices(client, "portal.membership", "user", term).json()["results"] == []
    client.force_login(a1)
    assert choices(client, "portal.membership", "user").status_code == 302


# --- what cannot be is refused with a reason, never with a traceback ---


def test_a_calendar_that_cannot_be_is_refused(client, people, world):
    client.force_login(people["head"])
    to, given = address("portal.calendarversion", "add"), bodies(world)["portal.calendarversion"]
    before = CalendarVersion.objects.count()
    for wrong in ({"country": "ZZ"}, {"half_day_until": "99:99"}, {"week": "[1]"}):
        answer = client.post(to, given | wrong)
        assert (answer.status_code, CalendarVersion.objects.count()) == (200, before)
        assert answer.context["errors"]


def test_a_policy_version_stays_with_its_policy(client, people, world):
    version = SLAPolicyVersion.objects.create(
        policy=SLAPolicy.objects.create(name="Other"), number=2, created_at=T0
    )
    client.force_login(people["head"])
    to = address("incidents.slapolicyversion", "change", version.pk)
    assert client.post(to, bodies(world)["incidents.slapolicyversion"]).status_code == 302
    after = SLAPolicyVersion.objects.get(pk=version.pk)
    assert (after.policy, after.note) == (version.policy, "New")


def test_a_history_of_nothing_is_not_found(client, people):
    client.force_login(people["agent"])
    for path in ("x/history/", "x/history/1/", "1/history/x/", "99999/history/", "99999/history/99999/"):
        assert client.get(address("portal.organisation", "changelist") + path).status_code == 404, path


# --- people ---

RAISED = {
    "staff_role": "administrator",
    "is_staff": "on",
    "is_superuser": "on",
    "groups": "1",
    "user_permissions": "1",
    "password": "hunter2-hunter2",
    "password1": "hunter2-hunter2",
    "password2": "hunter2-hunter2",
    "usable_password": "true",
}


def state(*users):
    """What somebody could want to change of people."""
    fields = ("email", "name", "password", "staff_role", "is_staff", "is_superuser", "is_active")
    return [User.objects.filter(pk=user.pk).values(*fields).get() for user in users]


def test_nobody_below_an_administrator_changes_anybody(client, undrawn, people, world):
    everybody = [*people.values(), world["portal.user"]]
    before = state(*everybody)
    data = bodies(world)["portal.user"] | RAISED
    for role in ("agent", "duty", "head"):
        client.force_login(people[role])
        for user in everybody:
            to = address("portal.user", "change", user.pk)
            for path, status in [
                ("", 403),
                ("?_popup=1", 403),
                ("../password/", 302),
                ("../../password/", 302),
            ]:
                assert client.post(to + path, data).status_code in (status, 404), path
            assert client.post(address("portal.user", "history", user.pk), data).status_code in (200, 403)
    assert state(*everybody) == before


def test_an_administrator_raises_nobody_to_superuser_and_touches_none(client, people, world):
    client.force_login(people["administrator"])
    own, above, below = people["administrator"], people["superuser"], people["agent"]
    data = bodies(world)["portal.user"] | {"is_active": "on"}
    before = state(above)
    for user, status in [(own, 302), (above, 403), (below, 302)]:
        given = data | RAISED | {"staff_role": "agent" if user == own else "duty_manager"}
        assert client.post(address("portal.user", "change", user.pk), given).status_code == status
    assert state(above) == before
    [mine, other] = state(own, below)
    assert (mine["staff_role"], mine["email"], mine["name"]) == ("administrator", own.email, "New")
    assert (other["staff_role"], other["email"]) == ("duty_manager", "new@acme.example")
    for user in (own, below):
        [found] = state(user)
        assert (found["is_superuser"], found["password"]) == (False, user.password)
        assert not User.objects.get(pk=user.pk).groups.exists()


def test_an_administrator_removes_no_superuser_s_second_factor(client, people, world):
    factor = Authenticator.objects.create(user=people["superuser"], type="totp", data={"secret": "hush"})
    client.force_login(people["administrator"])
    for number, status in [(factor.pk, 403), (world["mfa.authenticator"].pk, 302)]:
        answer = client.post(address("mfa.authenticator", "delete", number), {"post": "yes"})
        assert answer.status_code == status
    assert Authenticator.objects.get() == factor


def test_a_changed_address_takes_the_way_to_a_new_password_with_it(client, people, world, a1, mailoutbox):
    client.post(reverse("account_login"), {"login": a1.email, "password": PASSWORD})
    EmailAddress.objects.get_or_create(user=a1, email=a1.email, defaults={"primary": True, "verified": True})
    client.force_login(people["superuser"])
    data = bodies(world)["portal.user"] | {"is_active": "on"}
    assert client.post(address("portal.user", "change", a1.pk), data).status_code == 302
    client.logout()
    client.post(reverse("account_reset_password"), {"email": a1.email})
    assert not any("/key/" in str(mail.body) for mail in mailoutbox)
    client.post(reverse("account_reset_password"), {"email": "new@acme.example"})
    assert any("/key/" in str(mail.body) and mail.to == ["new@acme.example"] for mail in mailoutbox)


# --- the front door ---


@pytest.mark.parametrize("email", ["a1@acme.example", "norole@briqmind.example"])
def test_whoever_has_no_role_never_enters(client, people, world, email):
    client.force_login(User.objects.get(email=email))
    for to in ("index", "autocomplete", "jsi18n", "search", "password_change", "portal_user_changelist"):
        answer = client.get(reverse(f"admin:{to}"))
        assert (answer.status_code, answer.url.partition("?")[0]) == (302, "/admin/login/"), to
    assert client.get("/admin/login/").status_code == 403


def test_the_admin_has_no_sign_in_of_its_own(client, people):
    """It would let an agent who knows a password pass the superuser's second factor, guess by guess."""
    client.force_login(people["agent"])
    answer = client.post("/admin/login/", {"username": people["superuser"].email, "password": PASSWORD})
    assert (answer.status_code, answer.url) == (302, "/admin/")
    assert client.session["_auth_user_id"] == str(people["agent"].pk)
    client.logout()
    answer = client.post("/admin/login/", {"username": people["superuser"].email, "password": PASSWORD})
    assert (answer.status_code, answer.url.partition("?")[0]) == (302, reverse("account_login"))
    assert "_auth_user_id" not in client.session


# --- crafted requests: a clear answer, never a traceback ---


@pytest.mark.parametrize(
    "path",
    [
        "search/?s=a&page=x",
        "search/?s=a&page=999",
        "search/?page=x",
        "search/?s=%00",
        "autocomplete/?app_label=portal&model_name=membership&field_name=user&page=99999999999999999999",
        "autocomplete/?app_label=portal&model_name=membership&field_name=user&term=%00",
        "portal/user/99999999999999999999999/change/",
        "portal/organisation/99999999999999999999999/history/",
        "portal/organisation/1/history/99999999999999999999999/",
        "portal/user/?p=x",
        "portal/user/?p=99999999999999999999",
        "portal/user/?o=99",
        "portal/user/?is_active__exact=x",
        "portal/user/?q=%00",
        "incidents/incident/?organisation__id__exact=99999999999999999999999",
        "incidents/incident/?view=%00&show=%00",
        "r/99999999999999999999999/1/",
    ],
)
def test_a_crafted_address_of_the_desk_gets_a_clear_answer(client, people, path):
    client.force_login(people["agent"])
    assert client.get(f"/admin/{path}").status_code in (200, 302, 400, 404), path


def test_crafted_rows_within_a_page_are_refused_and_change_nothing(client, undrawn, people, world, b1):
    client.force_login(people["superuser"])
    Team.objects.create(organisation=world["portal.organisation"], name="Night")
    given, known = bodies(world), inline_fields(world, b1)
    for model in models():
        label, row = model._meta.label_lower, world[model._meta.label_lower]
        for inline, prefix in prefixes(model):
            [link] = [
                f for f in inline.model._meta.fields if f.related_model is model and f.name != "article_"
            ]
            found = inline.model._base_manager.filter(**{link.name: row}).order_by("pk").first()
            own = {"id": found.pk if found else 1, link.name: row.pk}
            fields = known[inline.model._meta.label_lower]
            for forms in (
                [own | fields, own | fields],
                [own | {"DELETE": "on"}, own | {"DELETE": "on"}],
                [{link.name: row.pk}],
                [{link.name: row.pk}] * 40,
                [own | {"id": "x"}],
                [own | {"id": "9" * 30}],
                [own | {link.name: "9" * 30}],
            ):
                body = given[label] | formset(prefix, *forms, initial=len(forms))
                status = Tried(client, people["superuser"]).post(address(label, "change", row.pk), body)[0]
                assert status in (200, 302, 400, 403) or str(status).startswith("POST"), (
                    label,
                    prefix,
                    forms,
                )
            for name, value in (("TOTAL_FORMS", "x"), ("TOTAL_FORMS", "-1"), ("INITIAL_FORMS", "9" * 12)):
                body = given[label] | formset(prefix) | {f"{prefix}-{name}": value}
                status = Tried(client, people["superuser"]).post(address(label, "change", row.pk), body)[0]
                assert status in (200, 302, 400, 403) or str(status).startswith("POST"), (
                    label,
                    prefix,
                    name,
                    value,
                )
