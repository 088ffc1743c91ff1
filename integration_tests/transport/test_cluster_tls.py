"""A Redis Cluster that speaks TLS only, by the Redis that Debian's redis-tools bring: redis-check-rdb is one."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from langchain_core.messages import HumanMessage

from integration_tests.clusters import free_ports
from integration_tests.waiting import wait_until
from langchain_agentmem import AgentMemory
from langchain_agentmem.core.partitions import SLOTS
from langchain_agentmem.errors import StoreConnectionError
from tests.twins import Both

NODES = 3
PASSWORD = "node-secret"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that has signed itself, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    day = datetime.timedelta(days=1)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    public, private = folder / "node.crt", folder / "node.key"
    public.write_bytes(signed.public_bytes(pem))
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no_password))
    return public, private


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a cluster of three nodes, without the certificate that tells they are the right ones."""
    server = shutil.which("redis-check-rdb")
    if server is None:
        pytest.skip("needs redis-check-rdb, of Debian's redis-tools")
    folder = tmp_path_factory.mktemp("tls")
    binary = Path(shutil.copy(server, folder / "redis-server"))  # by this name it is a server
    public, private = certificate(folder)
    ports = free_ports(NODES)
    with ExitStack() as stack:
        for port in ports:
            (own := folder / str(port)).mkdir()
            options = {
                **{"port": 0, "tls-port": port, "bind": "127.0.0.1", "dir": own, "save": ""},
                **{"cluster-enabled": "yes", "tls-cluster": "yes", "tls-replication": "yes"},
                **{"tls-cert-file": public, "tls-key-file": private, "tls-ca-cert-file": public},
                **{"tls-auth-clients": "no", "requirepass": PASSWORD, "masterauth": PASSWORD},
            }
            words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
            process = subprocess.Popen([binary, *words], stdout=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
        clients = [stack.enter_context(client_of(port, public)) for port in ports]
        for at, client in enumerate(clients):
            wait_until(lambda client=client: answers(client))  # type: ignore[misc]
            client.execute_command(
                "CLUSTER ADDSLOTSRANGE", SLOTS * at // NODES, SLOTS * (at + 1) // NODES - 1
            )
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", at + 1)
        for port in ports[1:]:
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", port)
        for client in clients:
            wait_until(lambda client=client: is_whole(client))  # type: ignore[misc]
        yield f"rediss+cluster://:{PASSWORD}@{','.join(f'127.0.0.1:{port}' for port in ports)}"


def client_of(port: int, public: Path) -> redis.Redis:
    return redis.Redis("127.0.0.1", port, password=PASSWORD, ssl=True, ssl_ca_certs=str(public))


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def is_whole(client: redis.Redis) -> bool:
    about = client.execute_command("CLUSTER INFO")
    return about["cluster_state"] == "ok" and about["cluster_known_nodes"] == str(NODES)


@pytest.fixture(scope="module")
def public(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return next(tmp_path_factory.getbasetemp().glob("tls*/node.crt"))


async def test_what_needs_no_search_works_over_tls(url: str, public: Path, both: Both) -> None:
    of_nodes = f"{url}?{urlencode({'ssl_ca_certs': str(public)})}"
    async with AgentMemory(of_nodes, embeddings=None) as memory:
        store = memory.store(index=False, user_of=lambda namespace: namespace[0])
        people = [uuid4().hex for _ in range(8)]
        for at, user in enumerate(people):  # on every node
            thread = f"thread of {user}"
            await both(memory.working).aappend(thread, [HumanMessage("Hello.")], user=user)
            await both(memory.events).arecord(thread, "note", user=user)
            await both(store).aput((user,), "k", {"at": at})
            assert [one.content for one in await both(memory.working).amessages(thread)] == ["Hello."]
            assert len(await both(memory.events).arecent(thread)) == 1
            assert (await both(store).aget((user,), "k")).value == {"at": at}
        assert {f"thread of {user}" for user in people} <= set(await both(memory.working).alist_threads())


@pytest.mark.usefixtures("impatient")
async def test_nodes_that_nobody_vouches_for_are_refused(url: str, both: Both) -> None:
    async with AgentMemory(url, embeddings=None) as memory:
        with pytest.raises(StoreConnectionError, match="certificate") as caught:
            await both(memory.working).aload("t")
    assert PASSWORD not in f"{caught.value!r} {caught.value.plain}"
