"""Contexts that the client gives a name (`--build-context`): directories, images, git, URLs, results of other builds.

Follows BuildKit's `dockerui/namedcontext.go`.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engine.core import references
from engine.core.model.image import Platform
from engine.domain.builder.dockerfile.convert.copy import git_source
from engine.domain.builder.dockerfile.convert.settings import BaseImage, ContextTree
from engine.domain.builder.dockerfile.git_refs import parse_git_ref
from engine.domain.builder.dockerfile.ignore import read_patterns
from engine.domain.builder.dockerfile.shell import go_quoted
from engine.domain.builder.dockerfile.ui.main_context import MainContext, local, paths
from engine.domain.builder.dockerfile.ui.trees import FrontendFailed, Trees
from engine.domain.builder.llb.ops import Description, Edge, SourceOp, Vertex
from engine.domain.builder.result import FrontendRequest
from engine.domain.builder.sources.client_origin import Layout
from engine.domain.images.platforms import format_platform, normalize

_IGNORE = ".dockerignore"
_RESERVED = frozenset({"scratch", "context"})


@dataclass(frozen=True, slots=True)
class LocalContext:
    """A directory of the client's that is a named context; `tree` stands for it until it is known what is needed."""

    tree: Edge
    name: str
    shown: str
    shared_key: str
    ignored: Sequence[str]


class Surroundings:
    """What one platform's conversion asks for."""

    def __init__(self, request: FrontendRequest, main: MainContext, trees: Trees) -> None:
        self._options = request.options
        self._inputs = request.inputs
        self._main = main
        self._trees = trees
        self.locals: list[LocalContext] = []

    async def image(self, reference: str, platform: Platform, log_name: str) -> BaseImage:
        """Return what is known of an image. Raises WharfError."""
        return await self._trees.image(reference, platform, self._options.get("image-resolve-mode", ""))

    async def ignore_patterns(self) -> Sequence[str]:
        """Return the patterns of .dockerignore."""
        return await self._main.ignore_patterns()

    async def named_context(self, name: str, platform: Platform) -> ContextTree | None:
        """Return the context that the client calls by that name, None where there is none. Raises WharfError."""
        if name.lower() in _RESERVED:
            return None
        try:
            name = references.parse(name).familiar.removesuffix(":latest")
        except references.InvalidReference as error:
            raise FrontendFailed(f"invalid context name {name}: {error}") from error
        for shown in (f"{name}::{format_platform(normalize(platform))}", name):
            specifier = self._options.get(f"context:{shown}")
            if specifier is not None:
                return await self._load(specifier, name, shown, platform)
        return None

    async def _load(self, specifier: str, name: str, shown: str, platform: Platform) -> ContextTree:
        kind, colon, rest = specifier.partition(":")
        if not colon:
            raise FrontendFailed(f"invalid context specifier {specifier} for {shown}")
        if kind == "docker-image":
            return await self._image(rest.removeprefix("//"), shown, platform)
        if kind == "local":
            return await self._local(rest, shown)
        if kind == "input":
            return self._input(rest, shown)
        if kind == "oci-layout":
            return await self._layout(rest.removeprefix("//"), name, shown, platform)
        if kind in ("git", "http", "https", "ssh") or kind.startswith("git@"):
            return _remote(specifier, kind, shown)
        raise FrontendFailed(f"unsupported context source {kind} for {shown}")

    async def _image(self, reference: str, shown: str, platform: Platform) -> ContextTree:
        if reference == "scratch":
            return ContextTree(None)
        name = str(references.parse(reference).with_default_tag())
        found = await self.image(name, platform, f"[context {shown}] load metadata for {name}")
        full = found.reference
        if found.digest and not references.parse(full).digest:
            full = f"{full}@{found.digest}"
        mode = self._options.get("image-resolve-mode", "")
        attrs = {} if mode in ("", "default") else {"image.resolvemode": mode}
        label = Description(custom_name=f"[context {shown}] {reference}")
        return ContextTree(
            Edge(Vertex(SourceOp(f"docker-image://{full}", attrs), (), normalize(platform), label)), found.config
        )

    async def _layout(self, text: str, name: str, shown: str, platform: Platform) -> ContextTree:
        """`text` names a store of the client's and the digest of what is meant there; its tag says nothing."""
        try:
            found = references.parse(text)
        except references.InvalidReference as error:
            raise FrontendFailed(f"could not parse oci-layout reference {go_quoted(text)}: {error}") from error
        if not found.digest:
            raise FrontendFailed(f"oci-layout reference {go_quoted(text)} has no digest")
        reference = replace(references.parse(name), tag="", digest=found.digest)
        layout = Layout(reference, text.partition("@")[0].partition(":")[0], self._trees.job.session.id)
        config = await self._trees.layout(layout, platform, f"[context {shown}] load metadata for {reference}")
        label = Description(custom_name=f"[context {shown}] OCI load from client")
        source = SourceOp(layout.identifier, layout.attrs)
        return ContextTree(Edge(Vertex(source, (), normalize(platform), label)), config)

    async def _local(self, name: str, shown: str) -> ContextTree:
        attrs = {"local.followpaths": paths([_IGNORE]), "local.differ": "none"}
        label = f"[context {shown}] load {_IGNORE}"
        tree = local(name, f"context:{shown}-{_IGNORE}", label, attrs, self._options)
        data = await self._trees.read(tree, _IGNORE) or b""
        stand_in = Edge(Vertex(SourceOp(f"local://{name}")))
        key = self._options.get(f"sharedkey:localdir:{shown}", "")
        self.locals.append(LocalContext(stand_in, name, shown, key, read_patterns(data.decode("utf-8", "replace"))))
        return ContextTree(stand_in)

    def _input(self, name: str, shown: str) -> ContextTree:
        if name not in self._inputs:
            raise FrontendFailed(f"invalid input {name} for {shown}")
        return ContextTree(self._inputs[name], _config_of(self._options.get(f"input-metadata:{name}", ""), shown))

    def finished(self, context: LocalContext, wanted: Sequence[str] | None) -> Edge:
        """Return a directory of which some paths are needed, None for all."""
        attrs = {"local.followpaths": paths(wanted)} if wanted else {}
        if context.ignored:
            attrs["local.excludepatterns"] = paths(context.ignored)
        hint = f"context:{context.shown}-{context.shared_key}"
        return local(context.name, hint, f"[context {context.shown}] load from client", attrs, self._options)


def _remote(specifier: str, kind: str, shown: str) -> ContextTree:
    git = parse_git_ref(specifier)
    if git is not None:
        label = Description(custom_name=f"[internal] load git source {specifier}")
        return ContextTree(Edge(Vertex(git_source(git), description=label)))
    if kind not in ("http", "https"):
        raise FrontendFailed(f"invalid git context {specifier}")
    label = Description(custom_name=f"[context {shown}] {specifier}")
    return ContextTree(Edge(Vertex(SourceOp(specifier, {"http.filename": "context"}), description=label)))


def _config_of(text: str, shown: str) -> bytes | None:
    """Return the image configuration in the metadata of another build's result."""
    if not text:
        return None
    try:
        found: Mapping[str, str] = json.loads(text)
        value = found.get("containerimage.config")
        return base64.b64decode(value) if value else None
    except (ValueError, AttributeError, binascii.Error) as error:
        raise FrontendFailed(f"failed to parse input metadata {text}: {error}") from error
