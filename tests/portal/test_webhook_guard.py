"""Where webhooks may go (hardening W): refused when an endpoint is saved, and again when a webhook is sent."""

from __future__ import annotations

import ipaddress
import socket
import time

import pytest
import time_machine
from django.core.exceptions import ValidationError

from portal import outbox
from portal.channels import calls, guard
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
    https://[64:ff9b::a00:1]/ https://[64:ff9b::10.0.0.1]/ https://[::ffff:0:127.0.0.1]/ https://[::ffff:0:7f00:1]/
    https://[::7f00:1]/ https://[0:0:0:0:0:ffff:7f00:0001]/ https://[::FFFF:10.0.0.1]/ https://[fec0::1]/
    https://[2001:0:7f00:1::]/ https://[2001:20::1]/ https://[5f00::1]/ https://[fe80::1%eth0]/ https://[::1%251]/
    https://[::ffff:127.0.0.1%25lo]/ https://[2002:a00:1::1]/ https://[127.0.0.1]/ https://[v1.127.0.0.1]/
    https://１２７.0.0.1/ https://127.0.0.１/ https://１０.１.２.３/ https://hooks.example.com:４４３/ https://ｌocalhost/
    https://%6c%6f%63%61%6c%68%6f%73%74/ https://127.0.0.1%2eexample.com/ https://127%2e0%2e0%2e1/
    https://hooks.example.com%00.evil.example/ https://hooks.example.com%0d%0a/ https://127.0.0.1%23@hooks.example.com/
    https://localhost.localdomain/ https://Metadata.Google.Internal/ https://metadata.google.internal./ https://x.LOCAL/
    https://hooks.example.com../ https://hooks.example.com.:443/ https://0x7F000001/ https://0X7f.0.0.1/ https://017700000001/
    https://127.0.0.1:443:443/ https://hooks.example.com:+443/ https://hooks.example.com:-1/ https://hooks.example.com:4_43/
    https://hooks.example.com:443@127.0.0.1/ https://a:b@127.0.0.1:443/ https://:@hooks.example.com/ https://hooks.example.com:143/
    https://hooks.example.com:3306/ https://hooks.example.com:11211/ https://hooks.example.com:27017/ https://hooks.example.com:65536/
    HTTP://hooks.example.com/ ftps://hooks.example.com/ dict://hooks.example.com/ ws://hooks.example.com/ data:text/html,x
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
REFUSED += [
    "https://hooks.example.com/\r\nX-Evil: 1",
    "https://hooks.example.com/\rX-Evil: 1",
    "https://hooks.example.com/x HTTP/1.1\r\n\r\nGET /",
    "https://hooks.example.com\u2028/",
    "https://hooks.example.com/\x7f",
    "https://127.0.0\u200b.1/",
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
    "https://hooks.example.com/%0d%0aX-Evil:%201",
    "https://hooks.example.com/#@127.0.0.1/",
    "https://hooks.example.com?@127.0.0.1/",
    "https://hooks.example.com/https://127.0.0.1/",
    "https://10.example.com/",
    "https://localhost.example.com/",
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


def send(url, **more) -> OutboxMessage:
    """One webhook to an endpoint that got by the check at its saving, however it did."""
    endpoint = Endpoint.objects.create(name="Room", url=url, **more)
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


@pytest.mark.django_db
@pytest.mark.parametrize("place", [0, 1, 2, 25, 49])
def test_one_private_address_among_many_refuses_all(sink, dns, monkeypatch, place):
    """Also where it stands behind those that would be tried."""
    called = []
    monkeypatch.setattr(socket.socket, "connect", lambda line, address: called.append(address))
    answer = [(f"93.184.216.{number}", 443) for number in range(49)]
    answer.insert(place, ("10.0.0.1", 443))
    dns["hooks.example.com"] = [answer]
    assert (send("https://hooks.example.com/").state, called) == ("set_aside", [])


@pytest.mark.django_db
@pytest.mark.parametrize("use", ["pager", "channel", "webhooks"])
def test_no_use_of_an_endpoint_goes_inside(sink, dns, acme, use):
    port = sink.server_address[1]
    dns["hooks.example.com"] = [[("127.0.0.1", port)]] * 2
    Endpoint.objects.all().delete()
    message = send(
        f"https://hooks.example.com:{port}/", use=use, organisation=None if use == "pager" else acme
    )
    assert message.state == ("queued" if use == "webhooks" else "set_aside")
    assert sink.connections == 0


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
@pytest.mark.parametrize(
    "place", ["http://{inner}/", "//{inner}/", "http://169.254.169.254/latest/meta-data/"]
)
@pytest.mark.django_db
def test_a_redirect_leads_nowhere(settings, tmp_path, status, place):
    with Sink(0, tmp_path / "inner") as inner, Sink(0, tmp_path / "outer", status=status) as outer:
        outer.headers = {
            "Location": place.format(inner=inner.host),
            "Refresh": f"0; url=http://{inner.host}/",
        }
        settings.WEBHOOK_ALLOWED_HOSTS = [outer.host]
        assert send(outer.url).state == "queued"
        assert (outer.connections, inner.connections) == (1, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name", ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"]
)
def test_a_proxy_of_the_environment_is_not_asked(settings, tmp_path, monkeypatch, name):
    with Sink(0, tmp_path / "proxy") as proxy, Sink(0, tmp_path / "outer") as outer:
        monkeypatch.setenv(name, f"http://{proxy.host}")
        settings.WEBHOOK_ALLOWED_HOSTS = [outer.host]
        assert send(outer.url).state == "sent"
        assert (outer.connections, proxy.connections) == (1, 0)


@pytest.mark.django_db
def test_a_resolver_that_takes_too_long_has_nothing_sent(sink, monkeypatch):
    """By then the lease may be somebody else's, and the message on its way from there."""
    port = sink.server_address[1]

    def resolve(*details, **more):
        time.sleep(0.4)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(calls, "TOTAL_SECONDS", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    target = guard.Target("http", "hooks.example.com", port, "/", is_allowed=True)
    monkeypatch.setattr(guard, "check", lambda url: target)
    message = send("http://hooks.example.com/")
    assert (message.state, sink.received()) == ("queued", [])
    assert "took longer" in message.state_reason


@pytest.mark.parametrize("length", [500, 501, 5000])
def test_an_address_fits_its_column_or_is_refused(length):
    url = "https://hooks.example.com/" + "x" * (length - 26)
    made = Endpoint(name="Room", url=url)
    if length <= 500:
        made.full_clean(validate_constraints=False, validate_unique=False)
        return
    with pytest.raises(ValidationError) as refusal:
        made.full_clean(validate_constraints=False, validate_unique=False)
    assert "url" in refusal.value.message_dict


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
