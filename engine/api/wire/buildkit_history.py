"""Builds that were made, and the cache, as BuildKit's clients read them."""

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from engine.api.transport.rpc import RpcError
from engine.api.wire.buildkit_progress import timestamp
from engine.core import digest as digests
from engine.core.model.build import BuildFailure, BuildRecord
from engine.domain.builder.history import Change
from engine.domain.builder.protocol.messages import Message, control, rpc
from engine.domain.builder.provenance import PREDICATE
from engine.domain.builder.prune import PruneOptions
from engine.domain.builder.usage import Usage

_STATEMENT_TYPE = "application/vnd.in-toto+json"
_LOG_TYPE = "application/vnd.buildkit.status.v0"
_FAILURE_TYPE = "application/vnd.googeapis.google.rpc.status+proto"  # Sic.


def encode_history(change: Change, record: BuildRecord) -> Message:
    """Return an event of the history."""
    return control.BuildHistoryEvent(type=int(change), record=_record(record))


def _record(record: BuildRecord) -> Message:
    return control.BuildHistoryRecord(
        Ref=record.ref,
        Frontend=record.frontend,
        FrontendAttrs=record.options,
        Exporters=[control.Exporter(Type=each.kind, Attrs=each.attrs) for each in record.exporters],
        error=rpc.Status(code=record.failure.code, message=record.failure.message) if record.failure else None,
        externalError=_described(record.failure) if record.failure and record.failure.details else None,
        CreatedAt=timestamp(record.created),
        CompletedAt=timestamp(record.completed),
        logs=control.Descriptor(media_type=_LOG_TYPE, digest=record.log, size=record.progress) if record.log else None,
        ExporterResponse=record.response,
        Result=_result(record),
        Generation=record.generation,
        pinned=record.pinned,
        numCachedSteps=record.cached_steps,
        numTotalSteps=record.total_steps,
        numCompletedSteps=record.completed_steps,
        numWarnings=record.warnings,
    )


def _result(record: BuildRecord) -> Message | None:
    """Return what came of a build, and what is said of it; clients read both as content."""
    if record.failure is not None or not record.provenance:
        return None
    said = record.provenance.encode()
    attestation = control.Descriptor(
        media_type=_STATEMENT_TYPE,
        digest=digests.of(said),
        size=len(said),
        annotations={"in-toto.io/predicate-type": PREDICATE},
    )
    found = control.BuildResultInfo(Attestations=[attestation])
    if described := record.response.get("containerimage.descriptor"):
        image = msgspec.json.decode(base64.b64decode(described), type=dict[str, Any])
        target = control.Descriptor(media_type=image["mediaType"], digest=image["digest"], size=image["size"])
        found.ResultDeprecated.CopyFrom(target)
        found.Results[0].CopyFrom(target)
    return found


def encode_failure(failure: BuildFailure) -> bytes:
    """Return a failure with its details, which clients read as content."""
    status = rpc.Status(code=failure.code, message=failure.message)
    for type_url, value in failure.details:
        status.details.add(type_url=type_url, value=value)
    return bytes(status.SerializeToString())


def _described(failure: BuildFailure) -> Message:
    data = encode_failure(failure)
    return control.Descriptor(media_type=_FAILURE_TYPE, digest=digests.of(data), size=len(data))


def decode_failure(error: RpcError) -> BuildFailure:
    """Return a failure to be kept."""
    return BuildFailure(code=error.code, message=error.message, details=list(error.details))


def encode_usage(usage: Usage) -> Message:
    """Return a record of the cache."""
    return control.UsageRecord(
        ID=usage.id,
        Mutable=usage.mutable,
        InUse=usage.in_use,
        Size=usage.size,
        Parents=usage.parents,
        CreatedAt=timestamp(usage.created),
        LastUsedAt=timestamp(usage.used_at),
        UsageCount=usage.uses,
        Description=usage.description,
        RecordType=usage.kind,
        Shared=usage.shared,
    )


def encode_disk_usage(found: Sequence[Usage]) -> Message:
    """Return the answer of `Control.DiskUsage`."""
    return control.DiskUsageResponse(record=[encode_usage(usage) for usage in found])


def decode_prune(message: Message) -> PruneOptions:
    """Return what `Control.Prune` asks for; durations are nanoseconds there, too."""
    return PruneOptions(
        all=message.all,
        filters=list(message.filter),
        keep_duration=message.keepDuration,
        reserved=message.reservedSpace,
        max_used=message.maxUsedSpace,
        min_free=message.minFreeSpace,
    )
