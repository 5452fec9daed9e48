"""A small IMAP server (RFC 3501, MOVE by RFC 6851): `python -m tests.imap_sink --port N` keeps mails in memory.

Only what a mailbox that is polled needs. Folders are dicts of UID -> [raw, INTERNALDATE, flags]; a test in
the same process puts mails into them, one in another process uses APPEND.
"""

from __future__ import annotations

import argparse
import re
import socketserver
import threading
from datetime import UTC, datetime

LITERAL = re.compile(rb"\{(\d+)\}$")


class Session(socketserver.StreamRequestHandler):
    server: ImapServer

    def handle(self) -> None:
        self.folder: dict[int, list] = {}
        self.say("* OK ready")
        while line := self.rfile.readline():
            tag, _, rest = line.rstrip(b"\r\n").decode("latin-1").partition(" ")
            with self.server.lock:
                self.server.log.append(rest)
            if not self.answer(tag, rest):
                return

    def say(self, text: str | bytes) -> None:
        self.wfile.write((text.encode("latin-1") if isinstance(text, str) else text) + b"\r\n")

    def answer(self, tag: str, rest: str) -> bool:
        words = rest.split(" ")
        name = words[0].upper()
        is_uid = name == "UID"
        if is_uid:
            words = words[1:]
            name = words[0].upper()
        done = getattr(self, f"do_{name.lower()}", self.unknown)(tag, words[1:], rest)
        if done is not None:
            self.say(f"{tag} {done}")
        return name != "LOGOUT"

    def unknown(self, tag, words, rest):
        return "BAD unknown"

    def do_capability(self, tag, words, rest):
        self.say("* CAPABILITY IMAP4rev1" + (" MOVE" if self.server.has_move else ""))
        return "OK done"

    def do_login(self, tag, words, rest):
        return "OK in" if rest.endswith(f'"{self.server.password}"') else "NO wrong"

    def do_noop(self, tag, words, rest):
        return "OK done"

    def do_select(self, tag, words, rest):
        name = words[0].strip('"')
        if name not in self.server.folders:
            return "NO no such folder"
        self.folder = self.server.folders[name]
        self.say(f"* {len(self.folder)} EXISTS")
        self.say(f"* OK [UIDVALIDITY {self.server.validity}] valid")
        return "OK [READ-WRITE] done"

    def do_list(self, tag, words, rest):
        asked = words[-1].strip('"')
        for name in self.server.folders:
            if asked in ("*", "%", name):
                self.say(f'* LIST () "/" "{name}"')
        return "OK done"

    def do_create(self, tag, words, rest):
        self.server.folders.setdefault(words[0].strip('"'), {})
        return "OK done"

    def do_append(self, tag, words, rest):
        size = int(LITERAL.search(rest.encode("latin-1"))[1])
        self.say("+ go on")
        raw = self.rfile.read(size)
        self.rfile.readline()
        self.server.put(raw, folder=words[0].strip('"'))
        return "OK done"

    def do_search(self, tag, words, rest):
        keyword = words[-1] if "UNKEYWORD" in rest.upper() else None
        with self.server.lock:
            found = [str(uid) for uid, mail in self.folder.items() if keyword not in mail[2]]
        self.say(f"* SEARCH {' '.join(found)}".rstrip())
        return "OK done"

    def do_fetch(self, tag, words, rest):
        uid = int(words[0])
        mail = self.folder.get(uid)
        if mail is None:
            return "OK nothing"
        if uid in self.server.broken:
            return "NO cannot"
        raw, at, _flags = mail
        date = at.astimezone(UTC).strftime("%d-%b-%Y %H:%M:%S +0000")
        size = self.server.sizes.get(uid, len(raw))
        if "BODY" not in rest:
            self.say(f'* 1 FETCH (UID {uid} RFC822.SIZE {size} INTERNALDATE "{date}")')
            return "OK done"
        part = raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if "HEADER" in rest else raw
        self.wfile.write(b"* 1 FETCH (UID %d BODY[] {%d}\r\n" % (uid, len(part)) + part + b")\r\n")
        return "OK done"

    def do_store(self, tag, words, rest):
        mail = self.folder.get(int(words[0]))
        if self.server.refuses_marks:
            return "NO read only"
        if mail:
            mail[2] |= set(re.sub(r"[()]", "", " ".join(words[2:])).split())
        return "OK done"

    def do_move(self, tag, words, rest):
        return self.copy(words, is_move=True)

    def do_copy(self, tag, words, rest):
        return self.copy(words, is_move=False)

    def copy(self, words, *, is_move):
        with self.server.lock:
            if self.server.refuses_moves or words[1].strip('"') not in self.server.folders:
                return "NO not there"
            uid = int(words[0])
            mail = self.folder.pop(uid, None) if is_move else self.folder.get(uid)
            if mail:
                self.server.put(mail[0], folder=words[1].strip('"'), at=mail[1])
        return "OK done"

    def do_expunge(self, tag, words, rest):
        for uid in [uid for uid, mail in self.folder.items() if r"\Deleted" in mail[2]]:
            del self.folder[uid]
        return "OK done"

    def do_close(self, tag, words, rest):
        return "OK done"

    def do_logout(self, tag, words, rest):
        self.say("* BYE")
        return "OK done"


class ImapServer(socketserver.ThreadingTCPServer):
    """Folders, and the ways in which it misbehaves."""

    daemon_threads = allow_reuse_address = True

    def __init__(self, port: int = 0, password: str = "pass word") -> None:
        super().__init__(("127.0.0.1", port), Session)
        self.password = password
        self.folders: dict[str, dict[int, list]] = {"INBOX": {}}
        self.validity, self.next_uid = 1, 1
        self.has_move, self.refuses_moves, self.refuses_marks = True, False, False
        self.broken: set[int] = set()
        self.sizes: dict[int, int] = {}
        self.log: list[str] = []
        self.lock = threading.RLock()

    @property
    def port(self) -> int:
        return self.server_address[1]

    def put(self, raw: bytes, *, folder: str = "INBOX", at: datetime | None = None) -> int:
        with self.lock:
            uid, self.next_uid = self.next_uid, self.next_uid + 1
            body = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            self.folders[folder][uid] = [body, at or datetime.now(UTC), set()]
        return uid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    with ImapServer(parser.parse_args().port) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
