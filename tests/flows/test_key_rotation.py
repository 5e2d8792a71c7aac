"""Keys are rotated while four workers serve: nothing fails, and every id_token verifies."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest

from bench import operations
from bench.http import Connection
from bench.worker import Person
from tests.clients.provider import Provider, free_port

WORKERS = 4
CLIENTS = 4
SEEN_KEYS = 3  # the test goes on until id_tokens of this many keys were seen
SECONDS = 60  # at most
PAUSE_SECONDS = 0.5  # between two rotations
ALGORITHM = "RS256"


@dataclass
class Observations:
    """What the clients saw."""

    signed_by: Counter[str] = field(default_factory=Counter)
    unverified: list[str] = field(default_factory=list)
    published: set[str] = field(default_factory=set)
    is_over: bool = False


async def published_keys(worker: operations.Worker, seen: Observations) -> dict[str, jwt.PyJWK]:
    response = await operations.jwks(worker)
    keys = {key["kid"]: jwt.PyJWK(key) for key in response.json()["keys"] if key["alg"] == ALGORITHM}
    seen.published.update(keys)
    return keys


async def take_id_tokens(worker: operations.Worker, seen: Observations) -> None:
    """Redeem a code again and again, with the published keys fetched just before and just after each time.

    Every operation raises unless the answer is the right one, so a failed request fails the test.
    """
    before = await published_keys(worker, seen)
    while not seen.is_over:
        await operations.mint_codes(worker, 1)
        await operations.code_exchange(worker)
        id_token = worker.token["id_token"]
        after = await published_keys(worker, seen)
        kid = jwt.get_unverified_header(id_token)["kid"]
        key = before.get(kid) or after.get(kid)
        if key is None:
            seen.unverified.append(kid)
        else:
            jwt.decode(id_token, key.key, algorithms=[ALGORITHM], audience=worker.target.client_id)
            seen.signed_by[kid] += 1
        before = after


async def rotate(provider: Provider, seen: Observations) -> None:
    try:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            before = len(seen.signed_by)
            await asyncio.to_thread(
                provider.manage, "rotate_keys", "--tenant", "default", "--use", "sig", "--alg", ALGORITHM
            )
            # A worker's copy of the keys may be 5 s old, so it takes a while until several were seen.
            if before >= SEEN_KEYS:
                return
            await asyncio.sleep(PAUSE_SECONDS)
    finally:
        seen.is_over = True


async def observe(provider: Provider, target: dict[str, str], person: Person) -> Observations:
    port = provider.port
    connections = [Connection("127.0.0.1", port) for _ in range(2 * CLIENTS)]  # a back end and a browser each
    try:
        probe = await connections[0].get(f"{provider.issuer}/.well-known/openid-configuration")
        metadata: dict[str, Any] = probe.json()
        known = operations.Target(issuer=provider.issuer, metadata=metadata, api_scope="", **target)
        workers = [
            operations.Worker(known, person, backend, browser)
            for backend, browser in zip(connections[:CLIENTS], connections[CLIENTS:], strict=True)
        ]
        for worker in workers:
            await operations.redeem(worker, *await operations.sign_in(worker, worker.browser))
        seen = Observations()
        async with asyncio.TaskGroup() as tasks:
            for worker in workers:
                tasks.create_task(take_id_tokens(worker, seen))
            tasks.create_task(rotate(provider, seen))
        return seen
    finally:
        for connection in connections:
            connection.close()


@pytest.mark.client
def test_every_id_token_verifies_while_keys_are_rotated(tmp_path: Path) -> None:
    target = {
        "client_id": "wiki",
        "client_secret": secrets.token_urlsafe(32),
        "redirect_uri": f"http://127.0.0.1:{free_port()}/callback",
    }
    person = Person("alice", f"Quiet-{secrets.token_urlsafe(9)}-7x")
    configuration = {
        "tenant": "default",
        "users": [{"user_name": person.user_name, "password": person.password, "name": "Alice"}],
        "applications": [
            {
                "name": "Wiki",
                "code": "wiki",
                "access": "everyone",
                "internal": True,
                "skip_consent": True,
                "clients": [
                    {
                        "client_id": target["client_id"],
                        "client_secret": target["client_secret"],
                        "dialect": "standard",
                        "token_endpoint_auth_method": "client_secret_basic",
                        "redirect_uris": [target["redirect_uri"]],
                        "grant_types": ["authorization_code", "refresh_token"],
                        "response_types": ["code"],
                        "id_token_signed_response_alg": ALGORITHM,
                    }
                ],
            }
        ],
    }
    database_url = os.environ.get("DATABASE_URL", "")
    with Provider(tmp_path, database_url=database_url, workers=WORKERS, log_requests=False) as provider:
        provider.apply(configuration)
        seen = asyncio.run(observe(provider, target, person))
    assert seen.unverified == []
    assert len(seen.signed_by) >= SEEN_KEYS
    assert set(seen.signed_by) <= seen.published
