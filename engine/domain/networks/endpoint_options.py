"""The options of one endpoint (`--network name=…,driver-opt=…`): its interface's name and kernel settings. Pure."""

from collections.abc import Collection, Iterator, Mapping

from engine.core.model.network import EndpointSettings

IFNAME = "com.docker.network.endpoint.ifname"
SYSCTLS = "com.docker.network.endpoint.sysctls"
_LONGEST = 15  # IFNAMSIZ of linux/if.h, less the zero byte
_FAMILIES = ("ipv4", "ipv6", "mpls")
# The CLI writes all of an option in lower case.
_PLACEHOLDERS = ("IFNAME", "ifname")


def interface_name(settings: EndpointSettings) -> str:
    """Return the name that the interface is to have, empty where any will do."""
    return (settings.driver_opts or {}).get(IFNAME, "")


def name_problem(name: str, taken: Collection[str]) -> str:
    """Return why the kernel would not take an interface's name, in its words; empty where it would."""
    if len(name) > _LONGEST:
        return "numerical result out of range"
    if name in (".", "..") or any(c in "/:" or c.isspace() for c in name):
        return "invalid argument"
    return "file exists" if name in ("lo", *taken) else ""


def sysctls(settings: EndpointSettings, interface: str) -> tuple[tuple[str, str], ...]:
    """Return the kernel settings of the interface: paths below net/, and values."""
    found = []
    for text in _given(settings.driver_opts):
        _, family, kind, _, rest = text.split(".", 4)
        name, _, value = rest.partition("=")
        found.append((f"{family}/{kind}/{interface}/{name}", value))
    return tuple(found)


def sysctl_problems(driver_opts: Mapping[str, str] | None) -> list[str]:
    """Return what is wrong with the kernel settings that a client asks for, in dockerd's words."""
    return [
        f"unrecognised network interface sysctl '{text}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', "
        "'X' must be 'ipv4', 'ipv6' or 'mpls'"
        for text in _given(driver_opts)
        if not _is_well_formed(text)
    ]


def _given(driver_opts: Mapping[str, str] | None) -> Iterator[str]:
    text = (driver_opts or {}).get(SYSCTLS, "")
    return iter(text.split(",") if text else ())


def _is_well_formed(text: str) -> bool:
    parts = text.split(".", 4)
    return (
        len(parts) == 5
        and parts[0] == "net"
        and parts[1] in _FAMILIES
        and parts[3] in _PLACEHOLDERS
        and "/" not in parts[2] + parts[4].partition("=")[0]
    )
