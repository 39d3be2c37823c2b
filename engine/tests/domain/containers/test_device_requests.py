"""Which driver serves a device request."""

import pytest

from engine.core.model.container import DeviceRequest, HostConfig
from engine.domain.containers.device_requests import CountAndIds, DeviceDrivers, NoDeviceDriver
from engine.drivers.cdi.devices import CdiDevices

HOOK = "/opt/nvidia-container-runtime-hook"


@pytest.fixture
def drivers():
    made = DeviceDrivers(CdiDevices([]))
    made._find = lambda name: HOOK if name == "nvidia-container-runtime-hook" else None
    return made


async def edits_of(drivers, **request):
    return await drivers.edits(HostConfig(device_requests=[DeviceRequest(**request)]))


async def test_all_gpus(drivers):
    [edits] = await edits_of(drivers, count=-1, capabilities=[["gpu"]])
    assert edits.env == ["NVIDIA_VISIBLE_DEVICES=all"]
    [hook] = edits.hooks
    assert (hook.hook_name, hook.path, hook.args) == ("prestart", HOOK, ["nvidia-container-runtime-hook", "prestart"])


@pytest.mark.parametrize(
    ("request_", "env"),
    [
        ({"count": 2, "capabilities": [["gpu"]]}, ["NVIDIA_VISIBLE_DEVICES=0,1"]),
        ({"device_ids": ["a", "b"], "driver": "nvidia", "capabilities": [["nvidia"]]}, ["NVIDIA_VISIBLE_DEVICES=a,b"]),
        (
            {"count": 1, "capabilities": [["tpu"], ["gpu", "utility", "compute"]]},
            ["NVIDIA_VISIBLE_DEVICES=0", "NVIDIA_DRIVER_CAPABILITIES=utility,compute"],
        ),
    ],
)
async def test_some_gpus(drivers, request_, env):
    [edits] = await edits_of(drivers, **request_)
    assert edits.env == env


async def test_what_contradicts_itself(drivers):
    with pytest.raises(CountAndIds, match="cannot set both Count and DeviceIDs on device request"):
        await edits_of(drivers, count=1, device_ids=["a"], capabilities=[["gpu"]])


@pytest.mark.parametrize("driver", ["", "nvidia", "amd"])
async def test_without_the_hook_nobody_serves(drivers, driver):
    drivers._find = lambda _: None
    with pytest.raises(
        NoDeviceDriver, match=rf'could not select device driver "{driver}" with capabilities: \[\[gpu\]\]'
    ):
        await edits_of(drivers, driver=driver, count=1, capabilities=[["gpu"]])


async def test_cdi_can_be_switched_off():
    with pytest.raises(NoDeviceDriver, match=r'could not select device driver "cdi" with capabilities: \[\]'):
        await edits_of(DeviceDrivers(CdiDevices([]), cdi=False), driver="cdi", device_ids=["v.com/c=x"])
