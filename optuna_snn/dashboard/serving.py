"""The dashboard on a port of this machine: on loopback, unless told otherwise."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from optuna_snn.dashboard.application import WSGIApplication, dashboard_app
from optuna_snn.dashboard.view import StudyView, open_view
from optuna_snn.database.address import LOOPBACK, is_loopback
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage.urls import MAX_PORT

__all__ = ["DEFAULT_PORT", "LOOPBACK", "bound_server", "serve_dashboard"]

DEFAULT_PORT = 8080
"""optuna-dashboard's own default."""


def serve_dashboard(
    storage: str,
    *,
    host: str = LOOPBACK,
    port: int = DEFAULT_PORT,
    artifacts: Path | None = None,
    study_name: str | None = None,
    on_ready: Callable[[str, bool], None] = lambda url, is_local: None,
) -> None:
    """Serve the dashboard of all studies in a storage, which is only read.

    It ends by a KeyboardInterrupt, which is not raised again.

    Args:
        storage: An SQLite file or a URL, as of `open_storage`.
        host: The address of this machine to listen on. There is no password: whoever reaches it
            reads all studies of the storage.
        port: The TCP port; 0 takes a free one.
        artifacts: The folder of the artifacts; None is that of `RasterArtifacts.in_folder()`.
        study_name: The study whose page `on_ready` is told.
        on_ready: Called once it listens, with the URL to open and whether only this machine can.

    Raises:
        RunError: the storage cannot be read, has no such study, or nothing can listen there.
    """
    if not 0 <= port <= MAX_PORT:
        raise RunError(f"the port must be 0 to {MAX_PORT}, got {port}")
    is_local = is_loopback(host)
    view = open_view(storage)
    page = "/dashboard" if study_name is None else _study_page(view, study_name)
    with bound_server(dashboard_app(view, artifacts=artifacts), host, port) as server:
        on_ready(f"http://{_in_url(host)}:{server.server_port}{page}", is_local)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def bound_server(app: WSGIApplication, host: str, port: int) -> WSGIServer:
    """A server that listens already; a thread answers each request once it is told to serve.

    Raises:
        RunError: another program listens there, or this user may not.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        server = (_Server6 if family == socket.AF_INET6 else _Server)((host, port), _Handler)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise RunError(
                f"port {port} is taken by another program; name another --port, or 0 for a free "
                "one"
            ) from error
        if error.errno == errno.EACCES:
            raise RunError(
                f"only root may listen on port {port}; name one above 1023 with --port"
            ) from error
        raise RunError(
            f"cannot listen on {host} port {port}: {error.strerror or error}"
        ) from error
    server.set_app(app)
    return server


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a page that still loads does not keep the program from ending

    def server_bind(self) -> None:
        """As HTTPServer's, without its look-up of the host's name, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing where a browser went away in the middle of an answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: an open page asks every few seconds."""


def _study_page(view: StudyView, study_name: str) -> str:
    studies = {study.study_name: study._study_id for study in view.get_all_studies()}
    if study_name not in studies:
        there = ", ".join(map(repr, studies)) or "none"
        raise RunError(f"the storage has no study {study_name!r}; its studies: {there}")
    return f"/dashboard/studies/{studies[study_name]}"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
