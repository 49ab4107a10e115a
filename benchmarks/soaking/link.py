"""The link of the soak: a TCP relay on loopback that can cut its connections, or swallow what comes."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self


class Relay:
    """Relays connections to `server_port` while its `with` block runs.

    Attributes:
        port: where it listens on 127.0.0.1.
        swallows: while True, connections are taken and what comes through them goes nowhere: half-open.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.swallows = False
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Break every connection off."""
        with self._lock:
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                device, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(device,), daemon=True).start()

    def _relay(self, device: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port))
        except OSError:
            device.close()
            return
        with self._lock:
            self._sockets |= {device, server}
        back = threading.Thread(target=self._copy, args=(server, device), daemon=True)
        back.start()
        self._copy(device, server)
        back.join()
        with self._lock:
            self._sockets -= {device, server}
        device.close()
        server.close()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                if not self.swallows:
                    target.sendall(data)
        except OSError:
            pass
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
