#!/usr/bin/env bash
# Back up database and files while the portal runs: deploy/backup.sh FOLDER. Prints the new folder in it.
#
# The database first, in one consistent state, and the files after it: each row of the backup has its file, and
# what was filed meanwhile leaves at most a file without a row. SECRET_KEY is not in it: keep that elsewhere, for
# without it the sealed secrets of channels and second factors cannot be read.
set -euo pipefail
umask 077
[ $# = 1 ] || { echo "usage: deploy/backup.sh FOLDER" >&2; exit 2; }
cd "$(dirname "$0")/.."
python=$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python)
found=$("$python" deploy/where.py)
eval "$found"
mkdir -p "$1"
folder=$(cd "$1" && pwd)
name=$(date -u +%Y%m%dT%H%M%SZ)
target="$folder/$name.unfinished"
mkdir "$target"

if [ "$KIND" = sqlite ]; then
  "$python" - "$SQLITE_FILE" "$target/database.sqlite3" <<'PYTHON'
import contextlib, sqlite3, sys
with contextlib.closing(sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=60)) as source:
    with contextlib.closing(sqlite3.connect(sys.argv[2])) as copy:
        source.backup(copy)
        assert copy.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
PYTHON
else
  pg_dump --format=custom --no-owner --no-privileges --file "$target/database.dump"
fi

mkdir -p "$MEDIA_ROOT"
# A file that retention deletes meanwhile, or that is being written, is no fault: 1 is tar's word for it.
tar --create --file "$target/files.tar" --directory "$MEDIA_ROOT" --warning=no-file-changed \
  --warning=no-file-removed . || [ $? = 1 ]
(cd "$target" && sha256sum database.* files.tar >MANIFEST)
sync -f "$target" 2>/dev/null || sync
mv "$target" "$folder/$name" # only a whole one has this name
echo "$folder/$name"
