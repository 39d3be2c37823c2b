"""What a container uses at an instant; sources are the cgroup files named in `engine/drivers/cgroups`."""

from msgspec import Struct


class InterfaceCounters(Struct, frozen=True, kw_only=True):
    """Traffic of one interface since it was made, in bytes and packets."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0
