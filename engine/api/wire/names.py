"""The JSON name of a model field: PascalCase, with the abbreviations as Go's types have them."""

from functools import cache

_WORDS = {
    "id": "ID",
    "ids": "IDs",
    "io": "IO",
    "iops": "IOps",
    "ip": "IP",
    "ipam": "IPAM",
    "ips": "IPs",
    "ipv4": "IPv4",
    "ipv6": "IPv6",
    "rw": "RW",
    "tcp": "TCP",
    "uts": "UTS",
}
_EXCEPTIONS = {
    "dns_names": "DNSNames",
    "host_ip": "HostIp",
    "id": "Id",
    "oom_killed": "OOMKilled",
}


@cache
def json_name(field: str) -> str:
    """Return the JSON name of a field: `ip_prefix_len` is `IPPrefixLen`."""
    return _EXCEPTIONS.get(field) or "".join(_WORDS.get(w) or w.capitalize() for w in field.split("_"))
