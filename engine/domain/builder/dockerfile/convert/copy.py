"""COPY and ADD to LLB (BuildKit's `dispatchCopy`)."""

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from engine.core import ids
from engine.core.references import is_digest
from engine.domain.builder.dockerfile.convert.history import created
from engine.domain.builder.dockerfile.convert.scope import Scope
from engine.domain.builder.dockerfile.convert.stages import StageState, Step
from engine.domain.builder.dockerfile.convert.state import CopyFrom, copy_all, make, merge, owner_of
from engine.domain.builder.dockerfile.failures import InstructionWrong
from engine.domain.builder.dockerfile.git_refs import GitRef, parse_git_ref
from engine.domain.builder.dockerfile.instructions import Copy
from engine.domain.builder.dockerfile.shell import go_quoted
from engine.domain.builder.llb.ops import CopyAction, Description, Edge, MakeFile, SourceOp, Vertex

_SYMBOLIC = re.compile(r"(?:[ugoa]*[-+=](?:[rwxXst]*|[ugo]))+(?:,(?:[ugoa]*[-+=](?:[rwxXst]*|[ugo]))+)*")


@dataclass(frozen=True, slots=True)
class _Plan:
    """A COPY with its variables replaced, and what all of its actions have in common."""

    copy: Copy
    name: str
    dest: str
    common: CopyAction
    source: Edge | None


def copy(scope: Scope, stage: StageState, step: Step, instruction: Copy) -> None:
    """Add a COPY or ADD to a stage. Raises InstructionWrong."""
    source = _source(scope, stage, step, instruction)
    written = instruction
    instruction = _expanded(scope, stage, step, instruction)
    dest = stage.state.path(instruction.dest)
    common = CopyAction(
        src="",
        dest=dest,
        owner=owner_of(instruction.chown) if instruction.chown else None,
        mode=_mode(instruction.chmod),
        create_dest_path=True,
        timestamp=-1 if scope.settings.epoch is None else scope.settings.epoch,
        exclude_patterns=instruction.exclude,
    )
    _check_checksum(instruction)
    shown = scope.shown(stage, written.code)
    name = scope.numbered(stage, shown, on_build=step.on_build)
    plan = _Plan(instruction, name, dest, common, source)
    copies = [_of_source(scope, plan, path) for path in instruction.sources]
    copies += [_of_document(scope, stage, step, plan, i) for i in range(len(instruction.documents))]
    _place(scope, stage, step, plan, copies, shown)
    stage.image.commit(f"{_history(instruction)} # buildkit", layer=True, created=created(scope.settings))
    _note_paths(stage, step, instruction)


def _source(scope: Scope, stage: StageState, step: Step, instruction: Copy) -> Edge | None:
    if not step.sources:
        return scope.context
    source = step.sources[0]
    if source is None or not source.done:
        raise InstructionWrong(
            f"cannot copy from stage {go_quoted(instruction.source_stage)}, it needs to be defined before current "
            f"stage {go_quoted(stage.shown_name)}"
        )
    return source.state.tree


def _expanded(scope: Scope, stage: StageState, step: Step, copy: Copy) -> Copy:
    def expand(text: str) -> str:
        return scope.expand(stage, step, text)

    return replace(
        copy,
        chown=expand(copy.chown),
        chmod=expand(copy.chmod),
        checksum=expand(copy.checksum),
        exclude=[expand(pattern) for pattern in copy.exclude],
        sources=[expand(source) for source in copy.sources],
        dest=expand(copy.dest),
    )


def _mode(text: str) -> str:
    """Return octal digits or a symbolic mode. Raises InstructionWrong."""
    if not text:
        return ""
    if re.fullmatch(r"[0-7]+", text) and int(text, 8) <= 0o7777:
        return text
    if text[0].isdigit():
        raise InstructionWrong(f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777")
    if not _SYMBOLIC.fullmatch(text):
        raise InstructionWrong("invalid syntax")
    return text


def _check_checksum(copy: Copy) -> None:
    if not copy.checksum:
        return
    if len(copy.sources) != 1:
        raise InstructionWrong("checksum can't be specified for multiple sources")
    if not _is_url(copy.sources[0]) and parse_git_ref(copy.sources[0]) is None:
        raise InstructionWrong("checksum requires HTTP(S) or Git sources")


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _of_source(scope: Scope, plan: _Plan, path: str) -> CopyFrom:
    git = parse_git_ref(path)
    if git is not None and not git.maybe_local:
        return _of_git(plan, git)
    if _is_url(path):
        return _of_url(plan, path)
    return CopyFrom(_of_path(scope, plan, path), plan.source)


def _of_git(plan: _Plan, git: GitRef) -> CopyFrom:
    if not plan.copy.is_add:
        raise InstructionWrong("source can't be a git ref for COPY")
    keep, checksum = plan.copy.keep_git_dir, plan.copy.checksum
    if keep is not None and git.keep_git_dir is not None and keep != git.keep_git_dir:
        raise InstructionWrong("inconsistent keep-git-dir configuration")
    if checksum and git.checksum and checksum != git.checksum:
        raise InstructionWrong(f"checksum mismatch {go_quoted(checksum)} != {go_quoted(git.checksum)}")
    keep = git.keep_git_dir if git.keep_git_dir is not None else keep
    source = git_source(replace(git, keep_git_dir=keep, checksum=git.checksum or checksum))
    vertex = Vertex(source, description=Description(custom_name=plan.name))
    return CopyFrom(replace(plan.common, src="/"), Edge(vertex))


def git_source(git: GitRef) -> SourceOp:
    """Return the source of a git reference."""
    attrs = {
        "git.authheadersecret": "GIT_AUTH_HEADER",
        "git.authtokensecret": "GIT_AUTH_TOKEN",
        "git.fullurl": git.remote,
    }
    if git.keep_git_dir:
        attrs["git.keepgitdir"] = "true"
    if git.checksum:
        attrs["git.checksum"] = git.checksum
    if git.submodules is False:
        attrs["git.skipsubmodules"] = "true"
    if git.remote.startswith("ssh://") or "://" not in git.remote:
        attrs["git.mountsshsock"] = "default"
        attrs = {key: value for key, value in attrs.items() if not key.startswith("git.auth")}
    return SourceOp(git.identifier, attrs)


def _of_url(plan: _Plan, url: str) -> CopyFrom:
    if not plan.copy.is_add:
        raise InstructionWrong("source can't be a URL for COPY")
    filename = posixpath.basename(urlsplit(url).path.rstrip("/")) or "__unnamed__"
    attrs = {"http.filename": filename}
    if checksum := plan.copy.checksum:
        if not is_digest(checksum):
            raise InstructionWrong(_digest_failure(checksum))
        attrs["http.checksum"] = checksum
    vertex = Vertex(SourceOp(url, attrs), description=Description(custom_name=plan.name))
    action = replace(plan.common, src=f"/{filename}", unpack=bool(plan.copy.unpack))
    return CopyFrom(action, Edge(vertex))


def _digest_failure(text: str) -> str:
    algorithm, colon, digits = text.partition(":")
    if not colon or not re.fullmatch(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*", algorithm) or not digits:
        return "invalid checksum digest format"
    return "unsupported digest algorithm" if algorithm not in ("sha256", "sha512") else "invalid checksum digest length"


def _of_path(scope: Scope, plan: _Plan, path: str) -> CopyAction:
    if plan.source is scope.context and scope.is_ignored is not None:
        clean = posixpath.normpath(path)
        if clean not in (".", "/") and scope.is_ignored(clean):
            lines = (plan.copy.line, plan.copy.end)
            scope.lint.report("CopyIgnoredFile", lines, plan.copy.word.capitalize(), clean)
    patterns, required = [], []
    if plan.copy.parents:
        pivot, found, pattern = path.partition("/./")
        path, pattern = (pivot, pattern) if found else ("/", path)
        pattern = _absolute(pattern)
        patterns = [pattern.lstrip("/")]
        if not _has_wildcards(path) and not _has_wildcards(pattern):
            required = [_absolute(posixpath.join(path, pattern.lstrip("/")))]
    return replace(
        plan.common,
        src=_absolute(path),
        follow_symlink=True,
        dir_copy_contents=True,
        unpack=plan.copy.is_add if plan.copy.unpack is None else plan.copy.unpack,
        allow_wildcard=True,
        allow_empty_wildcard=True,
        include_patterns=patterns,
        required_paths=required,
    )


def _absolute(path: str) -> str:
    return posixpath.normpath(posixpath.join("/", path.lstrip("/")))


def _has_wildcards(path: str) -> bool:
    return re.search(r"[*?\[]", re.sub(r"\\.", "", path)) is not None


def _of_document(scope: Scope, stage: StageState, step: Step, plan: _Plan, number: int) -> CopyFrom:
    document = plan.copy.documents[number]
    content = re.sub(r"(?m)^\t+", "", document.content) if document.chomp else document.content
    if document.expand:
        content = scope.expand(stage, step, content, raw=True)
    file = MakeFile(f"/{document.name}", content.encode(), 0o644)
    tree = make(None, file, Description(custom_name="[internal] preparing inline document"))
    return CopyFrom(replace(plan.common, src=f"/{document.name}"), tree)


def _place(scope: Scope, stage: StageState, step: Step, plan: _Plan, copies: Sequence[CopyFrom], shown: str) -> None:
    options = {"ignore_cache": stage.ignore_cache}
    tree = stage.state.tree
    if not plan.copy.link or plan.copy.chmod:
        stage.state = stage.state.on(copy_all(tree, copies, scope.described_as(plan.name, plan.copy, **options)))
        return
    group = ids.new_id()[:25]
    layer = scope.described_as(plan.name, plan.copy, progress_group=(group, plan.name, True), **options)
    linked = scope.same_number(stage, f"LINK {shown}", on_build=step.on_build)
    both = scope.described_as(linked, plan.copy, progress_group=(group, plan.name, False), **options)
    stage.state = stage.state.on(merge(tree, copy_all(None, copies, layer), both))


def _history(copy: Copy) -> str:
    words = [copy.word]
    words += ["--parents"] if copy.parents else []
    words += [f"--chown={copy.chown}"] if copy.chown else []
    words += [f"--chmod={copy.chmod}"] if copy.chmod else []
    return " ".join([*words, *copy.sources, *(f"<<{d.name}" for d in copy.documents), copy.dest])


def _note_paths(stage: StageState, step: Step, copy: Copy) -> None:
    source = step.sources[0] if step.sources else None
    paths = stage.context_paths if source is None else source.paths
    paths.update(_absolute(path) for path in copy.sources if not (copy.is_add and _is_url(path)))
