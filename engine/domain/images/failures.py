"""What goes wrong with images, in dockerd's words."""

from engine.core.errors import Conflict, Internal, InvalidParameter, NotFound, NotImplementedHere, Unauthorized
from engine.core.ids import short
from engine.core.model.image import Platform
from engine.domain.images.platforms import format_platform


class PlatformNotLoaded(NotFound):
    """An archive does not have the platform that was asked for; its image is here now all the same."""

    def __init__(self, name: str, platform: Platform) -> None:
        super().__init__(
            f"image {name} was loaded, but doesn't provide the requested platform ({format_platform(platform)})"
        )


class NothingToSave(NotFound):
    """An image has no such platform to be saved."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"no suitable export target found: {cause}")


class ManifestNotHere(NotFound):
    """An image of which only the name and the index are here cannot be saved."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"unable to create manifests file: NotFound: content digest {digest}: not found")


class ImageNotFound(NotFound):
    """No image has that name or id; docker-py and the CLI know the text."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"No such image: {reference}")


class AmbiguousReference(InvalidParameter):
    """A shortened id fits several images."""

    def __init__(self) -> None:
        super().__init__("ambiguous reference")


class PlatformNotProvided(NotFound):
    """The image is here, but not for that platform."""

    def __init__(self, reference: str, platform: Platform) -> None:
        super().__init__(
            f"image with reference {reference} was found but does not provide the specified platform "
            f"({format_platform(platform)})"
        )


class NoPlatformProvided(NotFound):
    """Only the image's name and index are here."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"image with reference {reference} was found but does not provide any platform")


class NoMatchingManifest(NotFound):
    """An index has no entry for the platform."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(
            f"no matching manifest for {format_platform(platform)} in the manifest list entries: "
            "no match for platform in manifest: not found"
        )


class ResolveFailed(Internal):
    """The registry did not say what a name stands for. `prefix` is what Go's gRPC errors put in front."""

    def __init__(self, reference: str, cause: str, prefix: str = "") -> None:
        super().__init__(f'{prefix}failed to resolve reference "{reference}": {cause}')


class ResolveNotFound(NotFound):
    """The registry does not know the name."""

    def __init__(self, reference: str, cause: str) -> None:
        super().__init__(f'failed to resolve reference "{reference}": {cause}')


class PullAccessDenied(NotFound):
    """The registry does not let the client see the repository, if there is one."""

    def __init__(self, name: str, reason: str = "") -> None:
        why = f": {reason}" if reason else ""
        super().__init__(f"pull access denied for {name}, repository does not exist or may require 'docker login'{why}")


class NoCredentials(Internal):
    """The registry asks for credentials that the client did not give."""

    def __init__(self, method: str, url: str) -> None:
        super().__init__(f'{method} "{url}": no basic auth credentials')


class NotAuthorized(Unauthorized):
    """The registry's token server does not accept the credentials."""

    def __init__(self, method: str, url: str, reason: str) -> None:
        super().__init__(f'{method} "{url}": {reason}')


class MalformedImage(Internal):
    """A manifest, index or configuration that is damaged, hostile or of an unknown kind."""


class UnsupportedMediaType(NotImplementedHere):
    """Content of a kind that is not an image for containers."""

    def __init__(self, media_type: str) -> None:
        super().__init__(f"unsupported media type {media_type}")


class SchemaOne(NotImplementedHere):
    """The image format of the years before 2016."""

    def __init__(self, media_type: str) -> None:
        super().__init__(
            f'media type "{media_type}" is no longer supported since containerd v2.1, please rebuild the image as '
            '"application/vnd.docker.distribution.manifest.v2+json" or "application/vnd.oci.image.manifest.v1+json"'
        )


class LayerMismatch(Internal):
    """What a layer unpacks to is not what the configuration says."""

    def __init__(self, digest: str, wanted: str, found: str) -> None:
        super().__init__(f'wrong diff id calculated on extraction "{found}" of {digest}, expected "{wanted}"')


class ExtractFailed(Internal):
    """A layer cannot be unpacked."""

    def __init__(self, digest: str, cause: str) -> None:
        super().__init__(f"failed to extract layer {digest}: {cause}")


class DeleteConflict(Conflict):
    """An image is in use."""

    def __init__(self, reference: str, reason: str, *, forcible: bool = True) -> None:
        how = "must be forced" if forcible else "cannot be forced"
        super().__init__(f"conflict: unable to delete {reference} ({how}) - {reason}")


class BlankName(InvalidParameter):
    """Deletion of nothing."""

    def __init__(self) -> None:
        super().__init__("image name cannot be blank")


class PlatformNeedsForce(InvalidParameter):
    """Deletion of some platforms without force; the dashes are dockerd's."""

    def __init__(self) -> None:
        super().__init__(
            "Content will be removed from all images referencing this variant. Use \u2014-force to force delete."
        )


class PlatformNotDeleted(NotFound):
    """Deletion of a platform that is not here."""

    def __init__(self, platform: Platform, image_id: str, reference: str) -> None:
        super().__init__(
            f"failed to delete platform {format_platform(platform)} for image {image_id}: "
            f"image with reference {reference} was found but does not provide any platform"
        )


class InvalidTag(InvalidParameter):
    """A tag that does not follow the grammar."""

    def __init__(self) -> None:
        super().__init__("invalid tag format")


class DigestAsName(InvalidParameter):
    """A digest is given where a new name is wanted."""

    def __init__(self, text: str = "cannot import digest reference") -> None:
        super().__init__(text)


class UnrecognizedArchive(Internal):
    """A tar archive that holds no images."""

    def __init__(self) -> None:
        super().__init__("unrecognized image format")


class InvalidUntil(Internal):
    """The `until` filter is no time."""

    def __init__(self, value: str) -> None:
        super().__init__(f'failed to parse value as time or duration: "{value}"')


class NotAChange(InvalidParameter):
    """A `--change` instruction that cannot be applied to a finished image."""

    def __init__(self, instruction: str) -> None:
        super().__init__(f"{instruction} is not a valid change command")


class PushFailed(Internal):
    """The registry did not answer."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"failed to do request: {cause}")


class TagMissing(NotFound):
    """Push of a name that does not exist."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"tag does not exist: {reference}")


class NoTagToPush(NotFound):
    """Push of a repository of which there is no tag."""

    def __init__(self, repository: str) -> None:
        super().__init__(f"An image does not exist locally with the tag: {repository}")


def used_by(container_id: str, state: str) -> str:
    """Return the reason for which an image cannot go: `state` is running or stopped."""
    return f"image is being used by {state} container {short(container_id)}"
