#!/usr/bin/env bash
# Restore a backup into an empty database and an empty folder: deploy/restore.sh BACKUP.
#
# Where to is what the environment says, as for the portal itself. Nothing is overwritten. The restored portal
# sends no message and fetches no mail until `manage.py release_outbox`.
set -euo pipefail
umask 077
[ $# = 1 ] || { echo "usage: deploy/restore.sh BACKUP" >&2; exit 2; }
backup=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
python=$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python)
refuse() { echo "$1 Nothing was changed." >&2; exit 1; }
found=$("$python" deploy/where.py)
eval "$found"

(cd "$backup" && sha256sum --check --quiet MANIFEST) || refuse "The backup is damaged or not whole."
[ -z "$(ls -A "$MEDIA_ROOT" 2>/dev/null)" ] || refuse "There are files in $MEDIA_ROOT."
if [ "$KIND" = sqlite ]; then
  [ -f "$backup/database.sqlite3" ] || refuse "The backup is not of SQLite, which DATABASE_URL names."
  [ ! -e "$SQLITE_FILE" ] || refuse "There is a database at $SQLITE_FILE."
  mkdir -p "$(dirname "$SQLITE_FILE")"
  cp "$backup/database.sqlite3" "$SQLITE_FILE"
else
  [ -f "$backup/database.dump" ] || refuse "The backup is not of PostgreSQL, which DATABASE_URL names."
  tables=$(psql -XAtc "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')")
  [ "$tables" = 0 ] || refuse "The database has $tables tables."
  pg_restore --no-owner --no-privileges --exit-on-error --single-transaction --dbname "$PGDATABASE" "$backup/database.dump"
  psql -XAtqc "ANALYZE"
fi
mkdir -p "$MEDIA_ROOT"
tar --extract --file "$backup/files.tar" --directory "$MEDIA_ROOT"

cat <<'WORDS'
Restored. Nothing is sent or fetched yet. Next:
  manage.py migrate          if the code is newer than the backup
  manage.py verify_clocks    every stored clock is what its facts give
  manage.py verify_audit     no sealed row was changed
  manage.py release_outbox   only where this copy takes the place of the original
                             (--drop-waiting: the original has sent what waited)
WORDS
