"""An SMTP server in a process of its own: `python -m tests.smtp_sink --port N --dir D` keeps each mail as a file."""

from __future__ import annotations

import argparse
import asyncio
import pathlib
import uuid

from aiosmtpd.controller import Controller


class Keep:
    """Writes every accepted message to a file before it answers 250."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    async def handle_DATA(self, server, session, envelope):
        (self.folder / f"{uuid.uuid4().hex}.eml").write_bytes(envelope.content)
        await asyncio.sleep(0.002)
        return "250 kept"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dir", type=pathlib.Path, required=True)
    args = parser.parse_args()
    args.dir.mkdir(parents=True, exist_ok=True)
    Controller(Keep(args.dir), hostname="127.0.0.1", port=args.port).start()
    print("ready", flush=True)
    asyncio.new_event_loop().run_forever()


if __name__ == "__main__":
    main()
