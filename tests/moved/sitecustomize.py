"""With this folder on PYTHONPATH, a process lives at the time that the file MOVED_CLOCK names.

Python imports `sitecustomize` by itself when it starts. The file holds an ISO 8601 instant; whenever it is
rewritten, every process of the product moves there at once, and its clock ticks on. Monotonic time, by
which sleeps and timeouts are measured, stays real.
"""

import datetime
import os
import pathlib
import threading
import time

import time_machine


class Follower:
    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.said = path.read_text()
        self.traveller = time_machine.travel(datetime.datetime.fromisoformat(self.said)).start()
        self.start()
        os.register_at_fork(after_in_child=self.start)  # a forked child inherits the time, not the thread

    def start(self) -> None:
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self) -> None:
        while True:
            time.sleep(0.02)
            now = self.path.read_text()
            if now and now != self.said:
                self.said = now
                self.traveller.move_to(datetime.datetime.fromisoformat(now))


if "MOVED_CLOCK" in os.environ:
    Follower(pathlib.Path(os.environ["MOVED_CLOCK"]))
