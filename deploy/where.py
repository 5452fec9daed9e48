"""Say for a shell where this installation's database and files are, from the environment that the portal reads.

Printed as `export NAME=value`, for `eval`: passwords reach the database's tools by the environment, where no list
of processes shows them.
"""

import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from portal import settings

database = settings.DATABASES["default"]
found: dict[str, object] = {"MEDIA_ROOT": settings.MEDIA_ROOT}
if database["ENGINE"].endswith("sqlite3"):
    found |= {"KIND": "sqlite", "SQLITE_FILE": database["NAME"]}
else:
    options = database.get("OPTIONS", {})
    found |= {
        "KIND": "postgresql",
        "PGHOST": database.get("HOST"),
        "PGPORT": database.get("PORT"),
        "PGUSER": database.get("USER"),
        "PGPASSWORD": database.get("PASSWORD"),
        "PGDATABASE": database.get("NAME"),
        "PGSSLMODE": options.get("sslmode"),
        "PGSSLROOTCERT": options.get("sslrootcert"),
    }
for name, value in found.items():
    if value:
        print(f"export {name}={shlex.quote(str(value))}")
