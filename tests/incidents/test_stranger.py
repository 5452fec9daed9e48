"""The stranger test walks every address of the product, and every address needs a verdict here.

Acme's a1 asks for what is Nordwind's; so does somebody who is not signed in. They learn nothing: no byte
of an answer holds the canary, real and invented names give the same answer, and nothing is written.
"""

import re
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import quote
from uuid import UUID

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models import F
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.http import int_to_base36
from rest_framework.test import APIClient

from incidents import actions
from incidents.defaults import plan_for
from incidents.desk import write_version
from incidents.models import RCA, Article, Attachment, BridgeStep, Incident, Message, SupportPlan
from maintenance.actions import enter_freeze, invitations
from maintenance.models import Freeze
from portal import announcing, invitation_verbs
from portal.models import (
    Announcement,
    ApiToken,
    Endpoint,
    IdentityProvider,
    Membership,
    Organisation,
    OrganisationDomain,
    OutboxMessage,
    Service,
    ServiceSubscription,
    User,
)
from tests.chat_senders import channel
from tests.conftest import T0
from tests.factories import CANARY, agent, incident
from tests.incidents.rca_world import one_action, published
from tests.maintenance import world

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PATCH", "PUT", "DELETE")

# Everything below admin/ is for staff. All other addresses are listed: a new one fails until it is.
VERDICTS = {
    # a page without anybody's object: for whoever is signed in, and with their own data only
    "page": """
        / announcements/ incidents/ incidents/new/ incidents/new/suggestions/ knowledge/ maintenance/
        maintenance/calendar/ maintenance/freezes/ profile/ sla/ status/ reports/
        reports/{month}/ reports/{month}/csv/ reports/{month}/pdf/ channels/ channels/format/
        identity/ people/ look-as/stop/ tokens/
    """,
    # the same for managers only: 403 for others
    "manager page": """
        channels/new/
        audit/ audit/csv/ audit/jsonl/
        identity/domains/new/ identity/providers/new/
        people/invitations/new/ people/teams/new/
    """,
    # a page that asks for the password again
    "fresh page": "tokens/new/",
    # one's own things in the API
    "api own": "api/v1/calendar-feed/ api/v1/profile/",
    # a page of somebody's object: 404 for strangers
    "object": """
        incidents/{reference}/ incidents/{reference}/attachments/{pk}/ incidents/{reference}/confirmation/
        incidents/{reference}/contest/ incidents/{reference}/escalation/ incidents/{reference}/messages/{pk}/original/
        incidents/{reference}/bridge/ incidents/{reference}/bridge/live/ incidents/{reference}/bridge/opening/
        incidents/{reference}/bridge/presence/ incidents/{reference}/bridge/leaving/
        incidents/{reference}/bridge/notes/ incidents/{reference}/bridge/side-notes/
        incidents/{reference}/bridge/decisions/ incidents/{reference}/bridge/steps/
        incidents/{reference}/bridge/steps/{pk}/completion/ incidents/{reference}/bridge/parts/
        incidents/{reference}/bridge/closing/
        incidents/{reference}/now/ incidents/{reference}/original/ incidents/{reference}/rca/
        incidents/{reference}/reopening/ incidents/{reference}/replies/ incidents/{reference}/timeline/
        incidents/{reference}/withdrawal/ knowledge/{slug}/ maintenance/{reference}/calendar.ics
        announcements/{pk}/ status/{slug}/ status/{slug}/subscription/ reports/all/
        reports/all/{month}/ reports/all/{month}/csv/
        maintenance/{reference}/ maintenance/{reference}/now/ maintenance/{reference}/timeline/
        maintenance/{reference}/consents/{pk}/ maintenance/freezes/{pk}/withdrawal/
        incidents/{reference}/rca/acceptance/ incidents/{reference}/rca/comments/
        incidents/{reference}/rca/pdf/
        maintenance/{reference}/rca/ maintenance/{reference}/rca/acceptance/
        maintenance/{reference}/rca/comments/ maintenance/{reference}/rca/pdf/
        channels/{key}/ channels/{key}/change/ channels/{key}/rotation/ channels/{key}/removal/
        channels/{key}/log/{pk}/
        identity/domains/{pk}/ identity/providers/{key}/ identity/providers/{key}/change/
        incidents/{reference}/watchers/ incidents/{reference}/team/
        people/{pk}/ people/{pk}/removal/ people/invitations/{pk}/ people/teams/{pk}/
        tokens/{token}/revocation/
    """,
    # the same two of the API
    "api": """
        api/v1/announcements/ api/v1/articles/ api/v1/freezes/ api/v1/incidents/ api/v1/maintenance-windows/
        api/v1/organisations/ api/v1/reference/ api/v1/schema/ api/v1/services/ api/v1/standard-form/
        api/v1/reports/ api/v1/reports/{month}/
        api/v1/audit-entries/
        api/v1/channels/ api/v1/status/ api/v1/tokens/
    """,
    "api object": """
        api/v1/announcements/{id}/ api/v1/announcements/{id}/publication/
        api/v1/announcements/{id}/withdrawal/ api/v1/articles/{slug}/ api/v1/organisations/{slug}/ api/v1/services/{slug}/
        api/v1/incidents/{reference}/ api/v1/incidents/{reference}/acknowledgement/
        api/v1/incidents/{reference}/action-plan/ api/v1/incidents/{reference}/assignment/
        api/v1/incidents/{reference}/attachments/ api/v1/incidents/{reference}/children/
        api/v1/incidents/{reference}/clocks/
        api/v1/incidents/{reference}/confirmation/ api/v1/incidents/{reference}/contest/
        api/v1/incidents/{reference}/escalation/
        api/v1/incidents/{reference}/documented-solution/ api/v1/incidents/{reference}/duplicate/
        api/v1/incidents/{reference}/events/ api/v1/incidents/{reference}/intervention/
        api/v1/incidents/{reference}/level-validation/ api/v1/incidents/{reference}/major-incident/
        api/v1/incidents/{reference}/notes/
        api/v1/incidents/{reference}/planned-release/ api/v1/incidents/{reference}/question/
        api/v1/incidents/{reference}/rca/ api/v1/incidents/{reference}/reopening/
        api/v1/incidents/{reference}/replies/ api/v1/incidents/{reference}/resolution/
        api/v1/incidents/{reference}/restoration/ api/v1/incidents/{reference}/status-updates/
        api/v1/incidents/{reference}/withdrawal/
        api/v1/freezes/{freeze}/ api/v1/freezes/{freeze}/withdrawal/
        api/v1/maintenance-windows/{reference}/ api/v1/maintenance-windows/{reference}/announcement/
        api/v1/maintenance-windows/{reference}/approval/ api/v1/maintenance-windows/{reference}/cancellation/
        api/v1/maintenance-windows/{reference}/completion/ api/v1/maintenance-windows/{reference}/conditions/
        api/v1/maintenance-windows/{reference}/consents/
        api/v1/maintenance-windows/{reference}/consents/{consent}/
        api/v1/maintenance-windows/{reference}/decision/ api/v1/maintenance-windows/{reference}/extension/
        api/v1/maintenance-windows/{reference}/move/ api/v1/maintenance-windows/{reference}/posts/
        api/v1/maintenance-windows/{reference}/rollback/ api/v1/maintenance-windows/{reference}/start/
        api/v1/maintenance-windows/{reference}/steps/ api/v1/maintenance-windows/{reference}/verification/
        api/v1/incidents/{reference}/rca/acceptance/ api/v1/incidents/{reference}/rca/actions/
        api/v1/incidents/{reference}/rca/actions/{number}/ api/v1/incidents/{reference}/rca/comments/
        api/v1/incidents/{reference}/rca/draft/ api/v1/incidents/{reference}/rca/publication/
        api/v1/incidents/{reference}/rca/recurrences/ api/v1/incidents/{reference}/rca/review/
        api/v1/incidents/{reference}/rca/submission/
        api/v1/incidents/{reference}/bridge/ api/v1/incidents/{reference}/bridge/closing/
        api/v1/incidents/{reference}/bridge/decisions/ api/v1/incidents/{reference}/bridge/notes/
        api/v1/incidents/{reference}/bridge/parts/ api/v1/incidents/{reference}/bridge/presence/
        api/v1/incidents/{reference}/bridge/side-notes/ api/v1/incidents/{reference}/bridge/steps/
        api/v1/incidents/{reference}/bridge/steps/{step}/completion/
        api/v1/incidents/{reference}/watchers/ api/v1/incidents/{reference}/team/
        api/v1/incidents/{reference}/reporter/
        api/v1/organisations/{slug}/people/ api/v1/organisations/{slug}/people/{id}/
        api/v1/organisations/{slug}/invitations/ api/v1/organisations/{slug}/invitations/{id}/
        api/v1/organisations/{slug}/invitations/{id}/renewal/
        api/v1/organisations/{slug}/teams/ api/v1/organisations/{slug}/teams/{id}/
        api/v1/maintenance-windows/{reference}/rca/
        api/v1/maintenance-windows/{reference}/rca/acceptance/
        api/v1/maintenance-windows/{reference}/rca/actions/
        api/v1/maintenance-windows/{reference}/rca/actions/{number}/
        api/v1/maintenance-windows/{reference}/rca/comments/
        api/v1/maintenance-windows/{reference}/rca/draft/
        api/v1/maintenance-windows/{reference}/rca/publication/
        api/v1/maintenance-windows/{reference}/rca/recurrences/
        api/v1/maintenance-windows/{reference}/rca/review/
        api/v1/maintenance-windows/{reference}/rca/submission/
        api/v1/announcements/{id}/reading/
        api/v1/channels/{key}/ api/v1/channels/{key}/log/ api/v1/channels/{key}/log/{message}/
        api/v1/channels/{key}/log/{message}/replay/ api/v1/channels/{key}/people/
        api/v1/channels/{key}/people/{identity}/ api/v1/channels/{key}/rotation/
        api/v1/channels/{key}/switch/ api/v1/channels/{key}/test/
        api/v1/status/{slug}/ api/v1/status/{slug}/subscription/ api/v1/tokens/{id}/
    """,
    # signing in and what belongs to one's own account
    "account": """
        profile/data/
        accounts/2fa/ accounts/2fa/authenticate/ accounts/2fa/reauthenticate/ accounts/2fa/recovery-codes/
        accounts/2fa/recovery-codes/download/ accounts/2fa/recovery-codes/generate/
        accounts/2fa/totp/activate/ accounts/2fa/totp/deactivate/ accounts/confirm-email/
        accounts/confirm-email/{key}/ accounts/email/ accounts/inactive/ accounts/login/
        accounts/login/code/confirm/ accounts/logout/ accounts/password/change/ accounts/password/reset/
        accounts/password/reset/done/ accounts/password/reset/key/done/
        accounts/password/reset/key/{uidb36}-{key}/ accounts/password/set/ accounts/reauthenticate/
        accounts/2fa/webauthn/ accounts/2fa/webauthn/add/ accounts/2fa/webauthn/login/
        accounts/2fa/webauthn/reauthenticate/ accounts/2fa/webauthn/keys/{pk}/edit/
        accounts/2fa/webauthn/keys/{pk}/remove/ accounts/sessions/{pk}/end/
        accounts/signup/ accounts/sessions/ accounts/3rdparty/ accounts/3rdparty/login/cancelled/
        accounts/3rdparty/login/error/ accounts/3rdparty/signup/ accounts/social/connections/
        accounts/social/login/cancelled/ accounts/social/login/error/ accounts/social/signup/
        accounts/oidc/{provider_id}/login/ accounts/oidc/{provider_id}/login/callback/
        accounts/organisation/
    """,
    # for alarm sources and their own tokens: nobody else comes in, signed in or not
    "source": "api/v1/alarms/alertmanager/ api/v1/alarms/generic/ api/v1/alarms/grafana/",
    # for Slack and Mattermost, by their signature: nobody else comes in, whatever key they ask for
    "channel": "api/v1/channels/mattermost/{key}/ api/v1/channels/slack/{key}/",
    # a private address that is its own key: a dead one and an invented one are alike, for everybody
    "key": "calendar/{token}.ics invitations/{token}/",
    # keeps a choice in one's own session
    "choice": "organisation/",
    # for machines and load balancers; nobody's data
    "open": "healthz metrics readyz status/public/ api/{rest}/",
}


@pytest.fixture(autouse=True)
def _at_t0(settings):
    settings.SUPPORT_COUNTRY = ""  # no holidays: they take time, and are nobody's secret
    with time_machine.travel(T0, tick=False):
        yield


class Writes(list):
    """The statements that write: none may come of what was refused. Sessions do not count."""

    def __call__(self, execute, sql, params, many, context):
        if sql.startswith(("INSERT", "UPDATE", "DELETE")) and not re.search(
            "django_session|last_used_at", sql
        ):
            self.append(sql)
        return execute(sql, params, many, context)

    @classmethod
    @contextmanager
    def noted(cls):
        with connection.execute_wrapper(writes := cls()):
            yield writes


# --- the walk ---


def patterns(resolver=None, prefix=""):
    """Every pattern of the URLconf in plain words, such as incidents/{reference}/."""
    for entry in (resolver or get_resolver()).url_patterns:
        text = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, text)
        elif isinstance(entry, URLPattern):
            yield plain(text) or "/"


def plain(text):
    text = re.sub(r"\(\?P<(\w+)>[^()]*\)", r"{\1}", text)
    text = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", re.sub(r"\([^()]*\)", "{}", text))
    return re.sub(r"[\^$\\]", "", text)


def by_verdict(*kinds):
    listed = {pattern: kind for kind, text in VERDICTS.items() for pattern in text.split()}
    return [
        pattern
        for pattern in dict.fromkeys(patterns())
        if listed.get(pattern, "staff" if pattern.startswith("admin/") else "none") in kinds
    ]


def fill(pattern, values):
    """The address of a pattern. Which value a parameter gets is said by the part before it."""
    parts = pattern.strip("/").split("/") if pattern != "/" else []
    filled = [
        str(values[before]) if "{" in part else part
        for before, part in zip(["", *parts], parts, strict=False)
    ]
    return "/" + "/".join(filled) + ("/" if pattern.endswith("/") and parts else "")


@pytest.fixture
def theirs(b1, g1, nordwind, acme):
    """Nordwind's incident with a file, a note, an article and a service; all but the keys is canary."""
    plan_for(acme, T0)
    Organisation.objects.filter(pk=nordwind.pk).update(name=f"Nordwind {CANARY}")
    nordwind.refresh_from_db()
    own = Service.objects.create(name=f"Only {CANARY}", slug="only-theirs")
    ServiceSubscription.objects.create(organisation=nordwind, service=own)
    upload = SimpleUploadedFile(f"{CANARY}.txt", CANARY.encode())
    made = incident(b1, T0, title=f"{CANARY} down", description=CANARY, files=[upload])
    actions.add_note(made, by=g1, now=T0, channel="admin", text=f"internal {CANARY}")
    SupportPlan.objects.filter(organisation=nordwind).update(has_bridge=True)
    bridge = actions.open_bridge(made, by=b1, now=T0, channel="bridge")
    said = {"by": b1, "now": T0, "channel": "bridge"}
    actions.note_on_bridge(bridge, text=f"said {CANARY}", **said)
    actions.agree_step(bridge, text=f"do {CANARY}", owner=b1, due_at=T0 + timedelta(hours=1), **said)
    told = announcing.write(
        **{"by": g1, "now": T0, "title": CANARY, "text": CANARY},
        **{"audience": "organisations", "organisations": [nordwind]},
    )
    announcing.publish(told, by=None, now=T0)
    guide = Article.objects.create(slug="their-guide", organisation=nordwind)
    write_version(guide, by=g1, now=T0, title=f"How to {CANARY}", text=CANARY, is_published=True)
    return made


def their_window(theirs):
    """An announced window of a service that only Nordwind uses, in a freeze of theirs: their consent is asked."""
    freeze = {"starts_at": world.START, "ends_at": world.END, "reason": f"Closing {CANARY}"}
    enter_freeze(theirs.organisation, **freeze, by=theirs.reporter, now=T0, channel="portal")
    planner, approver = (agent(f"w{number}@briqmind.example", "Wim") for number in (1, 2))
    own = Service.objects.get(slug="only-theirs")
    return world.announced(planner, approver, title=f"Work {CANARY}", services=[(own, "outage")])


def their_webhooks(theirs):
    """Nordwind's webhooks, and a message in their log; all but the keys is canary."""
    made = Endpoint.objects.create(
        name=CANARY,
        url=f"https://hooks.example.com/{CANARY}",
        use="webhooks",
        organisation=theirs.organisation,
    )
    OutboxMessage.objects.create(
        kind=CANARY, channel="webhook", endpoint=made, text=CANARY, state="sent", dedupe_key=CANARY
    )
    return made


def their_sign_in(organisation):
    """Nordwind's mail domain and identity provider; all but the key is canary."""
    domain = OrganisationDomain.objects.create(
        organisation=organisation, domain=f"{CANARY}.example", created_at=T0
    )
    provider = IdentityProvider.objects.create(
        organisation=organisation,
        key="idp-theirs",
        name=CANARY,
        server_url=f"https://{CANARY}.example",
        client_id=CANARY,
        client_secret=CANARY,
        created_at=T0,
    )
    return domain, provider


def invited(theirs):
    """Somebody who is asked to join Nordwind."""
    return invitation_verbs.invite(
        theirs.organisation, email=f"{CANARY}@nordwind.example", by=theirs.reporter, now=T0
    )


def their_token(theirs):
    """Nordwind's token, bound to Nordwind."""
    made, _secret = ApiToken.objects.create(
        user=theirs.reporter, name=CANARY, organisation=theirs.organisation
    )
    return made.digest[:16]


def dead_feed(person):
    """The address of a feed that was replaced since."""
    token = invitations.rotate_feed(person, now=T0)
    invitations.rotate_feed(person, now=T0)
    return f"{token}.ics"


def publish_rcas(made, window, author):
    """What they read: an RCA of the incident, and one of a maintenance window."""
    reviewer = agent("reviewer@briqmind.example", "Rea Viewer")
    for subject in ({"incident": made}, {"window": window}):
        rca = RCA.objects.create(owed_since=T0, **subject)
        published(
            rca, author, reviewer, T0, texts={"root_cause": CANARY}, acts=[one_action(author, text=CANARY)]
        )


@pytest.fixture
def names(theirs):
    """Nordwind's values for every parameter of the URLconf, by the part of the address before it."""
    window, hooks = their_window(theirs), their_webhooks(theirs)
    domain, provider = their_sign_in(theirs.organisation)
    publish_rcas(theirs, window, agent("author@briqmind.example", "Aut Or"))
    passkey = Authenticator.objects.create(user=theirs.reporter, type="webauthn", data={"name": CANARY})
    device = UserSession.objects.create(
        user=theirs.reporter, ip="192.0.2.7", session_key="theirs", user_agent=CANARY
    )
    rows = {
        model._meta.model_name: model._base_manager.order_by("-pk").first() for model in apps.get_models()
    }
    pages = {name: row.pk if row else 1 for name, row in rows.items()}
    return pages | {
        "incident": theirs.pk,
        "user": theirs.reporter_id,
        "organisation": theirs.organisation_id,
        "incidents": theirs.reference,
        "attachments": theirs.attachments.get().pk,
        "messages": theirs.messages.get(kind="note").pk,
        "knowledge": "their-guide",
        "maintenance": window.reference,
        "maintenance-windows": window.reference,
        "channels": hooks.key,
        "log": hooks.messages.get().pk,
        "consents": window.consents.get().pk,
        "freezes": Freeze.objects.get().pk,
        "{verb}": 1,
        "calendar": dead_feed(theirs.reporter),
        "articles": "their-guide",
        "people": theirs.reporter.memberships.get().pk,
        "invitations": invited(theirs).pk,
        "teams": theirs.organisation.teams.create(name=CANARY).pk,
        "organisations": theirs.organisation.slug,
        "services": "only-theirs",
        "announcements": Announcement.objects.get().pk,
        "status": "only-theirs",
        "do": "reply",
        "person": theirs.reporter.pk,
        "kind": "outbox_texts",
        "actions": 1,
        "{number}": "move_action",
        "as": theirs.organisation.slug,
        "recurrence": theirs.pk,
        "steps": BridgeStep.objects.get().pk,
        "decide": "discard",
        "outage": "update",
        "reports": "2026-03",
        "all": "2026-03",
        "history": 1,
        "api": "no-such",
        "tokens": their_token(theirs),
        "r": ContentType.objects.get_for_model(Incident).pk,
        "{content_type_id}": theirs.pk,
        "admin": "incidents",
        "confirm-email": "MQ:1a:b",
        "oidc": "no-provider",
        "keys": passkey.pk,
        "sessions": device.pk,
        "domains": domain.pk,
        "providers": provider.key,
        "key": f"{int_to_base36(theirs.reporter_id)}-abc-def",
        **{name: channel(theirs.organisation, name, name=CANARY).key for name in ("slack", "mattermost")},
    }


def invented(values):
    """The same of what does not exist."""
    made_up = {name: 987654 if isinstance(value, int) else "no-such" for name, value in values.items()}
    kept = {
        name: values[name]
        for name in (
            "do",
            "decide",
            "outage",
            "reports",
            "all",
            "r",
            "admin",
            "confirm-email",
            "{number}",
            "kind",
        )
    }
    named = {
        "incidents": "INC-987654",
        "maintenance": "MW-987654",
        "maintenance-windows": "MW-987654",
        "calendar": "no-such.ics",
        "tokens": "0" * 16,
        "channels": UUID(int=987654),
        "slack": UUID(int=987655),
        "mattermost": UUID(int=987655),
    }
    return made_up | kept | named | {"key": f"{int_to_base36(987654)}-abc-def"}


def ask(client, method, address, **headers):
    """The answer, in which no byte and no header may hold the canary."""
    kind = "application/json" if "/api/" in address else "application/x-www-form-urlencoded"
    answer = client.generic(
        method, address, "{}" if "json" in kind else "", content_type=kind, headers=headers
    )
    shown = [
        b"".join(answer) if answer.streaming else answer.content,
        str(answer.headers),
        str(answer.cookies),
    ]
    assert CANARY not in str(shown), (method, address)
    assert answer.status_code < 500 or address == "/readyz", (method, address)
    return answer


def told(answer, address):
    """All that an answer tells: status, headers, body; but for the asked address itself and for tokens."""
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in ("Content-Length", "X-Request-ID")
    }
    text = f"{answer.status_code} {headers} {b'' if answer.streaming else answer.content}"
    text = text.replace(quote(address, safe=""), "…").replace(quote(address), "…").replace(address, "…")
    return re.sub(r'value="\w{64}"', "", text)


def same_for_both(client, pattern, names, compared=METHODS):
    """Each method's answer for Nordwind's values, which is the one for invented values."""
    address, made_up = fill(pattern, names), fill(pattern, invented(names))
    for method in METHODS:
        answer = ask(client, method, address)
        if address != made_up and method in compared:
            again = ask(client, method, made_up)
            assert told(answer, address) == told(again, made_up), (method, address)
        yield method, address, answer


def test_every_pattern_has_one_verdict():
    listed = [pattern for text in VERDICTS.values() for pattern in text.split()]
    found = set(patterns())
    assert len(listed) == len(set(listed))
    assert {pattern for pattern in found if not pattern.startswith("admin/")} == set(listed)
    assert len(by_verdict("staff")) > 80


# --- somebody who is not signed in ---


def test_an_anonymous_visitor_is_sent_to_sign_in(client, names):
    with Writes.noted() as writes:
        for pattern in by_verdict("page", "manager page", "fresh page", "object", "choice"):
            for method, address, answer in same_for_both(client, pattern, names):
                assert (answer.status_code, answer.url) == (302, f"/accounts/login/?next={address}"), method
    assert writes == []


def test_an_anonymous_visitor_of_the_api_needs_a_token(client, names):
    with Writes.noted() as writes:
        for pattern in by_verdict("api", "api object", "api own"):
            for method, address, answer in same_for_both(client, pattern, names):
                assert answer.status_code == 401, (method, address)
                assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert writes == []


def test_an_anonymous_visitor_never_enters_the_admin(client, names):
    with Writes.noted() as writes:
        for pattern in by_verdict("staff"):
            for method, address, answer in same_for_both(client, pattern, names, ("GET",)):
                where = {"admin/login/": "/accounts/login/", "admin/logout/": "/admin/"}
                expected = (302, where.get(pattern, "/admin/login/"))
                assert (answer.status_code, answer.url.partition("?")[0]) == expected, (method, address)
    assert writes == []


@pytest.mark.parametrize("who", ["anonymous", "a1"])
def test_open_pages_and_accounts_tell_nothing_of_anybody(client, a1, names, who):
    before = list(User.objects.order_by("pk").values())
    for pattern in by_verdict("open", "account"):
        if who == "a1":
            client.force_login(a1)
            before = list(User.objects.order_by("pk").values())
        for _method, _address, _answer in same_for_both(client, pattern, names):
            assert list(User.objects.order_by("pk").values()) == before


@pytest.mark.parametrize("who", ["", "a1", "g1"])
def test_an_alarm_source_s_address_is_for_nobody_else(client, names, who, request):
    if who:
        client.force_login(request.getfixturevalue(who))
    with Writes.noted() as writes:
        for pattern in by_verdict("source"):
            for method, address, answer in same_for_both(client, pattern, names):
                assert answer.status_code == 401, (method, address)
                assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert writes == []


@pytest.mark.parametrize("who", ["", "a1", "g1"])
def test_a_channel_s_address_is_for_its_service_only(client, names, who, request):
    if who:
        client.force_login(request.getfixturevalue(who))
    with Writes.noted() as writes:
        for pattern in by_verdict("channel"):
            for method, address, answer in same_for_both(client, pattern, names):
                assert answer.status_code == 401, (method, address)
                assert answer.headers["WWW-Authenticate"] == "Signature"
    assert writes == []


@pytest.mark.parametrize("who", ["", "a1", "g1"])
def test_an_address_that_is_a_key_opens_nothing_without_the_right_one(client, names, who, request):
    if who:
        client.force_login(request.getfixturevalue(who))
    with Writes.noted() as writes:
        for pattern in by_verdict("key"):
            for method, address, answer in same_for_both(client, pattern, names):
                takes = ("GET", "HEAD", "POST") if pattern.startswith("invitations/") else ("GET", "HEAD")
                expected = 404 if method in takes else 405
                assert answer.status_code == expected, (method, address)
    assert writes == []


# --- somebody of another organisation ---


def test_a_stranger_gets_404_for_every_object(client, a1, names):
    client.force_login(a1)
    for pattern in by_verdict("object", "api object"):
        with Writes.noted() as writes:
            for method, address, answer in same_for_both(client, pattern, names):
                is_page = method == "GET" and "/api/" not in address
                may_be = (404,) if is_page else (200, 404, 405) if method == "OPTIONS" else (404, 405)
                assert answer.status_code in may_be, (method, address, answer.status_code)
        assert writes == [], pattern


def test_a_stranger_finds_nothing_of_others_on_their_own_pages(client, a1, theirs, names):
    client.force_login(a1)
    for pattern in by_verdict("page", "api"):
        with Writes.noted() as writes:
            for method, address, answer in same_for_both(client, pattern, names):
                may_be = (200, 405) if method in ("GET", "HEAD", "OPTIONS") else (200, 400, 403, 405)
                if pattern == "api/v1/audit-entries/":
                    may_be = (403, 405)  # for managers only, and a1 is none
                assert answer.status_code in may_be, (method, address, answer.status_code)
                assert theirs.reference not in str(answer.content)
        # That they took their own report away is noted, and nothing else.
        noted = [sql for sql in writes if 'INTO "portal_audit' in sql]
        assert [sql for sql in writes if sql not in noted] == [], pattern
        assert not noted or pattern.endswith(("csv/", "pdf/")), pattern


def test_a_choice_of_somebody_else_s_organisation_is_none(client, a1, theirs):
    client.force_login(a1)
    with Writes.noted() as writes:
        chosen = {"organisation": theirs.organisation.slug, "next": "https://elsewhere.example/"}
        answer = client.post("/organisation/", chosen)
    assert (answer.status_code, answer.url, writes) == (302, "/", [])
    assert client.session["organisation"] == ""


def test_a_page_for_managers_is_closed_to_a_member(client, a1, names):
    client.force_login(a1)
    with Writes.noted() as writes:
        for pattern in by_verdict("manager page"):
            for method, address, answer in same_for_both(client, pattern, names):
                expected = 403 if method in ("GET", "HEAD", "POST") else 405
                assert answer.status_code in (expected, 405), (method, address)
    assert writes == []


def test_a_sensitive_page_asks_for_the_password_again(client, a1):
    client.force_login(a1)
    for pattern in by_verdict("fresh page"):
        for method in ("GET", "POST"):
            answer = ask(client, method, f"/{pattern}")
            assert answer.url.startswith("/accounts/reauthenticate/"), (method, pattern)


def test_a_customer_never_enters_the_admin(client, a1, names):
    client.force_login(a1)
    with Writes.noted() as writes:
        for pattern in by_verdict("staff"):
            for method, address, answer in same_for_both(client, pattern, names, ("GET",)):
                assert answer.status_code in (302, 403), (method, address)
                if answer.status_code == 302:
                    assert answer.url.partition("?")[0] in ("/admin/login/", "/admin/"), (method, address)
    assert writes == []


def test_whoever_left_the_organisation_is_a_stranger(client, a1):
    made = incident(a1, T0, files=[SimpleUploadedFile("a.txt", b"words")])
    file = f"{made.get_absolute_url()}attachments/{made.attachments.get().pk}/"
    api = f"/api/v1/incidents/{made.reference}/"
    client.force_login(a1)
    addresses = (made.get_absolute_url(), file, api)
    assert [ask(client, "GET", address).status_code for address in addresses] == [200, 200, 200]
    a1.memberships.all().delete()
    client.force_login(a1)  # the session of before is over
    for address in addresses:
        assert ask(client, "GET", address).status_code == 404, address
        assert ask(client, "GET", address, if_none_match="*", range="bytes=0-9").status_code == 404
    assert client.post(f"{made.get_absolute_url()}replies/", {"text": "hello"}).status_code == 404


def test_an_etag_of_theirs_is_no_key(client, a1, b1, theirs):
    addresses = [f"{theirs.get_absolute_url()}{page}" for page in ("now/", "timeline/")]
    client.force_login(b1)
    tags = [client.get(address).headers["ETag"] for address in addresses]
    client.force_login(a1)
    for address in addresses:
        for match in (*tags, "*"):
            assert ask(client, "GET", address, if_none_match=match).status_code == 404


# --- an object of one within an address of the other ---


def test_an_attachment_belongs_to_its_incident(client, a1, g1, theirs):
    file = SimpleUploadedFile("a.txt", b"words")
    mine, other = incident(a1, T0, files=[file]), incident(a1, T0, files=[file])
    note = actions.add_note(mine, by=g1, now=T0, channel="admin", text="internal", files=[file])
    assert note is not None
    internal = Attachment.objects.get(message__kind="note", incident=mine)
    own, foreign = mine.attachments.order_by("pk")[0], theirs.attachments.get()
    client.force_login(a1)
    for made, attachment, status in [
        (mine, own, 200),
        (mine, foreign, 404),
        (theirs, own, 404),
        (theirs, foreign, 404),
        (mine, other.attachments.get(), 404),
        (mine, internal, 404),
    ]:
        address = f"/incidents/{made.reference}/attachments/{attachment.pk}/"
        assert ask(client, "GET", address).status_code == status, (made, attachment)
    for guess in (f"/{own.file.name}", f"/media/{own.file.name}", f"/static/{own.file.name}"):
        assert client.get(guess).status_code == 404
    for twist in ("%2e%2e/", "..%2f", "//", "%00", "%0a"):
        address = f"/incidents/{mine.reference}/attachments/{twist}{foreign.pk}/"
        assert client.get(address).status_code == 404, twist


# --- their keys in my words ---


@pytest.fixture
def api(a1):
    """a1 with a token of their own."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {ApiToken.objects.create(user=a1)[1]}")
    return client


def rows_that_cross():
    """Rows that tie one organisation to an object of another."""
    crossing = []
    for made in Incident.objects.select_related("duplicate_of", "organisation"):
        used = Service.objects.used_by(made.organisation)
        crossing += [s for s in made.services.all() if s not in used]
        crossing += (
            [made] if made.duplicate_of and made.duplicate_of.organisation != made.organisation else []
        )
        crossing += made.solutions.exclude(article_version__article__organisation=None).exclude(
            article_version__article__organisation=made.organisation
        )
        people = [made.reporter, *(m.author for m in made.messages.filter(is_from_staff=False))]
        crossing += [p for p in people if not p.memberships.filter(organisation=made.organisation).exists()]
    crossing += Attachment.objects.exclude(message=None).exclude(message__incident=F("incident"))
    return crossing


def test_the_api_files_nothing_for_others(api, theirs):
    """And says the same of what is theirs as of what is nobody's."""
    own = theirs.organisation.subscriptions.last().service_id
    for field, value, nobodys in [
        ("organisation", theirs.organisation_id, 987654),
        ("organisation", theirs.organisation.slug, "no-such"),
        ("services", [own], [987654]),
        ("services", ["only-theirs"], ["no-such"]),
        ("reporter", theirs.reporter_id, 987654),
        ("reporter", theirs.reporter.email, "nobody@nordwind.example"),
    ]:
        said = []
        for given in (value, nobodys):
            with Writes.noted() as writes:
                answer = api.post("/api/v1/incidents/", {"title": "m", "claimed_level": "P3", field: given})
            assert (answer.status_code, list(answer.data["errors"]), writes) == (400, [field], [])
            word = str(given[0] if isinstance(given, list) else given)
            said.append(answer.content.decode().replace(f"={word} ", "=… "))
        assert said[0] == said[1]
        assert CANARY not in said[0]


def test_the_form_files_nothing_for_others(client, a1, theirs):
    mine = a1.memberships.get().organisation_id
    data = {"organisation": mine, "title": "mine", "claimed_level": "P3", "impact": "degraded", "token": "t"}
    client.force_login(a1)
    for field, value in [
        ("organisation", theirs.organisation_id),
        ("services", theirs.organisation.subscriptions.last().service_id),
    ]:
        with Writes.noted() as writes:
            answer = client.post("/incidents/new/", data | {field: value})
        assert (answer.status_code, list(answer.context["form"].errors), writes) == (400, [field], [])
        assert CANARY not in answer.content.decode()


@pytest.mark.parametrize("who", ["a1", "g1"])
def test_nothing_of_mine_is_tied_to_what_is_theirs(request, a1, g1, theirs, who):
    """Neither by a customer, who may not use these verbs, nor by staff, who see both sides."""
    mine = incident(a1, T0, level="P3")
    client = APIClient()
    client.force_authenticate(request.getfixturevalue(who))
    guide = Article.objects.get(slug="their-guide")
    refused = (400, 403)
    for noun, data in [
        ("duplicate", {"original": theirs.reference, "reason": "same"}),
        ("documented-solution", {"article": guide.slug, "text": "see there"}),
        ("documented-solution", {"article": guide.pk, "text": "see there"}),
        ("assignment", {"assignee": theirs.reporter.email}),
        ("intervention", {"engineer": theirs.reporter.email}),
    ]:
        with Writes.noted() as writes:
            answer = client.post(f"/api/v1/incidents/{mine.reference}/{noun}/", data)
        assert (answer.status_code in refused, writes) == (True, []), (noun, answer.status_code)
        if who == "a1":
            assert CANARY not in answer.content.decode()
    assert rows_that_cross() == []


def test_what_staff_type_at_the_desk_crosses_no_organisation(client, a1, g1, theirs):
    mine = incident(a1, T0, level="P3")
    guide = Article.objects.get(slug="their-guide")
    client.force_login(g1)
    for verb, data in [
        ("mark_duplicate", {"original": theirs.reference, "reason": "same"}),
        ("document_solution", {"article": guide.pk, "text": "see there"}),
        ("assign", {"assignee": theirs.reporter_id}),
        ("start_intervention", {"engineer": theirs.reporter_id}),
    ]:
        with Writes.noted() as writes:
            answer = client.post(f"/admin/incidents/incident/{mine.pk}/do/{verb}/", data)
        assert (answer.status_code, writes) == (400, []), verb
    for data in (
        {"organisation": mine.organisation_id, "reporter": theirs.reporter.email},
        {
            "organisation": mine.organisation_id,
            "reporter": a1.email,
            "services": theirs.organisation.subscriptions.last().service_id,
        },
    ):
        with Writes.noted() as writes:
            more = {"title": "by telephone", "claimed_level": "P3", "impact": "degraded"}
            answer = client.post("/admin/incidents/incident/add/", data | more)
        assert (answer.status_code, writes) == (400, []), data
    assert rows_that_cross() == []


def test_somebody_of_two_organisations_ties_them_not(client, a1, theirs):
    """They see both, so that a form offers both's services; the incident takes its own organisation's."""
    Membership.objects.create(user=a1, organisation=theirs.organisation, role="member")
    mine = Organisation.objects.get(name="Acme")
    both = APIClient()
    both.force_authenticate(a1)
    data = {"title": "mine", "claimed_level": "P3", "organisation": mine.slug, "services": ["only-theirs"]}
    client.force_login(a1)
    own = theirs.organisation.subscriptions.last().service_id
    form = {"title": "mine", "claimed_level": "P3", "organisation": mine.pk, "services": own, "token": "t"}
    with Writes.noted() as writes:
        assert both.post("/api/v1/incidents/", data).status_code == 400
        assert client.post("/incidents/new/", form | {"impact": "degraded"}).status_code == 400
    assert writes == []


# --- search, filters, counts ---

WORDS = (CANARY, CANARY[:6], f"{CANARY}*", "%", "_", "their-guide", "only-theirs", "Nordwind")


def test_a_search_finds_as_little_of_theirs_as_of_nothing(client, a1, g1, theirs):
    incident(a1, T0, title="mine")
    client.force_login(a1)
    for address in [
        "/incidents/?show=all&q={}",
        "/incidents/?show=all&service={}",
        "/incidents/?show=all&organisation={}",
        "/knowledge/?q={}",
        "/incidents/new/suggestions/?title={}",
    ]:
        nothing = client.get(address.format("zzzzzz")).content.decode()
        for word in WORDS:
            answer = client.get(address.format(quote(word))).content.decode()
            assert theirs.reference not in answer
            assert CANARY not in answer.replace(quote(word), "zzzzzz").replace(word, "zzzzzz")
            for sign in ("<li", "<tr", "INC-"):
                assert answer.count(sign) == nothing.count(sign), (address, word)


def test_the_api_lists_and_counts_my_own_only(api, a1, theirs):
    mine = incident(a1, T0, title="mine")
    listed = api.get("/api/v1/incidents/").data
    assert [row["reference"] for row in listed["results"]] == [mine.reference]
    for query in [
        f"q={CANARY}",
        f"q={theirs.reference}",
        "service=only-theirs",
        f"organisation={theirs.organisation.slug}",
        f"q={CANARY}&page_size=200",
    ]:
        answer = api.get(f"/api/v1/incidents/?{query}")
        assert (answer.status_code, answer.data["results"]) == (200, []), query
    counts = {
        noun: len(api.get(f"/api/v1/{noun}/").data["results"])
        for noun in ("services", "organisations", "articles")
    }
    assert counts == {"services": 2, "organisations": 1, "articles": 0}
    for extra in ("ordering=-organisation__name", "organisation__name=x", "reporter__password__startswith=m"):
        assert api.get(f"/api/v1/incidents/?{extra}").status_code == 400


def test_a_token_of_one_organisation_sees_no_other(a1, theirs, names):
    """Even of somebody who belongs to both."""
    Membership.objects.create(user=a1, organisation=theirs.organisation, role="member")
    incident_of_mine = Organisation.objects.get(name="Acme")
    token = ApiToken.objects.create(user=a1)
    ApiToken.objects.filter(pk=token[0].pk).update(organisation=incident_of_mine)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token[1]}")
    assert client.get("/api/v1/incidents/").data["results"] == []
    for pattern in by_verdict("api object"):
        if "slug" in pattern:
            continue
        answer = client.get(fill(pattern, names))
        assert answer.status_code in (404, 405), pattern
        assert CANARY not in answer.content.decode()
    data = {"title": "x", "claimed_level": "P3", "organisation": theirs.organisation.slug}
    assert client.post("/api/v1/incidents/", data).status_code == 400


# --- what nobody may assign ---

FORGED = {
    "id": 1,
    "pk": 1,
    "reference": "INC-1",
    "status": "closed",
    "validated_level": "P3",
    "level": "P3",
    "opened_at": "2020-01-01T00:00:00Z",
    "created_at": "2020-01-01T00:00:00Z",
    "received_at": "2020-01-01T00:00:00Z",
    "resolved_at": "2020-01-01T00:00:00Z",
    "next_due_at": "2030-01-01T00:00:00Z",
    "channel": "admin",
    "cycle": 9,
    "revision": 99,
    "by": 1,
    "author": 1,
    "assignee": 1,
    "kind": "note",
    "is_public": False,
    "is_internal": True,
    "is_from_staff": True,
    "is_staff": True,
    "is_superuser": True,
    "policy_version": 1,
    "duplicate_of": 1,
    "closed_as": "duplicate",
}


def filed(a1):
    """What a1's one new incident became."""
    made = Incident.objects.get(organisation__name="Acme")
    names = (
        "status",
        "validated_level",
        "level",
        "cycle",
        "assignee",
        "duplicate_of",
        "closed_as",
        "reporter",
    )
    assert made.opened_at.year == 2026
    return {name: getattr(made, name) for name in names}, made


EXPECTED = {
    "status": "reported",
    "validated_level": "",
    "level": "P1",
    "cycle": 1,
    "assignee": None,
    "duplicate_of": None,
    "closed_as": "",
}


def test_filing_assigns_only_what_a_customer_says(api, client, a1, theirs):
    said = {"title": "mine", "claimed_level": "P1"}
    assert api.post("/api/v1/incidents/", FORGED | said).status_code == 201
    found, made = filed(a1)
    assert (found, made.channel) == (EXPECTED | {"reporter": a1}, "api")
    Incident.objects.filter(pk=made.pk).update(organisation=theirs.organisation)
    client.force_login(a1)
    mine = a1.memberships.get().organisation_id
    form = said | {"organisation": mine, "impact": "degraded", "token": "t"}
    assert client.post("/incidents/new/", FORGED | form).status_code == 302
    found, made = filed(a1)
    assert (found, made.channel) == (EXPECTED | {"reporter": a1}, "portal")


@pytest.mark.parametrize("door", ["api", "portal"])
def test_a_reply_is_its_author_s_public_words(api, client, a1, theirs, door):
    made = incident(a1, T0)
    client.force_login(a1)
    if door == "api":
        answer = api.post(f"/api/v1/incidents/{made.reference}/replies/", FORGED | {"text": "mine"})
    else:
        answer = client.post(f"{made.get_absolute_url()}replies/", FORGED | {"text": "mine"})
    assert answer.status_code in (201, 302)
    message = Message.objects.get(text="mine")
    found = (message.incident, message.author, message.kind, message.is_public, message.is_from_staff)
    assert found == (made, a1, "reply", True, False)
    assert (message.channel, message.received_at.year) == (door, 2026)


def test_an_incident_is_changed_by_its_nouns_only(api, a1, theirs):
    made = incident(a1, T0)
    data = FORGED | {"organisation": theirs.organisation.slug, "title": "changed"}
    for noun in (
        f"incidents/{made.reference}/",
        "incidents/",
        "organisations/acme/",
        "services/vector-store/",
    ):
        for method in ("patch", "put", "delete"):
            with Writes.noted() as writes:
                assert getattr(api, method)(f"/api/v1/{noun}", data).status_code == 405
            assert writes == []


def test_a_profile_changes_no_right(client, a1, theirs):
    client.force_login(a1)
    own = {"name": "New", "language": "tr", "time_zone": "Europe/Berlin", "daily_summary_hour": "9"}
    more = {"email": theirs.reporter.email, "password": "x", "staff_role": "administrator", "is_active": ""}
    more |= {"memberships": theirs.organisation_id, "organisation": theirs.organisation_id, "role": "manager"}
    assert client.post("/profile/", FORGED | own | more).status_code == 302
    user = User.objects.get(pk=a1.pk)
    assert (user.name, user.email, user.password, user.staff_role) == ("New", a1.email, a1.password, "")
    assert (user.is_staff, user.is_superuser, user.is_active) == (False, False, True)
    assert [(m.organisation.name, m.role) for m in user.memberships.all()] == [("Acme", "member")]


# --- within one organisation ---


def test_a_viewer_reads_but_does_not_write(client, a1, a3):
    made = incident(a1, T0)
    client.force_login(a3)
    assert client.get(made.get_absolute_url()).status_code == 200
    answer = client.post(f"{made.get_absolute_url()}replies/", {"text": "hello"})
    assert (answer.status_code, made.messages.count()) == (403, 0)


def test_a_customer_never_reads_a_note(client, a1, g1):
    made = incident(a1, T0)
    actions.add_note(made, by=g1, now=T0, channel="admin", text=f"internal {CANARY}")
    client.force_login(a1)
    for address in ("", "timeline/", "now/"):
        assert CANARY not in client.get(made.get_absolute_url() + address).content.decode()
    for noun in ("", "events/", "replies/", "notes/"):
        assert CANARY not in client.get(f"/api/v1/incidents/{made.reference}/{noun}").content.decode()
