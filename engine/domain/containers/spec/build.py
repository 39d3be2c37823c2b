"""Container in, OCI runtime configuration (config.json) out. Pure: what has to be looked up is in the request.

The measure is what dockerd 28.5 hands to runc on the same machine; `engine/tests/domain/containers/spec` compares.
"""

from typing import Any

from engine.domain.containers.spec.edits import edited
from engine.domain.containers.spec.limits import device_nodes, resources
from engine.domain.containers.spec.mounts import mounts
from engine.domain.containers.spec.namespaces import id_mappings, namespaces
from engine.domain.containers.spec.process import hostname, process
from engine.domain.containers.spec.request import EtcPaths, HostFacts, Joined, SpecRequest
from engine.domain.containers.spec.security import security, sysctls

__all__ = ["EtcPaths", "HostFacts", "Joined", "SpecRequest", "oci_spec"]
_OCI_VERSION = "1.0.2"  # What both crun and the runc of Debian 12 accept; nothing newer is used.


def oci_spec(request: SpecRequest) -> dict[str, Any]:
    """Return the configuration. Parts of it are shared: not to be modified. Raises InvalidParameter, Internal."""
    container = request.container
    host_config = container.host_config
    mounted = mounts(request)
    spec: dict[str, Any] = {
        "ociVersion": _OCI_VERSION,
        "process": process(request),
        "root": {"path": request.rootfs} | ({"readonly": True} if host_config.readonly_rootfs else {}),
        "mounts": mounted.mounts,
        "linux": _linux(request, mounted.propagation),
    }
    if host_config.uts_mode != "host":
        spec["hostname"] = hostname(request)
    if host_config.annotations:
        spec["annotations"] = host_config.annotations
    capabilities = spec["process"].get("capabilities", {}).get("bounding", ())
    spec["linux"] |= security(request, capabilities)
    for edits in request.edits:
        spec = edited(spec, edits)
    return spec


def _linux(request: SpecRequest, propagation: str) -> dict[str, Any]:
    result: dict[str, Any] = {"resources": resources(request), "namespaces": namespaces(request)}
    if request.mapping is not None:
        result |= id_mappings(request.mapping)
    if parameters := sysctls(request.container, remapped=request.mapping is not None):
        result["sysctl"] = parameters
    if request.cgroup:
        result["cgroupsPath"] = request.cgroup
    if nodes := device_nodes(request):
        result["devices"] = nodes
    if propagation:
        result["rootfsPropagation"] = propagation
    return result
