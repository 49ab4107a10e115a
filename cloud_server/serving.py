"""A server process from its start to its end: signals, the line that says it is ready, the supervisor's heartbeat."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cloud_server.config import ServerConfig
    from cloud_server.reread import Reread
    from cloud_server.server import CloudServer
    from edge_sdk.systemd.supervisor import Supervisor

BROKEN = 70
"""Exit code of a server whose model hangs or fails on everything."""


async def serve(config: ServerConfig, port_file: Path | None, reread: Reread | None = None) -> int:
    """Serve until a signal comes or the model breaks; returns the code to end with at once: threads may hang.

    Args:
        config: the settings.
        port_file: the port is written there; None: nowhere.
        reread: reads the config file again; None: there is none.
    """
    from cloud_server.server import CloudServer
    from edge_sdk.durable.files import write_whole
    from edge_sdk.errors import ConfigError
    from edge_sdk.systemd.supervisor import Supervisor

    server, supervisor = CloudServer(config, reread=reread), Supervisor()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    had_terminal = os.isatty(0)
    reloads: set[asyncio.Task[bool]] = set()

    def on_hangup() -> None:
        if had_terminal and not os.isatty(0):  # the terminal is gone, not a wish to reload
            on_signal(signal.SIGTERM)
        elif server.address and not stop.is_set():
            task = loop.create_task(server.reload())
            reloads.add(task)
            task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    starting, stopping = asyncio.create_task(server.start()), asyncio.create_task(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        say("ended before it was ready: 0 frames answered")
        os._exit(0)  # the thread that loads the model cannot be stopped
    try:
        await starting
        if port_file is not None:
            try:
                write_whole(port_file, server.address.rpartition(":")[2])
            except OSError as error:
                raise ConfigError(f"cannot write the port file {port_file}: {error.strerror or error}") from error
        _tell_ready(server.address)
        supervisor.ready(f"listening on {server.address}")
        broken = asyncio.create_task(server.broken())
        beating = asyncio.create_task(_beat(server, supervisor))
        await asyncio.wait((stopping, broken), return_when=asyncio.FIRST_COMPLETED)
        beating.cancel()
    except BaseException:
        stopping.cancel()
        if server.address:
            await server.stop()
        raise
    supervisor.stopping()
    was_broken = broken.done()
    broken.cancel()
    stopping.cancel()
    await server.stop()
    if was_broken:
        say(f"ended with code {BROKEN}, so that a supervisor starts it again: the model hung or failed on everything")
    say(f"ended: {server.stats.total()}")
    return BROKEN if was_broken else 0


async def _beat(server: CloudServer, supervisor: Supervisor) -> None:
    """Tell the supervisor that the server lives, only while it does; a loop that is held up tells nothing."""
    if supervisor.watchdog_s is None:
        return
    while True:
        if server.is_serving:
            supervisor.alive()
        await asyncio.sleep(supervisor.watchdog_s / 3)


def _tell_ready(address: str) -> None:
    """Print the line that says where the server listens; a full disk or a closed pipe behind it ends nothing."""
    try:
        click.echo(f"listening on {address}")
        sys.stdout.flush()
    except OSError as error:
        logging.getLogger(__name__).error("cannot write to standard output, and go on without: %s", error)
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - what could not be written is not tried again at the end


def say(text: str) -> None:
    """Print a line on standard error, if that can be done."""
    with suppress(OSError):  # as the log: whoever reads it may be gone, the disk full
        click.echo(f"cloud-server: {text}", err=True)


def end_with_stdin() -> None:
    """Wait for the end of standard input, which comes when the parent dies, however it dies."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
