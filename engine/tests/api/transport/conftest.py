"""Certificates for tests of TLS."""

import subprocess
from pathlib import Path

import pytest


def _openssl(directory: Path, *argv: str) -> None:
    subprocess.run(["openssl", *argv], cwd=directory, check=True, capture_output=True)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A CA, and a certificate of it that serves both sides."""
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    _openssl(
        tmp_path, *new, "-addext", "keyUsage=keyCertSign", "-subj", "/CN=ca", "-keyout", "ca-key.pem", "-out", "ca.pem"
    )
    request = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost")
    _openssl(tmp_path, *request, "-keyout", "key.pem", "-out", "request.pem")
    (tmp_path / "names").write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
    sign = ("x509", "-req", "-days", "2", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial")
    _openssl(tmp_path, *sign, "-in", "request.pem", "-out", "cert.pem", "-extfile", "names")
    return tmp_path
