"""Where the Dockerfile and the build context come from: the client's directories, git, a URL, an input of the build.

Follows BuildKit's `dockerui/context.go`.
"""

import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engine.domain.builder.dockerfile.convert.copy import git_source
from engine.domain.builder.dockerfile.convert.settings import SourceFile
from engine.domain.builder.dockerfile.convert.state import CopyFrom, copy_all
from engine.domain.builder.dockerfile.git_refs import parse_git_ref
from engine.domain.builder.dockerfile.ignore import read_patterns
from engine.domain.builder.dockerfile.ui.options import truth
from engine.domain.builder.dockerfile.ui.trees import FrontendFailed, Trees
from engine.domain.builder.failures import VertexFailed
from engine.domain.builder.llb.ops import CopyAction, Description, Edge, SourceOp, Vertex
from engine.domain.builder.result import FrontendRequest

_DOCKERFILE = "Dockerfile"
_IGNORE = ".dockerignore"
_ARCHIVES = (b"BZh", b"\x1f\x8b\x08", b"\xfd7zXZ\x00")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where things come from. `context` and `dockerfile` are None for directories of the client's."""

    filename: str = _DOCKERFILE
    context: Edge | None = None
    dockerfile: Edge | None = None
    dockerfile_name: str = "dockerfile"
    context_name: str = "context"


def local(name: str, hint: str, shown: str, attrs: Mapping[str, str], options: Mapping[str, str]) -> Edge:
    """Return a directory of the client's."""
    session = options.get(f"local-sessionid:{name}", "")
    found = {"local.sharedkeyhint": hint, **attrs, **({"local.session": session} if session else {})}
    return Edge(Vertex(SourceOp(f"local://{name}", found), description=Description(custom_name=shown)))


def paths(values: Sequence[str]) -> str:
    """Return paths or patterns as an attribute."""
    return json.dumps(list(values), separators=(",", ":"), ensure_ascii=False)


class MainContext:
    """The context of one build."""

    def __init__(self, request: FrontendRequest, trees: Trees) -> None:
        self._options = request.options
        self._inputs = request.inputs
        self._trees = trees
        self._ignore: list[str] | None = None
        self.origin = Origin()
        self.definition: Edge | None = None

    async def load(self) -> SourceFile:
        """Return the Dockerfile. Raises FrontendFailed."""
        self.origin = await self._find_origin()
        self.definition = self.origin.dockerfile or self._definition()
        data = await self._read_dockerfile(self.definition)
        own = await self._trees.read(self.definition, f"{self.origin.filename}{_IGNORE}")
        if own is not None:
            self._ignore = read_patterns(own.decode("utf-8", "replace"))
        return SourceFile(self.origin.filename, data)

    async def _find_origin(self) -> Origin:
        options = self._options
        origin = Origin(options.get("filename") or _DOCKERFILE)
        forced = "dockerfilekey" in options
        if forced:
            origin = replace(origin, dockerfile_name=options["dockerfilekey"])
        where = options.get(options.get("contextkey", "context"), "")
        tree, filename = self._git(where), ""
        if tree is None and where.startswith(("http://", "https://")):
            tree, filename = await self._url(where)
        if tree is not None:
            origin = replace(origin, context=tree, dockerfile=None if forced else tree)
            origin = replace(origin, filename=filename or origin.filename)
        else:
            origin = replace(origin, context=self._inputs.get("context"))
            origin = replace(origin, dockerfile=None if forced else self._inputs.get(origin.dockerfile_name))
        if origin.context is not None and "contextsubdir" in options:
            origin = replace(origin, context=_below(origin.context, options["contextsubdir"]))
        return origin

    def _git(self, where: str) -> Edge | None:
        git = parse_git_ref(where)
        if git is None:
            return None
        if truth(self._options.get("build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR", "")):
            git = replace(git, keep_git_dir=True)
        shown = Description(custom_name=f"[internal] load git source {where}")
        return Edge(Vertex(git_source(git), description=shown))

    async def _url(self, where: str) -> tuple[Edge, str]:
        shown = Description(custom_name="[internal] load remote build context")
        tree = Edge(Vertex(SourceOp(where, {"http.filename": "context"}), description=shown))
        try:
            data = await self._trees.read(tree, "context")
        except VertexFailed as error:
            raise error.when("read downloaded context") from error
        if data is None:
            raise FrontendFailed("failed to read downloaded context")
        if not is_archive(data):
            return tree, "context"
        action = CopyAction("/context", "/", unpack=True)
        return copy_all(None, [CopyFrom(action, tree)], Description()), ""

    def _definition(self) -> Edge:
        name, filename = self.origin.dockerfile_name, self.origin.filename
        wanted = [filename, f"{filename}{_IGNORE}"]
        if posixpath.basename(filename) == _DOCKERFILE:
            wanted.append(_lowered(filename))
        attrs = {"local.followpaths": paths(wanted), "local.differ": "none"}
        return local(name, name, f"[internal] load build definition from {filename}", attrs, self._options)

    async def _read_dockerfile(self, tree: Edge) -> bytes:
        filename = self.origin.filename
        try:
            data = await self._trees.read(tree, filename)
        except VertexFailed as error:
            raise error.when("read dockerfile") from error
        if data is None and posixpath.basename(filename) == _DOCKERFILE:
            data = await self._trees.read(tree, _lowered(filename))
        if data is None:
            raise FrontendFailed(f"failed to read dockerfile: open {filename}: no such file or directory")
        return data

    async def ignore_patterns(self) -> list[str]:
        """Return the patterns of .dockerignore, or of the Dockerfile's own ignore file."""
        if self.origin.context is not None:
            return []
        if self._ignore is None:
            name = self.origin.context_name
            attrs = {"local.followpaths": paths([_IGNORE]), "local.differ": "none"}
            tree = local(name, f"{name}-{_IGNORE}", f"[internal] load {_IGNORE}", attrs, self._options)
            data = await self._trees.read(tree, _IGNORE)
            self._ignore = read_patterns((data or b"").decode("utf-8", "replace"))
        return self._ignore

    async def tree(self, wanted: Sequence[str] | None) -> Edge:
        """Return the build context, of which some paths are needed, None for all."""
        if self.origin.context is not None:
            return self.origin.context
        name, ignored = self.origin.context_name, await self.ignore_patterns()
        attrs = {"local.followpaths": paths(wanted)} if wanted else {}
        if ignored:
            attrs["local.excludepatterns"] = paths(ignored)
        return local(name, name, "[internal] load build context", attrs, self._options)


def _lowered(filename: str) -> str:
    return posixpath.join(posixpath.dirname(filename), _DOCKERFILE.lower())


def _below(tree: Edge, directory: str) -> Edge:
    action = CopyAction(posixpath.join("/", directory), "/", dir_copy_contents=True)
    return copy_all(None, [CopyFrom(action, tree)], Description())


def is_archive(data: bytes) -> bool:
    """Tell whether data is a tar archive, compressed or not."""
    if data.startswith(_ARCHIVES):
        return True
    header = data[:512]
    if len(header) < 512 or not re.fullmatch(rb"[ 0-7\0]+", header[148:156]):
        return False
    digits = header[148:156].strip(b" \0")
    return bool(digits) and int(digits, 8) == sum(header[:148]) + 8 * 32 + sum(header[156:])
