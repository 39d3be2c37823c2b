"""The daemon's life: start-up in an order that loses nothing, signals, shutdown with containers left running."""

import asyncio
import contextlib
import logging
import os
import signal
from pathlib import Path

import uvloop

from engine import daemon_log
from engine.api.app import App
from engine.api.gate import Gate
from engine.api.transport.listen import Listener, Serving, TlsFiles, open_listeners, serve
from engine.config import reload
from engine.config.failures import ConfigError
from engine.config.settings import Config
from engine.core.errors import WharfError
from engine.daemon.assembly import Daemon, assemble
from engine.daemon.system import instant_answers
from engine.drivers.linux.notify import Notifier

log = logging.getLogger(__name__)


def run(config: Config) -> int:
    """Be the daemon until a signal ends it; return the exit status. Raises OSError where it cannot start."""
    status: int = uvloop.run(_live(config))
    return status


async def _live(config: Config) -> int:
    notifier = Notifier()
    _keep_descriptors()
    # First of all, so that clients wait for a daemon that is still starting instead of being refused.
    listeners = await asyncio.to_thread(open_listeners, config.hosts, config.group, _tls(config))
    started_in = Path.cwd()
    try:
        daemon = await _started(config)
    except BaseException:
        _close(listeners)
        raise
    if daemon is None:
        _close(listeners)
        return 1
    app = App(daemon.handlers, instant_answers(daemon.authorizers), Gate(daemon.authorizers))
    app.server.outright = daemon.http2
    serving = await serve(app.server, listeners)
    notifier.ready()
    log.info("API listen on %s", ", ".join(config.hosts))
    await _until_told(daemon, notifier, started_in)
    notifier.stopping()
    await _stop(daemon, app, serving, config.shutdown_timeout)
    return 0


async def _started(config: Config) -> Daemon | None:
    try:
        daemon = await assemble(config)
        await daemon.restore()
    except WharfError as error:
        log.critical("failed to start daemon: %s", error)
        return None
    return daemon


def _keep_descriptors() -> None:
    """What the daemon was started with is not for its children: conmon keeps what it inherits."""
    for entry in list(Path("/proc/self/fd").iterdir()):
        if int(entry.name) > 2:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(entry.name), False)


def _close(listeners: list[Listener]) -> None:
    for listener in listeners:
        listener.close()


def _tls(config: Config) -> TlsFiles | None:
    if not config.tls:
        return None
    return TlsFiles(config.tlscert, config.tlskey, config.tlscacert if config.tlsverify else "")


async def _until_told(daemon: Daemon, notifier: Notifier, started_in: Path) -> None:
    """Return at SIGTERM or SIGINT; take over changed settings at each SIGHUP."""
    loop = asyncio.get_running_loop()
    told, hung_up = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    while not told.is_set():
        waiting = [asyncio.ensure_future(event.wait()) for event in (told, hung_up)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        if hung_up.is_set():
            hung_up.clear()
            notifier.reloading()
            await _reload(daemon, started_in)
            notifier.ready()


async def _reload(daemon: Daemon, started_in: Path) -> None:
    """`started_in` is what relative paths in the settings mean."""
    try:
        with contextlib.chdir(started_in):
            config = reload.again(daemon.config)
    except ConfigError as error:
        log.error("the settings are not reloaded: %s", error)
        return
    changes = reload.changes(daemon.config, config)
    daemon.reload(reload.reloadable(daemon.config, config))
    daemon_log.set_level("debug" if daemon.config.debug else daemon.config.log_level)
    log.info("settings reloaded: %s", ", ".join(sorted(changes)) or "nothing changed")


async def _stop(daemon: Daemon, app: App, serving: Serving, patience: int) -> None:
    """Finish what must be finished, within the shutdown timeout (seconds); containers go on."""
    serving.close()
    try:
        async with asyncio.timeout(patience or None):
            await app.close()
            await daemon.close()
    except TimeoutError:
        log.warning("shutdown took longer than %d s and is cut short; the next start finishes it", patience)
