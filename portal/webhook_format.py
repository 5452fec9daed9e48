"""What a webhook looks like, for whoever writes a receiver."""

from __future__ import annotations

import json

from django.conf import settings

TYPE = "incident.acknowledged"


def example() -> str:
    """A webhook's body as JSON, of an incident that does not exist."""
    url = f"{settings.SITE_URL}/incidents/INC-1042/"
    said = {
        "type": TYPE,
        "timestamp": "2026-03-03T10:04:00Z",
        "data": {
            "event": {
                "id": 81,
                "kind": TYPE.partition(".")[2],
                "at": "2026-03-03T10:04:00Z",
                "by": {"name": "Deniz Kaya", "side": "staff"},
                "channel": "admin",
            },
            "incident": {
                "reference": "INC-1042",
                "title": "Inference API answers 503",
                "claimed_level": "P1",
                "validated_level": None,
                "status": "acknowledged",
                "url": url,
            },
            "url": url,
        },
    }
    return json.dumps(said, indent=2)
