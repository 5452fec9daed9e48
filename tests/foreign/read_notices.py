"""`python read_notices.py FOLDER`: what circuit-maintenance-parser reads in each .ics file there, as JSON.

It runs in an environment of its own (requirements.lock), for that parser needs an older icalendar than ours.
"""

import json
import pathlib
import sys

from circuit_maintenance_parser import NotificationData, init_provider


def read(path: pathlib.Path) -> dict:
    """The notice in a file; the parser's own error for one that is not valid."""
    data = NotificationData.init_from_raw("ical", path.read_bytes())
    try:
        [notice] = init_provider("genericprovider").get_maintenances(data)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return json.loads(notice.to_json())


def main() -> None:
    found = sorted(pathlib.Path(sys.argv[1]).glob("*.ics"))
    print(json.dumps({path.stem: read(path) for path in found}))


if __name__ == "__main__":
    main()
