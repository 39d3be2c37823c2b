"""What can go wrong with volumes, in dockerd's words."""

from collections.abc import Iterable

from engine.core import os_errors
from engine.core.errors import Conflict, Internal, InvalidParameter, NotFound


class VolumeNotFound(NotFound):
    """No volume has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"get {name}: no such volume" if name else "get: no such volume")


class VolumeInUse(Conflict):
    """Containers hold the volume."""

    def __init__(self, name: str, holders: Iterable[str]) -> None:
        super().__init__(f"remove {name}: volume is in use - [{', '.join(sorted(holders))}]")


class DriverMissing(NotFound):
    """There is no such volume driver."""

    def __init__(self, operation: str, name: str, driver: str, reason: str) -> None:
        super().__init__(f"{operation} {name}: error looking up volume plugin {driver}: {reason}")


class DriverFailed(Internal):
    """A volume driver cannot be used, or did not do what it was asked."""


class DriverDisabled(Conflict):
    """The plugin is installed and does not run."""

    def __init__(self, operation: str, name: str, driver: str, reason: str) -> None:
        super().__init__(f"{operation} {name}: error looking up volume plugin {driver}: {reason}")


class VolumeNameTaken(Conflict):
    """Another driver has a volume of that name."""

    def __init__(self, name: str, driver: str) -> None:
        super().__init__(f"create {name}: driver '{driver}' already has volume '{name}': volume name must be unique")


class InvalidVolumeName(InvalidParameter):
    """A name with characters that a directory's name could not safely have."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )


class VolumeNameTooShort(InvalidParameter):
    """A name of one character."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )


class InvalidVolumeOption(InvalidParameter):
    """An option that the local driver has not."""

    def __init__(self, name: str, option: str) -> None:
        super().__init__(f'create {name}: invalid option: "{option}"')


class MissingVolumeOption(InvalidParameter):
    """An option without which the others make no sense."""

    def __init__(self, name: str, option: str) -> None:
        super().__init__(f'create {name}: missing required option: "{option}"')


class QuotaUnsupported(InvalidParameter):
    """`size` asks for a quota, which these directories cannot have."""

    def __init__(self, name: str) -> None:
        super().__init__(f"create {name}: quota size requested but no quota support")


class VolumeMountFailed(Internal):
    """What the options ask for cannot be mounted."""

    def __init__(self, mountpoint: str, error: OSError) -> None:
        super().__init__(f"error while mounting volume '{mountpoint}': {error}")


class PluginMountFailed(Internal):
    """A plugin did not make its volume available."""

    def __init__(self, mountpoint: str, reason: str) -> None:
        super().__init__(f"error while mounting volume '{mountpoint}': {reason}")


class VolumeRemovalFailed(Internal):
    """The directory cannot be removed."""

    def __init__(self, name: str, error: OSError) -> None:
        super().__init__(f"remove {name}: {os_errors.text(error, 'unlinkat')}")


class VolumeCreationFailed(Internal):
    """The directory or the record cannot be written."""

    def __init__(self, name: str, error: OSError) -> None:
        super().__init__(f"create {name}: {os_errors.text(error, 'mkdir')}")


class InvalidAllFilter(InvalidParameter):
    """The value of prune's filter `all` is no truth value."""

    def __init__(self, value: str) -> None:
        super().__init__(f"invalid filter 'all': strconv.ParseBool: parsing \"{value}\": invalid syntax")
