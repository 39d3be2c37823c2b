"""What BuildKit's clients ask, and results, to and from the model."""

from collections.abc import Callable, Mapping

from engine.domain.builder.builds import Build, BuildRequest, CacheChoice, ExportTarget
from engine.domain.builder.llb.codec import from_definition, to_definition
from engine.domain.builder.llb.ops import Edge
from engine.domain.builder.protocol.messages import Message, gateway, pb
from engine.domain.builder.result import FrontendRequest, FrontendResult


def decode_definition(message: Message) -> Edge | None:
    """Return a graph's result. Raises InvalidDefinition."""
    return from_definition(message.SerializeToString())


def encode_definition(edge: Edge | None) -> Message:
    """Return the graph that an edge needs."""
    return pb.Definition.FromString(to_definition(edge))


def decode_solve(message: Message) -> BuildRequest:
    """Return what `Control.Solve` asks for. Raises InvalidDefinition."""
    return BuildRequest(
        ref=message.Ref,
        exporters=_exporters(message),
        frontend=message.Frontend,
        frontend_request=FrontendRequest(dict(message.FrontendAttrs), _inputs(message.FrontendInputs)),
        definition=decode_definition(message.Definition),
        cache_imports=[CacheChoice(entry.Type, dict(entry.Attrs)) for entry in message.Cache.Imports],
        cache_exports=[CacheChoice(entry.Type, dict(entry.Attrs)) for entry in message.Cache.Exports],
        internal=message.Internal,
        entitlements=list(message.Entitlements),
    )


def _exporters(message: Message) -> list[ExportTarget]:
    if not message.Exporters and message.ExporterDeprecated:
        return [ExportTarget(0, message.ExporterDeprecated, dict(message.ExporterAttrsDeprecated))]
    return [ExportTarget(number, each.Type, dict(each.Attrs)) for number, each in enumerate(message.Exporters)]


def _inputs(definitions: Mapping[str, Message]) -> dict[str, Edge | None]:
    return {name: decode_definition(definition) for name, definition in definitions.items()}


def decode_frontend_request(message: Message) -> FrontendRequest:
    """Return what `LLBBridge.Solve` asks of a frontend. Raises InvalidDefinition."""
    return FrontendRequest(dict(message.FrontendOpt), _inputs(message.FrontendInputs))


def encode_result(result: FrontendResult, remember: Callable[[Edge | None], str]) -> Message:
    """Return a result, whose trees the client knows by names that `remember` gives them."""
    message = gateway.Result(metadata=dict(result.metadata))
    if set(result.refs) <= {""}:
        message.ref.CopyFrom(_ref(result.refs.get(""), remember))
    else:
        for platform, edge in result.refs.items():
            message.refs.refs[platform].CopyFrom(_ref(edge, remember))
    return message


def _ref(edge: Edge | None, remember: Callable[[Edge | None], str]) -> Message:
    if edge is None:
        return gateway.Ref()
    return gateway.Ref(id=remember(edge), **{"def": encode_definition(edge)})


def decode_result(message: Message, build: Build) -> FrontendResult:
    """Return what the client says is a build's result. Raises NoSuchRef."""
    kind = message.WhichOneof("result")
    if kind in ("refs", "refsDeprecated"):
        entries = getattr(message, kind).refs.items()
        refs = {platform: build.edge(getattr(ref, "id", ref)) for platform, ref in entries}
    else:
        refs = {"": build.edge(message.refDeprecated if kind == "refDeprecated" else message.ref.id)}
    return FrontendResult(refs, dict(message.metadata))
