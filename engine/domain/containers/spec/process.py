"""The process of a container, or of an exec, as the OCI runtime takes it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.core.model.container import Container, Ulimit
from engine.core.model.exec import ExecConfig
from engine.domain.containers.security_options import SecurityOptions, parse_security_options
from engine.domain.containers.spec import capabilities
from engine.domain.containers.spec.request import HostFacts, SpecRequest
from engine.domain.containers.users import ResolvedUser

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INIT_PATH = "/sbin/docker-init"


def process(request: SpecRequest) -> dict[str, Any]:
    """Return the `process` object of the first process. Raises InvalidParameter."""
    container = request.container
    host_config = container.host_config
    command = [container.path, *container.args] if container.path else []
    result: dict[str, Any] = {
        "user": _user(request.user),
        "args": [INIT_PATH, "--", *command] if request.init else command,
        "env": with_home(environment(container, hostname(request), linked=request.link_environment), request.user),
        "cwd": container.config.working_dir or "/",
        "oomScoreAdj": host_config.oom_score_adj,
    }
    result |= _terminal(container.config.tty, host_config.console_size)
    result |= _security(container, request.host, privileged=host_config.privileged)
    if limits := _rlimits(host_config.ulimits or (), request.default_ulimits):
        result["rlimits"] = limits
    return result


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """One further process in a running container."""

    container: Container
    config: ExecConfig
    user: ResolvedUser
    host: HostFacts
    default_ulimits: Sequence[Ulimit] = ()
    link_environment: Sequence[str] = ()


def exec_process(request: ExecRequest) -> dict[str, Any]:
    """Return the process object for `runc exec --process`. Raises InvalidParameter."""
    container, config = request.container, request.config
    own = environment(container, container.config.hostname, tty=config.tty, linked=request.link_environment)
    environ = merged(own, config.env or ())
    result: dict[str, Any] = {
        "user": _user(request.user),
        "args": list(config.cmd or ()),
        "env": with_home(environ, request.user),
        "cwd": config.working_dir or container.config.working_dir or "/",
        "oomScoreAdj": container.host_config.oom_score_adj,
    }
    result |= _terminal(config.tty, config.console_size or (0, 0))
    result |= _security(container, request.host, privileged=config.privileged or container.host_config.privileged)
    if limits := _rlimits(container.host_config.ulimits or (), request.default_ulimits):
        result["rlimits"] = limits
    return result


def hostname(request: SpecRequest) -> str:
    """Return the name that the container has for itself."""
    return request.hostname or request.container.config.hostname or request.host.hostname


def environment(container: Container, name: str, *, tty: bool | None = None, linked: Sequence[str] = ()) -> list[str]:
    """Return the variables that Docker sets, overridden by the container's own."""
    defaults = [DEFAULT_PATH, f"HOSTNAME={name}"]
    if container.config.tty if tty is None else tty:
        defaults.append("TERM=xterm")
    return merged([*defaults, *linked], container.config.env or ())


def with_home(variables: list[str], user: ResolvedUser) -> list[str]:
    """Add HOME where it is missing. runc would do so itself, crun only for users in /etc/passwd."""
    if any(entry.startswith("HOME=") for entry in variables):
        return variables
    return [*variables, f"HOME={user.home}"]


def merged(defaults: Iterable[str], overrides: Iterable[str]) -> list[str]:
    """Replace defaults in place, append what is new; `NAME` without `=` removes a default."""
    result: list[str | None] = list(defaults)
    index = {entry.partition("=")[0]: i for i, entry in enumerate(result) if entry is not None}
    for entry in overrides:
        name, equals, _ = entry.partition("=")
        if name in index:
            result[index[name]] = entry if equals else None
        elif equals:
            result.append(entry)
    return [entry for entry in result if entry is not None]


def _user(user: ResolvedUser) -> dict[str, Any]:
    return {"uid": user.uid, "gid": user.gid, "additionalGids": list(dict.fromkeys(user.additional_gids))}


def _terminal(tty: bool, size: tuple[int, int]) -> dict[str, Any]:
    """`size` is (height, width), as the API has it."""
    if not tty:
        return {}
    console = {"consoleSize": {"height": size[0], "width": size[1]}} if any(size) else {}
    return {"terminal": True, **console}


def _security(container: Container, host: HostFacts, *, privileged: bool) -> dict[str, Any]:
    host_config = container.host_config
    names = capabilities.effective(
        host_config.cap_add or (), host_config.cap_drop or (), host.capabilities, privileged=privileged
    )
    options = parse_security_options(host_config.security_opt or ())
    result: dict[str, Any] = {}
    # No inheritable and no ambient ones: files' inheritable sets must not give them to non-root users (CVE-2022-24769).
    if names:
        result["capabilities"] = {"bounding": names, "effective": names, "permitted": names}
    if options.no_new_privileges:
        result["noNewPrivileges"] = True
    if profile := _apparmor(options, host, privileged=privileged):
        result["apparmorProfile"] = profile
    return result


def _apparmor(options: SecurityOptions, host: HostFacts, *, privileged: bool) -> str:
    if not host.apparmor_profile:
        return ""
    return options.apparmor or ("unconfined" if privileged else host.apparmor_profile)


def _rlimits(ulimits: Iterable[Ulimit], defaults: Iterable[Ulimit]) -> list[dict[str, Any]]:
    chosen: Mapping[str, Ulimit] = {u.name: u for u in (*defaults, *ulimits)}
    return [
        {"type": f"RLIMIT_{u.name.upper()}", "hard": _unsigned(u.hard), "soft": _unsigned(u.soft)}
        for u in chosen.values()
    ]


def _unsigned(limit: int) -> int:
    """-1 stands for no limit, which the runtime writes as the largest unsigned number."""
    return limit & 0xFFFF_FFFF_FFFF_FFFF
