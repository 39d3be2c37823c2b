"""From arguments to settings: flags, then `daemon.json`, then both together, then checks."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from engine.config import check, file, hosts
from engine.config.failures import ConfigError, FileError
from engine.config.options import BY_FLAG, IGNORED, REFUSED
from engine.config.settings import CONFIG_FILE, EXEC_ROOT, PIDFILE, Config

_MERGED_PREFIX = "merged configuration validation from file and command line flags failed: "
_FIELDS = set(Config.__struct_fields__)
_CERTIFICATES = {"tlscacert": "ca.pem", "tlscert": "cert.pem", "tlskey": "key.pem"}
_PATHS = ("data_root", "exec_root")


def load(given: dict[str, Any], argv: Sequence[str]) -> Config:
    """Make the settings from parsed flags (see `arguments.parse`). Blocks, briefly. Raises ConfigError.

    `argv` is kept in them, so that SIGHUP can load them again.
    """
    path = Path(given.get("config-file") or CONFIG_FILE)
    # A file that nobody named may be missing.
    wanted = bool(given.get("config-file")) or path.exists()
    content = file.read(path) if wanted else {}
    file.check_keys(content, given, path)
    from_file = file.decode(content, path)
    config = msgspec.structs.replace(_merge(given, from_file), config_file=path, arguments=list(argv))
    try:
        config = check.merged(config)
    except ConfigError as error:
        if not wanted:
            raise
        raise FileError(path, f"{_MERGED_PREFIX}{error}") from None
    return _completed(config, {*given, *content})


def _merge(given: dict[str, Any], from_file: dict[str, Any]) -> Config:
    fields = dict(from_file)
    for flag, value in given.items():
        option = BY_FLAG[flag]
        registered = fields.get("runtimes", {}) if option.field == "runtimes" else {}
        fields[option.field] = {**registered, **value} if registered else value
    _refuse(fields)
    notices = _notices(fields)
    kept = {name: value for name, value in fields.items() if name in _FIELDS and _says_something(name, value)}
    paths = {name: Path(kept[name]).absolute() for name in _PATHS if kept.get(name)}
    return Config(**{**kept, **paths, "notices": notices, "pidfile": _pidfile(fields, paths.get("exec_root"))})


def _says_something(name: str, value: Any) -> bool:
    """Tell a value from an empty one, which asks for the default. An empty group is the socket's owner's."""
    return name == "group" or bool(value) or value is False or (value == 0 and not name.startswith("max_"))


def _refuse(fields: dict[str, Any]) -> None:
    for key, reason in REFUSED.items():
        if fields.get(key.replace("-", "_")):
            raise ConfigError(f"invalid setting {key}: {reason}")


def _notices(fields: dict[str, Any]) -> list[str]:
    notices = [
        f"the setting {key} has no effect: {reason}"
        for key, reason in IGNORED.items()
        if key.replace("-", "_") in fields
    ]
    if fields.get("live_restore") is False:
        notices.append("the setting live-restore=false has no effect: containers always survive the daemon")
    return notices


def _pidfile(fields: dict[str, Any], exec_root: Path | None) -> Path | None:
    """Return the file for the process id: none for an empty one, with other roots one of their own."""
    if "pidfile" in fields:
        return Path(fields["pidfile"]).absolute() if fields["pidfile"] else None
    return PIDFILE if exec_root in (None, EXEC_ROOT) else exec_root / "wharf.pid"


def _with_certificates(config: Config) -> Config:
    directory = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
    wanted = _CERTIFICATES if config.tlsverify else {key: _CERTIFICATES[key] for key in ("tlscert", "tlskey")}
    found = {key: getattr(config, key) or str(directory / name) for key, name in wanted.items()}
    for path in found.values():
        if not Path(path).is_file():
            pair = f'cert: "{found["tlscert"]}", key: "{found["tlskey"]}"'
            reason = f"Could not load X509 key pair ({pair}): open {path}: no such file or directory"
            raise ConfigError(f"invalid TLS configuration: {reason}")
    return msgspec.structs.replace(config, **found)


def _warn_of_strangers(config: Config) -> list[str]:
    if config.tlsverify:
        return []
    return [
        f"listening on {host} without --tlsverify gives root access on this machine to everyone who can reach it"
        for host in config.hosts
        if host.startswith("tcp://") and not hosts.is_loopback(host)
    ]


def _completed(config: Config, set_names: set[str]) -> Config:
    tls = config.tls or config.tlsverify or "tlsverify" in set_names
    normal = dict.fromkeys(hosts.normal(host, tls=tls) for host in config.hosts)
    config = msgspec.structs.replace(
        config,
        tls=tls,
        hosts=list(normal),
        labels=list(dict.fromkeys(config.labels)),
        log_level="debug" if config.debug else config.log_level,
        live_restore=True,
    )
    if tls:
        config = _with_certificates(config)
    check.usable(config)
    return msgspec.structs.replace(config, notices=[*config.notices, *_warn_of_strangers(config)])
