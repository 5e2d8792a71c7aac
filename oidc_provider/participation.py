"""Note which clients a session was used to sign in to, so that its end is told to them.

A participant's row stays as long as its session, so a process that has once seen it committed need not ask again:
the second sign-in of a browser to the same application costs one statement less.
"""

from __future__ import annotations

from functools import partial

from django.db import transaction

from identity.models import SSOSession
from identity.services import sessions
from oidc_provider.models import Client

MAX_REMEMBERED = 10_000  # pairs, about 2 MB; forgetting only costs the statement again

_joined: set[tuple[str, str]] = set()  # sid and client_id


def join(session: SSOSession, client: Client) -> None:
    """Note that the session was used to sign in to the client's application. In the caller's transaction."""
    pair = (session.sid, client.client_id)
    if pair in _joined:
        return
    sessions.join(session, client.catalogue_entry, protocol="oidc", client_ref=client.client_id)
    # Not before: what is rolled back has not happened.
    transaction.on_commit(partial(_remember, pair))


def forget() -> None:
    """Forget what this process has seen."""
    _joined.clear()


def _remember(pair: tuple[str, str]) -> None:
    if len(_joined) >= MAX_REMEMBERED:
        _joined.clear()
    _joined.add(pair)
