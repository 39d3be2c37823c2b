"""TLS as a client, with certificates judged as Go programs judge them."""

import ssl


def client_context() -> ssl.SSLContext:
    """Return a context that trusts the system's authorities. Reads their files: blocks, briefly.

    Python from 3.13 on refuses authorities whose certificates leave out what RFC 5280 asks for, as those that people
    make for their own registries often do. Go, and so dockerd, takes them.
    """
    context = ssl.create_default_context()
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    return context


def unverified_context() -> ssl.SSLContext:
    """Return a context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
