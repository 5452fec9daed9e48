"""Pagers and SMS by apprise: which services are let through, and that none of them can be led elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.parse import urlsplit

import apprise
import pytest
import requests
import time_machine
from django.core.exceptions import ValidationError

from portal import outbox
from portal.channels import guard, pagers
from portal.models import DeliveryAttempt, Endpoint, OutboxMessage
from tests.conftest import T0

State = OutboxMessage.State
KEY = "a" * 32
PHONE = "15551234567"

# An address for each service that is let through by default, and where it may go.
SERVICES = {
    "pagerduty": (f"pagerduty://{KEY}@{KEY}/", {"events.pagerduty.com", "events.eu.pagerduty.com"}),
    "opsgenie": (f"opsgenie://{KEY}/", {"api.opsgenie.com", "api.eu.opsgenie.com"}),
    "splunk": (f"splunk://routing@{KEY}/", {"alert.victorops.com"}),
    "victorops": (f"victorops://routing@{KEY}/", {"alert.victorops.com"}),
    "signl4": (f"signl4://{KEY}/", {"connect.signl4.com"}),
    "twilio": (f"twilio://AC{KEY}:{KEY}@{PHONE}/{PHONE}", {"api.twilio.com"}),
    "vonage": (f"vonage://{KEY[:8]}:{KEY[:16]}@{PHONE}/{PHONE}", {"rest.nexmo.com"}),
    "nexmo": (f"nexmo://{KEY[:8]}:{KEY[:16]}@{PHONE}/{PHONE}", {"rest.nexmo.com"}),
    "clickatell": (f"clickatell://{KEY}/{PHONE}", {"platform.clickatell.com"}),
    "msgbird": (f"msgbird://{KEY[:25]}/{PHONE}/{PHONE}", {"rest.messagebird.com"}),
    "sinch": (f"sinch://{KEY}:{KEY}@{PHONE}/{PHONE}", {"us.sms.api.sinch.com", "eu.sms.api.sinch.com"}),
    "d7sms": (f"d7sms://{KEY}@{PHONE}", {"api.d7networks.com"}),
    "pover": (f"pover://{KEY[:30]}@{KEY[:30]}", {"api.pushover.net"}),
}
WAKES = {
    "pagerduty": '"severity": "critical"',
    "splunk": '"message_type": "CRITICAL"',
    "opsgenie": '"message": "T"',
}
ELSEWHERE = ["json", "jsons", "xml", "form", "forms", "mailto", "mailtos", "ntfy", "ntfys", "gotify", "mmost"]
ELSEWHERE += [
    "slack",
    "syslog",
    "dbus",
    "windows",
    "macosx",
    "exec",
    "file",
    "http",
    "https",
    "rocket",
    "bark",
]
ELSEWHERE += ["schan", "matrix", "mqtt", "zulip", "nctalk", "apprise", "workflows", "smseagle", "fluxer"]


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


class Answer:
    status_code = 202
    content = b"{}"
    text = "{}"
    headers: dict = {}


@pytest.fixture
def asked(monkeypatch):
    """What apprise asks of the network: (method, host, keywords) each; every answer is good."""
    found = []

    def ask(session, method, url, **more):
        found.append((method, urlsplit(url).hostname, more))
        return Answer()

    monkeypatch.setattr(requests.Session, "request", ask)
    return found


def endpoint(url, **more) -> Endpoint:
    return Endpoint(name="Pager", url=url, service="apprise", **more)


def clean(made) -> None:
    made.full_clean(validate_constraints=False, validate_unique=False)


def test_each_service_that_is_let_through_is_one_of_these(settings):
    assert sorted(settings.PAGER_SCHEMAS) == sorted(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_its_host_cannot_be_chosen(name, asked):
    url, hosts = SERVICES[name]
    clean(endpoint(url))
    pagers.check(url).notify(title="T", body="B", notify_type="failure")
    assert asked
    assert {host for _method, host, _more in asked} <= hosts
    assert {more["allow_redirects"] for _method, _host, more in asked} == {False}
    assert {more["verify"] for _method, _host, more in asked} == {True}
    assert "host" not in apprise.Apprise.instantiate(url).template_tokens


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("more", ["host", "url", "region", "hostname", "server", "to", "schema", "endpoint"])
def test_no_word_of_the_address_leads_it_elsewhere(name, more, asked):
    url, hosts = SERVICES[name]
    for led in (
        f"{url}?{more}=evil.example",
        f"{url}?{more}=evil.example%2F%23",
        f"{url}?{more}=https%3A//127.0.0.1/",
    ):
        try:
            pagers.check(led).notify(title="T", body="B")
        except guard.Refused:
            continue
    assert {host for _method, host, _more in asked} <= hosts


@pytest.mark.parametrize("name", WAKES)
def test_a_page_wakes_somebody(name, asked):
    pagers.check(SERVICES[name][0]).notify(title="T", body="B", notify_type=pagers.WAKES)
    [(_method, _host, more)] = asked
    assert WAKES[name] in str(more["data"])


@pytest.mark.parametrize("name", ELSEWHERE)
def test_no_other_service_is_let_through(name, asked):
    url = f"{name}://evil.example/path"
    with pytest.raises(ValidationError) as refusal:
        clean(endpoint(url))
    assert "url" in refusal.value.message_dict
    with pytest.raises(pagers.Permanent):
        pagers.send(endpoint(url), rendered())
    assert asked == []


@pytest.mark.parametrize("name", ["json", "mmost", "ntfy", "rocket", "bark", "smseagle"])
def test_a_service_that_has_a_host_is_refused_even_where_the_installation_names_it(name, settings, asked):
    settings.PAGER_SCHEMAS = [name]
    with pytest.raises(guard.Refused):
        pagers.check(f"{name}://user:{KEY}@evil.example/{KEY}/{PHONE}")
    assert asked == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pagerduty",
        "pagerduty://",
        "pagerduty:// ",
        f"pagerduty://{KEY}@{KEY}/\n",
        f" pagerduty://{KEY}@{KEY}/",
        f"json://evil.example/?pagerduty://{KEY}@{KEY}/",
        f"pagerduty+json://{KEY}@{KEY}/",
        f"pagerduty://{KEY}@{KEY}/, json://evil.example/",
        f"{SERVICES['pagerduty'][0]}?verify=no",
        f"{SERVICES['twilio'][0]}/" + "/".join(f"1555123456{n}" for n in range(9)),
        f"{SERVICES['signl4'][0]}?retry=9",
    ],
)
def test_what_is_no_address_of_one_pager_is_refused(url):
    with pytest.raises(guard.Refused):
        pagers.check(url)


def test_the_name_of_the_service_may_be_in_capitals():
    clean(endpoint(SERVICES["signl4"][0].replace("signl4", "SIGNL4")))


# --- used for pagers only ---


@pytest.mark.parametrize(
    ("service", "use", "is_right"),
    [
        ("apprise", "pager", True),
        ("apprise", "channel", False),
        ("apprise", "webhooks", False),
        ("webhook", "pager", True),
        ("webhook", "channel", True),
        ("webhook", "webhooks", True),
        *(
            (service, use, use == "channel")
            for service in ("slack", "teams", "mattermost")
            for use in ("pager", "channel", "webhooks")
        ),
    ],
)
@pytest.mark.django_db
def test_what_listens_there_fits_what_it_is_used_for(acme, service, use, is_right):
    made = Endpoint(
        name="E",
        url=SERVICES["signl4"][0] if service == "apprise" else "https://hooks.example.com/x",
        service=service,
        use=use,
        organisation=None if use == "pager" else acme,
    )
    if is_right:
        clean(made)
        return
    with pytest.raises(ValidationError) as refusal:
        clean(made)
    assert "service" in refusal.value.message_dict


def test_a_service_that_does_not_exist_is_refused():
    with pytest.raises(ValidationError) as refusal:
        clean(Endpoint(name="E", url="https://hooks.example.com/", service="carrier-pigeon"))
    assert "service" in refusal.value.message_dict


@pytest.mark.django_db
def test_a_token_needs_to_know_its_room(acme):
    made = Endpoint(
        name="E",
        url="https://slack.com/api/chat.postMessage",
        service="slack",
        use="channel",
        organisation=acme,
    )
    clean(made)
    made.access_token = "xoxb-1"
    with pytest.raises(ValidationError) as refusal:
        clean(made)
    assert "room_id" in refusal.value.message_dict
    made.room_id = "C1"
    clean(made)


# --- what is sent ---


def rendered(**more):
    return pagers.Rendered(
        **{"subject": "INC-7: down", "text": "Text.\n", "html": "", "url": "https://portal.example/INC-7/"}
        | more
    )


@pytest.fixture
def said(monkeypatch):
    """What the service is told; it takes what `says` holds."""

    class Said(list):
        says = True

    found = Said()

    def notify(service, **more):
        if isinstance(found.says, Exception):
            raise found.says
        found.append(more)
        return found.says

    monkeypatch.setattr(apprise.NotifyBase, "notify", notify)
    return found


def test_a_page_says_title_text_and_link(said):
    sent = pagers.send(endpoint(SERVICES["signl4"][0]), rendered(subject="INC-7:\r\ndown", text="T" * 9000))
    [told] = said
    assert (told["title"], told["body_format"]) == ("INC-7: down", "text")
    assert told["notify_type"] == "failure"  # some services page nobody for less, or close an alert
    assert told["body"].startswith("TTT")
    assert told["body"].endswith("…\n\nhttps://portal.example/INC-7/")
    assert len(told["body"]) < 700
    assert (sent.address, sent.text, sent.subject) == ("signl4://", told["body"], "INC-7: down")


@pytest.mark.django_db
@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("says", [False, RuntimeError(f"cannot ask https://x/{KEY}"), True])
def test_what_becomes_of_a_page(said, says, g1, caplog):
    said.says = says
    made = Endpoint.objects.create(name="P", url=SERVICES["signl4"][0], service="apprise", person=g1)
    outbox.enqueue(
        "plain", g1, now=T0, dedupe_key="one", channel="webhook", endpoint=made, next_channels=["email"]
    )
    outbox.sweep(T0, channel="webhook")
    row = OutboxMessage.objects.get(dedupe_key="one")
    assert row.state == (State.SENT if says is True else State.QUEUED)
    assert OutboxMessage.objects.filter(dedupe_key="one:email").exists() is (says is not True)
    attempt = DeliveryAttempt.objects.get()
    assert attempt.is_accepted is (says is True)
    assert KEY not in f"{row.state_reason} {row.answer} {row.address} {attempt.answer} {caplog.text} {made!r}"


@pytest.mark.django_db
@pytest.mark.usefixtures("plain")
def test_without_the_package_it_says_what_to_install(monkeypatch, g1):
    monkeypatch.setitem(sys.modules, "apprise", None)
    made = Endpoint.objects.create(name="P", url=SERVICES["signl4"][0], service="apprise", person=g1)
    outbox.enqueue("plain", g1, now=T0, dedupe_key="one", channel="webhook", endpoint=made)
    outbox.sweep(T0, channel="webhook")
    row = OutboxMessage.objects.get(dedupe_key="one")
    assert row.state == State.SET_ASIDE
    assert "support-portal[pager]" in row.state_reason


def test_the_address_is_a_secret():
    made = endpoint(SERVICES["signl4"][0])
    assert made.origin == "signl4://"
    assert endpoint("json://evil.example/").origin == "—"


def test_our_own_modules_do_not_load_it():
    code = "import django; django.setup(); import sys; assert 'apprise' not in sys.modules"
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        timeout=60,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "portal.settings", "DEBUG": "true"},
    )
