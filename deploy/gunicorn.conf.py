"""The web server. What differs between installations comes from the environment (docs/settings.md)."""

import os
import tempfile
from typing import Any

bind = f"{os.environ.get('WEB_BIND', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("THREADS", "8"))
worker_class = "gthread"
os.environ["THREADS"] = str(threads)  # the pool of each process has a connection for each thread

# SIGTERM and SIGHUP: take no more, answer what came. Less than whoever stops us waits until it kills.
graceful_timeout = 30
timeout = 60  # of a process that does not move any more, not of a request
keepalive = 75  # longer than the proxy's, so that it never writes into a connection that we close
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
control_socket_disable = True

# Where all processes of this server keep the times of their requests: empty at each start, and kept over a reload.
if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="portal-figures-")


def child_exit(server: Any, worker: Any) -> None:
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 (it looks for the folder when imported)

    mark_process_dead(worker.pid)
