"""What a client asks of a build."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.core.model.container import HostConfig
from engine.core.model.image import Platform
from engine.core.references import Reference
from engine.drivers.registry.credentials import Credentials


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The parameters of `POST /build`. `host_config` holds network, hosts, limits and the like of RUN steps.

    A build argument of None takes the value of the client's environment, which it does not have. `cache_from`: only
    what belongs to these images counts as done before; None: everything does. `solved`: by BuildKit's rules, with the
    client of a session; `build_id` is the client's name for the build.
    """

    dockerfile: str = "Dockerfile"
    remote: str = ""
    tags: Sequence[Reference] = ()
    target: str = ""
    platform: Platform | None = None
    build_args: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    cache_from: Sequence[str] | None = None
    no_cache: bool = False
    pull: bool = False
    quiet: bool = False
    remove: bool = True
    force_remove: bool = False
    host_config: HostConfig = field(default_factory=HostConfig)
    credentials: Mapping[str, Credentials] = field(default_factory=dict)
    solved: bool = False
    session: str = ""
    build_id: str = ""
