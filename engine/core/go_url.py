"""URLs and host:port pairs as Go takes them apart, with Go's errors, which dockerd hands on to clients. Pure."""

import re
from typing import NamedTuple

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*")
_BAD_HOST = re.compile(r"[\x00-\x20\"<>\\^`{|}]")


class Url(NamedTuple):
    """`host` has the port."""

    scheme: str
    host: str
    path: str

    @property
    def hostname(self) -> str:
        """The host without port and brackets."""
        if self.host.startswith("["):
            return self.host[1 : self.host.rindex("]")]
        return self.host.rpartition(":")[0] if ":" in self.host else self.host

    @property
    def port(self) -> str:
        """What stands behind the host, often nothing."""
        rest = self.host[self.host.rindex("]") :] if self.host.startswith("[") else self.host
        return rest.rpartition(":")[2] if ":" in rest else ""


def parse_url(text: str) -> Url:
    """Take an absolute or relative URL apart; query and fragment are dropped. Raises ValueError."""
    if text.startswith(":"):
        raise ValueError(f'parse "{text}": missing protocol scheme')
    scheme, colon, rest = text.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        scheme, rest = "", text
    rest = re.split("[?#]", rest, maxsplit=1)[0]
    if not rest.startswith("//"):
        return Url(scheme.lower(), "", rest)
    host, slash, path = rest[2:].partition("/")
    problem = _host_problem(host.rpartition("@")[2])
    if problem:
        raise ValueError(f'parse "{text}": {problem}')
    return Url(scheme.lower(), host.rpartition("@")[2], slash + path)


def _host_problem(host: str) -> str:
    bad = _BAD_HOST.search(host)
    if bad:
        return f'invalid character "{bad[0]}" in host name'
    if host.startswith("["):
        if "]" not in host:
            return "missing ']' in host"
        rest = host[host.rindex("]") + 1 :]
    else:
        rest = host[host.rindex(":") :] if ":" in host else ""
    fine = not rest or (rest.startswith(":") and (rest == ":" or rest[1:].isdecimal()))
    return "" if fine else f'invalid port "{rest}" after host'


def split_host_port(text: str) -> tuple[str, str]:
    """Take `host:port` apart. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if text.startswith("["):
        end = text.find("]")
        if end < 0:
            raise ValueError(f"address {text}: missing ']' in address")
        if text[end + 1 : end + 2] != ":":
            raise ValueError(f"address {text}: missing port in address")
        return text[1:end], text[end + 2 :]
    if not colon:
        raise ValueError(f"address {text}: missing port in address")
    if ":" in host:
        raise ValueError(f"address {text}: too many colons in address")
    return host, port
