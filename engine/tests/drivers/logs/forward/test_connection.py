"""Connections to collectors: over TLS on the daemon's own loop, acknowledged, by datagrams; dockerd's words."""

import asyncio
import socket
import ssl
import subprocess

import msgspec
import pytest
import uvloop

from engine.drivers.logs.forward.address import Address, DialFailed, Tls
from engine.drivers.logs.forward.connection import Route


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    directory = tmp_path_factory.mktemp("collector")
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    subject = ("-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem"))
    subprocess.run(["openssl", *new, *subject, *files], check=True, capture_output=True)
    return directory


async def serve(answer=lambda data: b"", tls=None):
    """Start a collector; return its port and what it receives."""
    received = bytearray()

    async def take(reader, writer):
        while data := await reader.read(65536):
            received.extend(data)
            writer.write(answer(data))

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=tls)
    return server, server.sockets[0].getsockname()[1], received


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def test_packets_in_order():
    server, port, received = await serve()
    connection = await Route((Address("tcp", "localhost", port),)).connect()
    for number in range(100):
        await connection.send([b"%d;" % number, b"x" * 1000])
    await until(lambda: len(received) >= 100_290)
    assert received.startswith(b"0;xxx")
    await connection.close()
    server.close()


def test_over_tls_on_the_daemons_loop(certificate):
    """uvloop's TLS has marks of its own for what is full."""

    async def check():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        server, port, received = await serve(tls=context)
        route = Route((Address("tls", "127.0.0.1", port),), Tls(ca=str(certificate / "cert.pem")))
        connection = await route.connect()
        async with asyncio.timeout(10):
            for size in (1, 1, 200_000, 1):
                await connection.send([b"x" * size])
        await until(lambda: len(received) == 200_003)
        await connection.close()
        with pytest.raises(DialFailed, match="^tls: failed to verify certificate: x509: certificate signed by unknown"):
            await Route(route.addresses, Tls()).connect()
        trusting = await Route(route.addresses, Tls(skip_verify=True)).connect()
        await trusting.close()
        server.close()

    uvloop.run(check())


async def test_a_closed_connection_is_noticed_before_anything_is_sent():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = await Route((Address("tcp", "127.0.0.1", listener.getsockname()[1]),)).connect()
        listener.accept()[0].close()
        await asyncio.sleep(0.05)
        with pytest.raises(ConnectionResetError, match="the collector closed the connection"):
            await connection.send([b"two"])
        await connection.close()


async def test_a_write_that_takes_too_long():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address("tcp", "127.0.0.1", silent.getsockname()[1])
        connection = await Route((address,), write_seconds=0.1).connect()
        with pytest.raises(TimeoutError):
            for _ in range(100):
                await connection.send([b"x" * 1_000_000])
        await connection.close()


async def test_acknowledgements():
    answers = iter([msgspec.msgpack.encode({"ack": "c1"}), msgspec.msgpack.encode({"ack": "other"})])
    server, port, _ = await serve(answer=lambda data: next(answers))
    connection = await Route((Address("tcp", "127.0.0.1", port),)).connect()
    await connection.send([b"x"])
    await connection.confirm("c1")
    await connection.send([b"x"])
    waiting = asyncio.ensure_future(connection.confirm("c2"))
    await asyncio.sleep(0.05)
    await connection.close()
    with pytest.raises(OSError):
        await waiting
    server.close()


async def test_datagrams():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(5)
        address = Address("udp", "127.0.0.1", collector.getsockname()[1])
        connection = await Route((address,)).connect()
        await connection.send([b"%d" % n for n in range(100)])
        assert [await asyncio.to_thread(collector.recv, 100) for _ in range(100)] == [b"%d" % n for n in range(100)]
    # Nobody is there any more: the kernel says so, and sending goes on.
    await connection.send([b"lost", b"lost", b"lost"])
    await connection.close()


async def test_a_datagram_beyond_the_sockets_limit_is_dropped(tmp_path, caplog):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as collector:
        collector.bind(str(path))
        collector.settimeout(5)
        connection = await Route((Address("unixgram", path=str(path)),)).connect()
        await connection.send([b"x" * (64 << 20), b"small"])
        assert await asyncio.to_thread(collector.recv, 100) == b"small"
        assert "too large for its collector's socket" in caplog.text
    with pytest.raises(OSError):
        await connection.send([b"nobody"])
    await connection.close()


async def test_the_first_address_that_answers_is_taken(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as collector:
        collector.bind(str(path))
        connection = await Route((Address("unix", path="/nosuch"), Address("unixgram", path=str(path)))).connect()
        await connection.send([b"x"])
        assert collector.recv(10) == b"x"
        await connection.close()


@pytest.mark.parametrize(
    ("address", "tls", "problem"),
    [
        (Address("unix", path="/nosuch"), None, "dial unix /nosuch: connect: no such file or directory"),
        (Address("tcp", "127.0.0.1", 1), None, "dial tcp 127.0.0.1:1: connect: connection refused"),
        (Address("tls", "127.0.0.1", 1), Tls(), "dial tcp 127.0.0.1:1: connect: connection refused"),
        (Address("tcp", "", 1), None, "dial tcp :1: connect: connection refused"),
        (Address("tcp", "::1", 1), None, "dial tcp [::1]:1: connect: "),
        (Address("tcp", "nosuch.invalid", 1), None, "dial tcp: lookup nosuch.invalid: no such host"),
        (
            Address("tls", "127.0.0.1", 1),
            Tls(ca="/nosuch"),
            'could not read CA certificate "/nosuch": open /nosuch: no such file or directory',
        ),
        (
            Address("tls", "127.0.0.1", 1),
            Tls(certificate="/nosuch"),
            "Could not load X509 key pair: open /nosuch: no such file or directory",
        ),
    ],
)
async def test_failures(address, tls, problem):
    with pytest.raises(DialFailed) as caught:
        await Route((address,), tls).connect()
    assert str(caught.value).startswith(problem)
