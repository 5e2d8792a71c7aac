"""node-oidc-provider from the npm registry, on PostgreSQL (`make bench BENCH_ARGS="--beside oidc-provider"`).

Needs node and npm. Packages are installed once, as the lock file names them, and scripts of packages do not run.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from bench.worker import Person, Target
from tests.clients.provider import OwnDatabase, free_port, stop, wait_until_open

FOLDER = Path(__file__).parent / "oidc-provider"
REDIRECT_URI = "http://127.0.0.1:9/callback"
# scrypt with 16 MiB, beside Argon2id with 19; and a hash that costs nothing beside the other.
WORK, NO_WORK = 2**14, 2**4


class Peer:
    """One running peer, with what `bench` asks of a provider."""

    def __init__(self, process: subprocess.Popen[bytes], database: OwnDatabase, port: int) -> None:
        self.process, self.database, self.port = process, database, port


def install() -> None:
    """Install what the lock file names, unless it is there."""
    stamp = FOLDER / "node_modules" / ".package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < (FOLDER / "package-lock.json").stat().st_mtime:
        words = ["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(words, cwd=FOLDER, check=True)


@contextmanager
def start(directory: Path, database_url: str, people: list[Person], *, is_cheap: bool) -> Iterator[tuple[Peer, Target]]:
    """Run it with these people on a database of its own, and stop it."""
    install()
    port, client_secret, log = free_port(), secrets.token_urlsafe(32), directory / "oidc-provider.log"
    issuer = f"http://127.0.0.1:{port}"
    site = {
        "issuer": issuer,
        "port": port,
        "client": {"client_id": "bench", "client_secret": client_secret, "redirect_uris": [REDIRECT_URI]},
        "people": {person.user_name: person.password for person in people},
        "jwk": new_jwk(),
        "cookie_key": secrets.token_urlsafe(32),
        "scrypt_n": NO_WORK if is_cheap else WORK,
    }
    file = directory / "site.json"
    file.touch(0o600)
    file.write_text(json.dumps(site))
    with contextlib.ExitStack() as undo:
        database = OwnDatabase(database_url)
        undo.callback(database.drop)
        environment = {"PATH": os.environ["PATH"], "NODE_ENV": "production", "SITE": str(file), "WORKERS": "2"}
        with log.open("ab") as output:
            process = subprocess.Popen(
                ["node", "server.mjs"],
                cwd=FOLDER,
                env={**environment, "DATABASE_URL": database.url.replace("postgres://", "postgresql://", 1)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        undo.callback(stop, process)
        wait_until_open(process, f"{issuer}/.well-known/openid-configuration", log)
        with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration", timeout=30) as response:
            metadata = json.load(response)
        target = Target(issuer, metadata, "bench", client_secret, REDIRECT_URI, api_scope="")
        yield Peer(process, database, port), target


def new_jwk() -> dict[str, str]:
    """A private RSA key (RFC7518-6.3)."""
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()
    public = numbers.public_numbers
    members = {
        "n": public.n, "e": public.e, "d": numbers.d, "p": numbers.p, "q": numbers.q,
        "dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp,
    }  # fmt: skip

    def text(number: int) -> str:
        encoded = number.to_bytes((number.bit_length() + 7) // 8, "big")
        return base64.urlsafe_b64encode(encoded).rstrip(b"=").decode()

    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "bench"} | {
        name: text(number) for name, number in members.items()
    }
