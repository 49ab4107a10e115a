"""What a supervisor (systemd) is told: that a device or a server is ready, that it lives, that it ends.

The protocol is that of `sd_notify(3)`: datagrams of `NAME=VALUE` lines to the socket that the environment names.
Without that variable nothing is sent, and nothing needs systemd.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

from edge_sdk.terminal.line import one_line

_log = logging.getLogger(__name__)


class Supervisor:
    """The supervisor that started this process, if one did.

    Args:
        environment: `NOTIFY_SOCKET` names the socket, an absolute path, or `@name` in the abstract name space;
            `WATCHDOG_USEC` says how often the process must speak up, `WATCHDOG_PID` which process.
        patience_s: most seconds that `ready` and `stopping` wait where the socket is full, as while a busy machine
            starts; what is told again and again is left out then.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ, *, patience_s: float = 10.0) -> None:
        self._patience_s = patience_s
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address and self._address[0] not in "/@":
            _log.warning("expected NOTIFY_SOCKET as /PATH or @NAME; got %.100r: nothing is told there", self._address)
            self._address = ""
        self.watchdog_s = self._watchdog_s(environment) if self._address else None

    def ready(self, what: str) -> None:
        """All is loaded and at work; `what` is shown by `systemctl status`."""
        self._tell(f"READY=1\nSTATUS={one_line(what)}", self._patience_s)

    def alive(self) -> None:
        """All is well; the supervisor restarts a process that does not say so for `watchdog_s` seconds."""
        self._tell("WATCHDOG=1")

    def status(self, what: str) -> None:
        """What the process does, in words."""
        self._tell(f"STATUS={one_line(what)}")

    def stopping(self, what: str = "draining") -> None:
        """The process ends; `what` it does until then."""
        self._tell(f"STOPPING=1\nSTATUS={what}", self._patience_s)

    def _tell(self, message: str, patience_s: float = 0.0) -> None:
        """Send one datagram; a supervisor that cannot be told keeps no process from its work for longer than that."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.settimeout(patience_s)
                out.connect(address)
                out.send(message.encode())
        except OSError as error:
            _log.debug("the supervisor was not told %r: %s", message, error)

    @staticmethod
    def _watchdog_s(environment: Mapping[str, str]) -> float | None:
        """Seconds between two signs of life that the supervisor expects; None: it expects none of this process."""
        if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
            return None
        text = environment.get("WATCHDOG_USEC", "")
        return int(text) / 1e6 if text.isascii() and text.isdigit() and int(text) else None
