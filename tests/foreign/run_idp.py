"""Serve one identity provider, which is not ours: Canaille, in an environment of its own.

The first line of stdin says whom it knows, each further line changes the groups; "ready" and "done" are
the answers. It ends with its stdin. Loopback only.
"""

from __future__ import annotations

import json
import sys
import threading

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server


def configuration(port: int) -> dict:
    return {
        "SECRET_KEY": "of-one-test-run-only",
        "SERVER_NAME": f"127.0.0.1:{port}",
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE": {"FORCE_HTTPS": False, "DATABASE": "memory", "JAVASCRIPT": False},
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True)]},
    }


def populate(said: dict) -> None:
    for person in said["people"]:
        user = models.User(
            user_name=person["name"],
            formatted_name=person["name"].title(),
            family_name=person["name"].title(),
            emails=[person["email"]],
            password=said["password"],
        )
        Backend.instance.save(user)
    client = models.Client(
        client_id=said["client_id"],
        client_secret=said["client_secret"],
        client_name="Support portal",
        client_uri="http://127.0.0.1",  # of a trusted domain: nobody is asked for consent
        redirect_uris=[said["redirect_uri"]],
        grant_types=["authorization_code"],
        response_types=["code"],
        scope=["openid", "profile", "email", "groups"],
        token_endpoint_auth_method=said["method"],
    )
    Backend.instance.save(client)
    client.audience = [client]
    Backend.instance.save(client)
    arrange(said["groups"])


def arrange(groups: dict[str, list[str]]) -> None:
    """Make the groups what is said (Canaille has no empty ones), and forget codes that nobody came for.

    Its memory backend, asked for a code of a client, also finds the client's other codes.
    """
    for code in Backend.instance.query(models.AuthorizationCode):
        Backend.instance.delete(code)
    for name, members in groups.items():
        found = Backend.instance.query(models.Group, display_name=name)
        group = found[0] if found else models.Group(display_name=name)
        group.members = [Backend.instance.get(models.User, user_name=each) for each in members]
        Backend.instance.save(group)


def main() -> None:
    said = json.loads(sys.stdin.readline())
    app = create_app(config=configuration(said["port"]))
    with app.app_context():
        populate(said)
    server = make_server("127.0.0.1", said["port"], app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        with app.app_context():
            arrange(json.loads(line))
        print("done", flush=True)


if __name__ == "__main__":
    main()
