"""The messages and services of BuildKit's API as classes, made at start from a compiled set of descriptors.

`make protos` compiles `proto/*.proto` into `descriptors.binpb`. No generated code is kept, since it would refuse to run
with any but its own release of protobuf. The classes live in a pool of their own, apart from those of other packages.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Message = Any
"""An instance of one of the classes below: protobuf's classes made at run time have no static type."""

_POOL = descriptor_pool.DescriptorPool()


def _load() -> None:
    data = (Path(__file__).parent / "descriptors.binpb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        _POOL.Add(file)


_load()


class Package:
    """A protobuf package; its messages are the attributes: `control.SolveRequest(Ref="x")`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            found = message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{self._name}.{name}"))
        except KeyError:
            raise AttributeError(f"{self._name} has no message {name}") from None
        setattr(self, name, found)
        return found


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a service: the path of its calls, and what goes each way."""

    path: str
    client_streaming: bool
    server_streaming: bool
    request: type
    reply: type


def service(name: str) -> Mapping[str, Method]:
    """Return the methods of a service by their names. Raises KeyError."""
    return {
        method.name: Method(
            f"/{name}/{method.name}",
            method.client_streaming,
            method.server_streaming,
            message_factory.GetMessageClass(method.input_type),
            message_factory.GetMessageClass(method.output_type),
        )
        for method in _POOL.FindServiceByName(name).methods
    }


control = Package("moby.buildkit.v1")
gateway = Package("moby.buildkit.v1.frontend")
pb = Package("pb")
types = Package("moby.buildkit.v1.types")
caps = Package("moby.buildkit.v1.apicaps")
rpc = Package("google.rpc")
fsutil = Package("fsutil.types")
filesync = Package("moby.filesync.v1")
auth = Package("moby.filesync.v1")
upload = Package("moby.upload.v1")
secrets = Package("moby.buildkit.secrets.v1")
ssh = Package("moby.sshforward.v1")
content = Package("containerd.services.content.v1")
health = Package("grpc.health.v1")
well_known = Package("google.protobuf")
