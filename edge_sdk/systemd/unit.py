"""The units that systemd runs a device and a server by: what they may reach is what they need, and nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")

_HARDENING = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
PrivateTmp=yes
PrivateMounts=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
DevicePolicy=closed"""

_CAMERA_DEVICES = (
    "char-video4linux rw",
    "char-media rw",
    "char-dma_heap rw",
    "char-drm rw",
    "char-usb_device rw",
    "char-gpiochip rw",
    "/dev/vcio rw",
)
_GPU_DEVICES = ("char-nvidia* rw", "char-drm rw")
_STEPS_FROM = 254  # release of systemd that knows RestartSteps


@dataclass(frozen=True, slots=True)
class Unit:
    """A service.

    Attributes:
        name: of the unit and of its state folder below /var/lib.
        description: one line, for people.
        command: the program, absolute, and its arguments.
        user: who it runs as; systemd's sysusers makes it.
        groups: further groups of the user.
        devices: what of /dev it may reach, as `DeviceAllow=` has it.
        writable: folders beside its state that it writes.
        reads: files and folders that it reads; homes are not hidden from it where one of them lies there.
        start_s: longest time until it is ready.
        stop_s: longest time until it has ended.
        watchdog_s: longest time without a sign of life.
        needs_network: it starts once the network is up; False: it waits for nothing.
        extra: further lines of [Service].
    """

    name: str
    description: str
    command: tuple[str, ...]
    user: str
    groups: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    start_s: int = 120
    stop_s: int = 60
    watchdog_s: int = 120
    needs_network: bool = False
    extra: tuple[str, ...] = ()

    def text(self, *, release: int = 0) -> str:
        """The unit file.

        Args:
            release: of systemd; 0: not known, so that only what old ones know is used.
        """
        return "\n".join(self._lines(release)) + "\n"

    def users(self) -> str:
        """The file for systemd-sysusers."""
        lines = [f'u {self.user} - "{self.description}"', *(f"m {self.user} {group}" for group in self.groups)]
        return "\n".join(lines) + "\n"

    def _lines(self, release: int) -> Iterator[str]:
        yield f"{mark(self.name)}; change it by `systemctl edit {self.name}`."
        yield "[Unit]"
        yield f"Description={self.description}"
        if self.needs_network:
            yield "Wants=network-online.target"
        yield f"After={'network-online' if self.needs_network else 'network'}.target time-sync.target"
        yield "# It is never given up: nobody may come by for months."
        yield "StartLimitIntervalSec=0"
        yield ""
        yield "[Service]"
        yield "Type=notify"
        yield f"ExecStart={' '.join(map(quoted, self.command))}"
        yield "ExecReload=/bin/kill -HUP $MAINPID"
        yield f"User={self.user}"
        if self.groups:
            yield f"SupplementaryGroups={' '.join(self.groups)}"
        yield f"StateDirectory={self.name}"
        yield "StateDirectoryMode=0700"
        yield "Environment=XDG_STATE_HOME=%S"
        yield "UMask=0077"
        yield f"TimeoutStartSec={self.start_s}"
        yield f"TimeoutStopSec={self.stop_s}"
        yield f"WatchdogSec={self.watchdog_s}"
        yield "Restart=always"
        yield "RestartSec=15"
        if release >= _STEPS_FROM:
            yield "RestartSteps=6"
            yield "RestartMaxDelaySec=10min"
        yield "# Stopped while it starts."
        yield "SuccessExitStatus=143"
        yield "# A config file that cannot be used is not mended by a restart."
        yield "RestartPreventExitStatus=78"
        yield "LogRateLimitIntervalSec=30s"
        yield "LogRateLimitBurst=300"
        yield from self.extra
        yield ""
        at_home = any(map(in_a_home, (self.command[0], *self.reads, *self.writable)))
        yield f"ProtectHome={'read-only' if at_home else 'yes'}"
        yield _HARDENING
        yield from (f"DeviceAllow={device}" for device in self.devices)
        yield from (f"ReadWritePaths=-{quoted(path)}" for path in self.writable)
        yield ""
        yield "[Install]"
        yield "WantedBy=multi-user.target"


def device_unit(python: str, config: str, *, user: str = "edge-sdk", reads: Sequence[Path] = ()) -> Unit:
    """The service of a device, `edge-sdk run`.

    Args:
        python: the interpreter, absolute.
        config: the config file, absolute.
        user: who it runs as.
        reads: what else it reads, absolute.
    """
    command = python, "-m", "edge_sdk", "run", "--config", config
    read = config, *map(str, reads)
    return Unit("edge-sdk", "Camera of edge-sdk", command, user, groups=("video",), devices=_CAMERA_DEVICES, reads=read)


def server_unit(
    python: str,
    arguments: Sequence[str],
    *,
    user: str = "cloud-server",
    writes: Sequence[Path] = (),
    reads: Sequence[Path] = (),
) -> Unit:
    """The service of a server, `cloud-server`.

    Args:
        python: the interpreter, absolute.
        arguments: of cloud-server.
        user: who it runs as.
        writes: folders beside its state folder that it writes, absolute.
        reads: what it reads, absolute.
    """
    return Unit(
        "cloud-server",
        "Big model of edge-sdk",
        (python, "-m", "cloud_server", *arguments),
        user,
        devices=_GPU_DEVICES,
        writable=tuple(str(path) for path in writes if not path.is_relative_to("/var/lib/cloud-server")),
        reads=tuple(map(str, reads)),
        start_s=600,  # a large model takes a while to load
        watchdog_s=60,
        needs_network=True,
        extra=("LimitNOFILE=65536", "CacheDirectory=cloud-server", "Environment=XDG_CACHE_HOME=%C"),
    )


def mark(name: str) -> str:
    """How a file begins that `install-service` has written: of the command that has the unit's name."""
    return f"# Written by `{name} install-service`"


def volatile_journal() -> str:
    """A drop-in of journald that keeps the system's log in memory: it wears no disk, and a power cut ends it."""
    return f"{mark('edge-sdk')}: the log is in memory.\n[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n"


def quoted(word: str) -> str:
    """A word of a command line as systemd reads it: no specifier, variable or blank of it counts."""
    escaped = word.replace("%", "%%").replace("$", "$$")
    if _PLAIN.fullmatch(word):
        return escaped
    inner = escaped.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{inner}"'


def in_a_home(path: str) -> bool:
    """Whether a path, or what it links to, lies in what `ProtectHome=` hides."""
    return any(found.startswith(("/home/", "/root/", "/run/user/")) for found in (path, os.path.realpath(path)))
