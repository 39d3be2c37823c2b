"""Who builds, and what it can do, as BuildKit's clients are told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.core.model.image import Platform
from engine.domain.builder.llb import encode
from engine.domain.builder.protocol.messages import Message, caps, control, gateway, types
from engine.domain.builder.prune import PruneOptions

_LABEL = "org.mobyproject.buildkit.worker."
_PACKAGE = "github.com/moby/buildkit"
# The release whose Dockerfile language and API are spoken (dockerd 28.5).
VERSION = "v0.25.1"

_FRONTEND_CAPS = (
    "frontend.caps frontend.inputs gateway.evaluate gateway.solve.evaluate gateway.solve.metadata gateway.warnings "
    "importcaches proto.refarray readdir readfile reference.output resolveimage resolveimage.resolvemode return "
    "returnmap solve.base solve.inlinereturn source.metaresolver statfile"
)

_LLB_CAPS = (
    "constraints diffop exec.meta.base exec.meta.cgroup.parent exec.meta.network exec.meta.proxyenv "
    "exec.meta.security exec.meta.setsdefaultpath exec.meta.ulimit exec.mount.bind exec.mount.bind.readwrite-nooutput "
    "exec.mount.cache exec.mount.cache.sharing exec.mount.secret exec.mount.selector exec.mount.ssh exec.mount.tmpfs "
    "exec.mount.tmpfs.size exec.secretenv exec.validexitcode exporter.image.annotations "
    "exporter.image.attestations exporter.multiple "
    "exporter.sourcedateepoch file.base file.copy.alwaysreplaceexistingdestpaths file.copy.includeexcludepatterns "
    "file.rm.nofollowsymlink file.rm.wildcard file.symlink.create gc.freespacefilter history.filter mergeop "
    "meta.description meta.exportcache meta.ignorecache platform source.git source.git.checksum source.git.fullurl "
    "source.git.httpauth source.git.keepgitdir source.git.knownsshhosts source.git.mountsshsock source.git.subdir "
    "source.http source.http.checksum source.http.perm soruce.http.uidgid source.image source.image.resolvemode "
    "source.local source.local.differ source.local.excludepatterns source.local.followpaths "
    "source.local.includepatterns source.local.sessionid source.local.sharedkeyhint source.local.unique "
    "source.ocilayout"
)
"""As BuildKit spells them, `soruce` included."""


@dataclass(frozen=True, slots=True)
class Worker:
    """The one worker, which is the daemon itself."""

    id: str
    labels: Mapping[str, str] = field(default_factory=dict)
    platforms: Sequence[Platform] = ()
    rules: Sequence[PruneOptions] = ()


def worker_labels(host_name: str, gateway_address: str) -> dict[str, str]:
    """Return the labels that clients read (buildx `driver/docker`): the image store, the address of `host-gateway`."""
    return {
        f"{_LABEL}executor": "wharf",
        f"{_LABEL}hostname": host_name,
        f"{_LABEL}moby.host-gateway-ip": gateway_address,
        f"{_LABEL}network": "host",
        f"{_LABEL}selinux.enabled": "false",
        f"{_LABEL}snapshotter": "overlayfs",
    }


def encode_worker(worker: Worker) -> Message:
    """Return the worker's record."""
    return types.WorkerRecord(
        ID=worker.id,
        Labels=dict(worker.labels),
        platforms=[encode.platform(platform) for platform in worker.platforms],
        GCPolicy=[_policy(rule) for rule in worker.rules],
        BuildkitVersion=_version(),
    )


def _policy(rule: PruneOptions) -> Message:
    return types.GCPolicy(
        all=rule.all,
        keepDuration=rule.keep_duration,
        filters=rule.filters,
        reservedSpace=rule.reserved,
        maxUsedSpace=rule.max_used,
        minFreeSpace=rule.min_free,
    )


def _version() -> Message:
    return types.BuildkitVersion(package=_PACKAGE, version=VERSION)


def encode_info() -> Message:
    """Return the answer of `Control.Info`."""
    return control.InfoResponse(buildkitVersion=_version())


def encode_pong(worker: Worker) -> Message:
    """Return the answer of `LLBBridge.Ping`."""
    return gateway.PongResponse(
        FrontendAPICaps=[caps.APICap(ID=name, Enabled=True) for name in _FRONTEND_CAPS.split()],
        LLBCaps=[caps.APICap(ID=name, Enabled=True) for name in _LLB_CAPS.split()],
        Workers=[encode_worker(worker)],
    )
