"""Where webhooks may go (hardening W): refused when an endpoint is saved, and again when a webhook is sent."""

from __future__ import annotations

import ipaddress
import socket

import pytest
import time_machine
from django.core.exceptions import ValidationError

from portal import outbox
from portal.channels import guard
from portal.models import Endpoint, OutboxMessage
from tests.conftest import T0
from tests.webhook_sink import Sink

REFUSED_WORDS = """
    https://127.0.0.1/ https://127.8.9.1:8443/ https://[::1]/ https://[::ffff:127.0.0.1]/ https://[::ffff:7f00:1]/
    https://[::127.0.0.1]/ https://0.0.0.0/ https://[::]/ https://2130706433/ https://0x7f000001/ https://0x7f.1/
    https://0177.0.0.1/ https://127.1/ https://127.0.0.1./ https://0/ https://1.1.1/ https://08.8.8.8/
    https://example.0x7f/ https://10.1.2.3/ https://172.16.0.1/ https://172.31.255.255/ https://192.168.1.1/
    https://100.64.0.1/ https://169.254.169.254/latest/ https://[fd00:ec2::254]/ https://[fc00::1]/
    https://[fe80::1]/ https://[fe80::1%25eth0]/ https://[2606:4700::1111%25eth0]/ https://192.0.0.1/
    https://192.0.2.1/ https://198.18.0.1/ https://198.51.100.1/ https://203.0.113.1/ https://224.0.0.1/
    https://255.255.255.255/ https://240.0.0.1/ https://[ff02::1]/ https://[2002:7f00:1::]/
    https://[64:ff9b::7f00:1]/ https://[64:ff9b:1::7f00:1]/ https://[2001::1]/ https://[2001:db8::1]/
    https://localhost/ https://localhost./ https://LOCALHOST/ https://a.localhost/ https://hooks.example.com./
    https://intranet/ https://printer.local/ https://metadata.google.internal/ https://db.lan/
    https://hooks。example。com/ https://127。0。0。1/ https://①②⑦.0.0.1/ https://hooks．example.com/ https://bücher.example/
    https://user:word@hooks.example.com/ https://user@hooks.example.com/ https://@hooks.example.com/
    https://hooks.example.com@127.0.0.1/ https://hooks.example.com\\@127.0.0.1/ https://127.0.0.1\\.example.com/
    https://hooks.example.com:22/ https://hooks.example.com:25/ https://hooks.example.com:5432/
    https://hooks.example.com:6379/ https://hooks.example.com:0/ https://hooks.example.com:1/
    https://hooks.example.com:445/ https://hooks.example.com:99999/ https://hooks.example.com:x/
    http://hooks.example.com/ file:///etc/passwd gopher://hooks.example.com/ ftp://hooks.example.com/
    unix:/run/x.sock //hooks.example.com/ hooks.example.com https:/hooks.example.com https:// https:///x https://[/
    https://%31%32%37.0.0.1/ https://hooks..example.com/ https://.example.com/ javascript:alert(1) https://-/
"""
REFUSED = [
    *REFUSED_WORDS.split(),
    "",
    " https://hooks.example.com/",
    "https://hooks.example.com/\n",
    "https://hooks.example.com/a b",
    "https://hooks.example.com/a\\b",
    "https://192.88.99.1/",
    "https://[3fff::1]/",
]
REFUSED += ["https://hooks.exam\tple.com/", "https://127.0.0.1\0.example.com/", "https://hooks.example.com/ü"]

TAKEN = [
    "https://hooks.example.com/",
    "https://hooks.example.com/services/T0/B0?x=1&y=%20#part",
    "https://hooks.example.com:8443/",
    "https://hooks.example.com:80/",
    "HTTPS://Hooks.Example.COM/",
    "https://xn--bcher-kva.example/",
    "https://93.184.216.34/",
    "https://[2606:2800:220:1::1]/",
]


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(T0, tick=False) as traveller:
        yield traveller


@pytest.fixture
def sink(tmp_path):
    with Sink(0, tmp_path) as sink:
        yield sink


@pytest.fixture
def dns(monkeypatch):
    """A resolver of our own: `dns[name]` is a list of answers, each a list of (address, port)."""
    answers: dict[str, list] = {}

    def resolve(host, port, *args, **more):
        found = []
        for address, at in answers[host].pop(0):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            found.append((family, socket.SOCK_STREAM, 6, "", (address, at)))
        return found

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return answers


def send(url) -> OutboxMessage:
    """One webhook to an endpoint that got by the check at its saving, however it did."""
    endpoint = Endpoint.objects.create(name="Room", url=url)
    outbox.enqueue("endpoint_test", None, now=T0, dedupe_key="one", channel="webhook", endpoint=endpoint)
    outbox.sweep(T0, channel="webhook")
    return OutboxMessage.objects.get(dedupe_key="one")


@pytest.mark.parametrize("url", REFUSED, ids=ascii)
def test_an_address_inside_is_refused_at_its_saving(url):
    with pytest.raises(ValidationError) as refusal:
        Endpoint(name="Room", url=url).full_clean(validate_constraints=False, validate_unique=False)
    assert "url" in refusal.value.message_dict
    with pytest.raises(guard.Refused):
        guard.check(url)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "url", [url for url in REFUSED if "\0" not in url], ids=ascii
)  # no database takes it
def test_and_again_when_a_webhook_is_sent(url, monkeypatch):
    def never(*details, **more):
        raise AssertionError("nobody may be asked or called")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    monkeypatch.setattr(socket.socket, "connect", never)
    message = send(url)
    assert (message.state, message.attempts) == ("set_aside", 1)
    assert message.state_reason
    assert "Error" not in message.state_reason


@pytest.mark.parametrize("url", TAKEN)
def test_an_address_outside_is_taken(url):
    Endpoint(name="Room", url=url).full_clean(validate_constraints=False, validate_unique=False)


PRIVATE = [
    "127.0.0.1",
    "10.0.0.9",
    "169.254.169.254",
    "::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "fd00::1",
]


@pytest.mark.django_db
@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_inside_is_not_called(sink, dns, address):
    port = sink.server_address[1]
    dns["hooks.example.com"] = [[(address, port)]]
    message = send(f"https://hooks.example.com:{port}/")
    assert (message.state, message.state_reason) == (
        "set_aside",
        "The host is at an address of an inner network.",
    )
    assert sink.connections == 0


@pytest.mark.django_db
@pytest.mark.parametrize("order", [1, -1])
def test_one_private_address_among_two_refuses_both(sink, dns, monkeypatch, order):
    port = sink.server_address[1]
    called = []
    monkeypatch.setattr(socket.socket, "connect", lambda line, address: called.append(address))
    dns["hooks.example.com"] = [[("93.184.216.34", port), ("127.0.0.1", port)][::order]]
    message = send(f"https://hooks.example.com:{port}/")
    assert (message.state, called, sink.connections) == ("set_aside", [], 0)


@pytest.mark.django_db
def test_a_name_that_changes_its_mind_gains_nothing(sink, dns, monkeypatch):
    """Rebinding: the first answer is public, each further one is private. There is no further one."""
    port = sink.server_address[1]
    called = []

    def connect(line, address):
        called.append(address)
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(socket.socket, "connect", connect)
    dns["hooks.example.com"] = [[("93.184.216.34", port)], [("127.0.0.1", port)]]
    message = send(f"https://hooks.example.com:{port}/")
    assert called == [("93.184.216.34", port)]
    assert len(dns["hooks.example.com"]) == 1  # asked once
    assert (message.state, sink.connections) == ("queued", 0)


def test_no_more_than_two_addresses_of_a_name_are_tried(dns, monkeypatch):
    called = []

    def connect(line, address):
        called.append(address[0])
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(socket.socket, "connect", connect)
    dns["hooks.example.com"] = [[(f"93.184.216.{number}", 443) for number in range(9)]]
    with pytest.raises(ConnectionRefusedError):
        guard.connect(guard.check("https://hooks.example.com/"))
    assert called == ["93.184.216.0", "93.184.216.1"]


@pytest.mark.django_db
def test_a_name_that_was_public_at_its_saving_and_leads_inside_at_a_retry_is_refused(
    sink, dns, clock, monkeypatch
):
    port = sink.server_address[1]
    monkeypatch.setattr(guard, "CONNECT_SECONDS", 0.01)
    dns["hooks.example.com"] = [[], [("127.0.0.1", port)]]
    assert send(f"https://hooks.example.com:{port}/").state == "queued"
    clock.shift(10)
    outbox.sweep(T0, channel="webhook")
    message = OutboxMessage.objects.get(dedupe_key="one")
    assert (message.state, sink.connections) == ("set_aside", 0)


@pytest.mark.django_db
@pytest.mark.parametrize("named", ["127.0.0.1", "127.0.0.1:{port}"])
def test_a_receiver_inside_is_called_where_the_installation_names_it(sink, settings, named):
    settings.WEBHOOK_ALLOWED_HOSTS = [named.format(port=sink.server_address[1])]
    assert (send(sink.url).state, sink.connections) == ("sent", 1)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9001/",
        "http://localhost:9000/",
        "http://127.0.0.1:9000@hooks.example.com/",
        "http://u@127.0.0.1:9000/",
        "ftp://127.0.0.1:9000/",
        "http://127.1:9000/",
        "http://[::1]:9000/",
    ],
)
def test_naming_one_receiver_opens_no_other_door(settings, url):
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1:9000"]
    with pytest.raises(guard.Refused):
        guard.check(url)


@pytest.mark.parametrize(
    ("named", "url"),
    [
        ("hooks.corp:443", "https://hooks.corp/"),
        ("hooks.corp:80", "http://hooks.corp/"),
        ("[fd00::1]:9000", "http://[fd00::1]:9000/"),
        ("hooks.corp", "http://HOOKS.corp:25/"),
    ],
)
def test_a_receiver_is_named_by_host_or_host_and_port(settings, named, url):
    settings.WEBHOOK_ALLOWED_HOSTS = [named]
    assert guard.check(url).is_allowed


def test_every_special_network_is_refused_at_both_its_ends():
    for network in guard.SPECIAL:
        assert not guard.is_public(network[0])
        assert not guard.is_public(network[-1])
    for address in ("1.1.1.1", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "2a00::1"):
        assert guard.is_public(ipaddress.ip_address(address))


def test_the_origin_tells_nothing_of_the_path():
    assert guard.check("https://hooks.example.com/services/hush?token=hush").origin == (
        "https://hooks.example.com/"
    )
    assert guard.check("https://[2606:2800:220:1::1]:8443/x").origin == "https://[2606:2800:220:1::1]:8443/"
