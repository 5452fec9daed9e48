"""Calls to identity providers go by a guarded line: bounded, without redirects, proxies or passwords of files."""

from __future__ import annotations

import socket
import threading

import pytest

from portal import identity_calls
from portal.channels import calls


@pytest.fixture
def raw(settings):
    """Serves one connection with the bytes given; the address, and what was asked."""
    made, asked = [], []

    def serve(answer: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        made.append(server)

        def run() -> None:
            line, _address = server.accept()
            with line:
                asked.append(line.recv(65536))
                line.sendall(answer)

        threading.Thread(target=run, daemon=True).start()
        port = server.getsockname()[1]
        settings.IDENTITY_ALLOWED_HOSTS = [f"127.0.0.1:{port}"]
        return f"http://127.0.0.1:{port}/path?x=1"

    yield serve, asked
    for server in made:
        server.close()


def get(url: str, **headers: str):
    with identity_calls.session() as line:
        return line.get(url, headers=headers)


def test_an_answer_comes_back_whole(raw):
    serve, asked = raw
    answer = get(
        serve(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{"a": 1}')
    )
    assert (answer.status_code, answer.json(), answer.headers["content-type"]) == (
        200,
        {"a": 1},
        "application/json",
    )
    assert asked[0].startswith(b"GET /path?x=1 HTTP/1.1\r\n")


def test_a_redirect_is_not_followed(raw):
    serve, asked = raw
    url = serve(b"HTTP/1.1 302 Found\r\nLocation: https://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(identity_calls.Unreachable, match="redirect"):
        get(url)
    assert len(asked) == 1


def test_too_long_an_answer_is_not_read(raw, monkeypatch):
    serve, _asked = raw
    monkeypatch.setattr(identity_calls, "ANSWER_BYTES", 10)
    with pytest.raises(identity_calls.Unreachable, match="too long"):
        get(serve(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n12345678901"))


def test_a_silent_server_ends_in_time(settings, monkeypatch):
    monkeypatch.setattr(calls, "TOTAL_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings.IDENTITY_ALLOWED_HOSTS = [f"127.0.0.1:{port}"]
        with pytest.raises(identity_calls.Unreachable):
            get(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b""])
def test_nonsense_is_said_to_be_none(raw, answer):
    serve, _asked = raw
    with pytest.raises(identity_calls.Unreachable):
        get(serve(answer))


def test_a_name_of_the_inside_is_blocked_at_the_line(monkeypatch):
    """The name looks public, and its address is not."""
    inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: inside)
    with pytest.raises(identity_calls.Unreachable, match="inner network"):
        get("https://login.acme.example/")


def test_no_proxy_and_no_password_file_of_the_environment(raw, monkeypatch, tmp_path):
    serve, asked = raw
    url = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login x password hush\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert get(url).status_code == 200
    assert b"authorization" not in asked[0].lower()
