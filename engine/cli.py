"""The `wharfd` command: settings, locks and limits of the process; then the daemon itself (`daemon.py`)."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from engine import daemon_log
from engine.config import arguments
from engine.config.failures import ConfigError, UsageError
from engine.config.load import load
from engine.config.settings import Config
from engine.config.usage import usage
from engine.core.model.container import Ulimit
from engine.core.model.product import WHARF_VERSION
from engine.daemon.life import run
from engine.drivers.linux.limits import raise_open_files
from engine.drivers.linux.pidfile import PidFile, StillRunning

_log = logging.getLogger(__name__)
_DATA_MODE = 0o711
_RUN_MODE = 0o711


def main() -> None:
    """Run `wharfd` with the process's arguments; ends the process."""
    sys.exit(command(sys.argv[1:]))


def command(argv: Sequence[str]) -> int:
    """Do what the arguments ask for and return the exit status."""
    try:
        given = arguments.parse(list(argv))
        if given.get("help"):
            return _print(usage())
        if given.get("version"):
            return _print(f"Wharf version {WHARF_VERSION}")
        config = load(given, argv)
    except UsageError as error:
        return _complain(f"{error}\nSee 'wharfd --help'.")
    except ConfigError as error:
        return _complain(str(error))
    if config.validate_only:
        return _print("configuration OK")
    return _start(config)


def _print(text: str) -> int:
    sys.stdout.write(f"{text}\n")
    return 0


def _complain(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1


def _start(config: Config) -> int:
    if os.geteuid() != 0:
        return _complain("wharfd needs to be started with root privileges")
    daemon_log.start(config.log_level, config.log_format)
    for notice in config.notices:
        _log.warning(notice)
    config = _with_limits(config)
    _set_proxies(config)
    try:
        with _held(config):
            return run(config)
    except StillRunning as error:
        _log.critical("failed to start daemon, ensure wharfd is not running: %s", error)
    except OSError as error:
        _log.critical("failed to start daemon: %s", error, exc_info=config.debug)
    return 1


def _with_limits(config: Config) -> Config:
    """Have as many open files as we may; containers get the limit that the daemon was given, as with dockerd."""
    os.umask(0o022)
    soft, hard = raise_open_files()
    given = {"nofile": Ulimit(name="nofile", soft=soft, hard=hard)}
    return msgspec.structs.replace(config, default_ulimits={**given, **config.default_ulimits})


def _set_proxies(config: Config) -> None:
    """Settings of proxies win over the environment, as in dockerd."""
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        if value := getattr(config, name):
            os.environ[name] = os.environ[name.upper()] = value


@contextlib.contextmanager
def _held(config: Config) -> Iterator[None]:
    """Make the roots; hold them and the pid file against other daemons. Raises StillRunning, OSError."""
    _make_directory(config.data_root, _DATA_MODE)
    _make_directory(config.exec_root, _RUN_MODE)
    files = [PidFile(config.data_root / "wharfd.lock"), PidFile(config.exec_root / "wharfd.lock")]
    if config.pidfile is not None:
        files.append(PidFile(config.pidfile))
    with contextlib.ExitStack() as stack:
        for file in files:
            file.take()
            stack.callback(file.release)
        yield


def _make_directory(path: Path, mode: int) -> None:
    if not path.is_dir():
        path.mkdir(parents=True)
        path.chmod(mode)
