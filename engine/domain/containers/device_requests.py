"""`--gpus` and `--device vendor.com/class=name`: which driver serves a request, and what it changes in the container.

Two drivers are known: `cdi`, and `nvidia` where the vendor's hook is installed, as with dockerd (moby
`daemon/devices.go`, `daemon/nvidia_linux.go`).
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence

from engine.core.errors import Internal
from engine.core.model.cdi import ContainerEdits, Hook
from engine.core.model.container import DeviceRequest, HostConfig
from engine.drivers.cdi.devices import CdiDevices, UnresolvableDevices

_CDI, _NVIDIA = "cdi", "nvidia"
_HOOK = "nvidia-container-runtime-hook"
_NVIDIA_DRIVER_ABILITIES = frozenset({"compute", "compat32", "graphics", "utility", "video", "display", "ngx"})
_NVIDIA_ABILITIES = _NVIDIA_DRIVER_ABILITIES | {"gpu", "nvidia"}


class NoDeviceDriver(Internal):
    """No driver fits; dockerd answers 500."""

    def __init__(self, request: DeviceRequest) -> None:
        wanted = " ".join(f"[{' '.join(abilities)}]" for abilities in request.capabilities or ())
        super().__init__(f'could not select device driver "{request.driver}" with capabilities: [{wanted}]')


class UnexpectedInRequest(Internal):
    """A request for CDI devices names devices and nothing else."""

    def __init__(self, what: str) -> None:
        super().__init__(f"unexpected {what} in CDI device request")


class InjectionFailed(Internal):
    """CDI devices that cannot be had."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"CDI device injection failed: {reason}")


class CountAndIds(Internal):
    """A request says both how many devices and which."""

    def __init__(self) -> None:
        super().__init__("cannot set both Count and DeviceIDs on device request")


class DeviceDrivers:
    """Serves device requests."""

    def __init__(self, devices: CdiDevices, *, cdi: bool = True) -> None:
        """`cdi`: the daemon's feature of that name."""
        self._devices = devices
        self._cdi = cdi
        self._find: Callable[[str], str | None] = shutil.which

    async def edits(self, host_config: HostConfig) -> list[ContainerEdits]:
        """Return what the container's requests change. Raises NoDeviceDriver, InjectionFailed, …"""
        if not host_config.device_requests:
            return []
        return await asyncio.to_thread(self._edits, host_config.device_requests)

    def _edits(self, requests: Sequence[DeviceRequest]) -> list[ContainerEdits]:
        hook = self._find(_HOOK)
        edits: list[ContainerEdits] = []
        names: list[str] = []
        for request in requests:
            if request.driver == _CDI and self._cdi:
                names += _names(request)
            else:
                edits.append(_nvidia(request, hook))
        return [*edits, *self._injected(names)]

    def _injected(self, names: Sequence[str]) -> list[ContainerEdits]:
        try:
            return self._devices.edits(names)
        except UnresolvableDevices as error:
            raise InjectionFailed(f"unresolvable CDI devices {', '.join(error.args)}") from error
        except OSError as error:
            raise InjectionFailed(str(error)) from error


def _names(request: DeviceRequest) -> Sequence[str]:
    for what, present in (("count", request.count), ("options", request.options)):
        if present:
            raise UnexpectedInRequest(what)
    return request.device_ids or ()


def _nvidia(request: DeviceRequest, hook: str | None) -> ContainerEdits:
    wanted = next((a for a in request.capabilities or () if _NVIDIA_ABILITIES.issuperset(a)), None)
    if hook is None or wanted is None or request.driver not in ("", _NVIDIA):
        raise NoDeviceDriver(request)
    if request.count and request.device_ids:
        raise CountAndIds
    env = [f"NVIDIA_VISIBLE_DEVICES={shown}"] if (shown := _shown_devices(request)) else []
    if abilities := [name for name in wanted if name in _NVIDIA_DRIVER_ABILITIES]:
        env.append(f"NVIDIA_DRIVER_CAPABILITIES={','.join(abilities)}")
    own = [f"{name}={value}" for name, value in os.environ.items()]
    return ContainerEdits(env=env, hooks=[Hook(hook_name="prestart", path=hook, args=[_HOOK, "prestart"], env=own)])


def _shown_devices(request: DeviceRequest) -> str:
    if request.device_ids:
        return ",".join(request.device_ids)
    if request.count < 0:
        return "all"
    return ",".join(str(number) for number in range(request.count))
