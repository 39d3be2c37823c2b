"""libnftables through ctypes: a text of nft commands in, one kernel transaction out."""

import ctypes
import ctypes.util
import errno

_JSON_OUTPUT = 1 << 4
_NAMES = ("libnftables.so.1", "libnftables.so.2", "libnftables.so")


class NftablesUnavailable(OSError):
    """The library is not installed."""

    def __init__(self) -> None:
        super().__init__(errno.ENOENT, "libnftables is not installed")


class RulesRefused(OSError):
    """The kernel, or the library, does not take the rules; nothing of them is in force."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EINVAL, f"nftables: {reason.strip()}")


class Nftables:
    """A context of the library. Not safe for several threads at once."""

    def __init__(self) -> None:
        """Raises NftablesUnavailable."""
        self._library = _load()
        self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def run(self, commands: str) -> None:
        """Run commands in one transaction. Raises RulesRefused. Blocks; call in a thread."""
        self._run(commands)

    def query(self, command: str) -> bytes:
        """Run a `list` command and return its answer as JSON. Raises RulesRefused. Blocks; call in a thread."""
        self._library.nft_ctx_output_set_flags(self._context, _JSON_OUTPUT)
        try:
            return self._run(command)
        finally:
            self._library.nft_ctx_output_set_flags(self._context, 0)

    def _run(self, commands: str) -> bytes:
        failed = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        error: bytes = self._library.nft_ctx_get_error_buffer(self._context) or b""
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context) or b""
        if failed:
            raise RulesRefused(error.decode(errors="replace"))
        return output

    def close(self) -> None:
        """Free the context."""
        self._library.nft_ctx_free(self._context)


def _load() -> ctypes.CDLL:
    library = None
    for name in (*_NAMES, ctypes.util.find_library("nftables")):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is not None:
            return _declared(library)
    raise NftablesUnavailable


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    context = ctypes.c_void_p
    library.nft_ctx_new.restype = context
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_output_set_flags.argtypes = [context, ctypes.c_uint]
    library.nft_ctx_output_set_flags.restype = None
    library.nft_run_cmd_from_buffer.argtypes = [context, ctypes.c_char_p]
    for function in ("nft_ctx_buffer_output", "nft_ctx_buffer_error", "nft_ctx_free"):
        getattr(library, function).argtypes = [context]
    for function in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, function).argtypes = [context]
        getattr(library, function).restype = ctypes.c_char_p
    return library
