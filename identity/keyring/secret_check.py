"""Whether this process has the secrets that the database was written with.

With other ones every stored secret fails without a word, and sealed rows cannot be opened: a database that was restored
beside other secrets, or a process with an environment of its own. So the fingerprint of the key that writes stands in
the database, one for each variable, and every process proves its own before it serves.

Keys are changed by putting a new one in front. Who has the recorded key in its list can read what is there, and records
the new first one; who has only the old ones cannot read what the new one writes, and is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone

from identity import crypto
from identity.models import KeyPair, SecretFingerprint

log = logging.getLogger(__name__)

_SEALING = "KEY_ENCRYPTION_KEYS"
_is_proved = False


class WrongSecrets(ImproperlyConfigured):
    """The environment has other secrets than the database was written with."""

    def __init__(self, variables: list[str]) -> None:
        self.variables = variables
        super().__init__(
            f"{' and '.join(variables)}: not what this database was written with. Start with the environment that it "
            "belongs to; a list of keys must still hold the one that wrote last "
            "(docs/operations.md, Secrets and their database)."
        )


def find_wrong() -> list[str]:
    """Return the variables whose recorded key this process does not have; one statement, and nothing is written."""
    return _wrong(_recorded())


def prove() -> None:
    """Prove the secrets of this process once, and record them where they are new.

    Raises WrongSecrets, and django.db.Error where the database cannot say.
    """
    global _is_proved
    if _is_proved:
        return
    recorded = _recorded()
    _refuse(_wrong(recorded) or _wrong_for_rows(recorded))
    for name, own in crypto.fingerprints().items():
        if name not in recorded:
            SecretFingerprint.objects.get_or_create(variable=name, defaults={"fingerprint": own[0]})
        elif recorded[name] != own[0]:
            SecretFingerprint.objects.filter(variable=name, fingerprint=recorded[name]).update(
                fingerprint=own[0], recorded_at=timezone.now()
            )
    # Of two first processes with different secrets one finds the other's row.
    _refuse(find_wrong())
    _is_proved = True


def prove_at_start() -> None:
    """Prove the secrets of a web server. Where the database is away, or behind, the first request asks again."""
    try:
        prove()
    except DatabaseError as error:
        log.warning("secrets.unproved", extra={"reason": type(error).__name__})
    finally:
        connection.close()  # a server that loads the application before it forks shares nothing with its children


def forget_proof() -> None:
    """Begin as a process that has proved nothing."""
    global _is_proved
    _is_proved = False


def _recorded() -> dict[str, str]:
    return dict(SecretFingerprint.objects.values_list("variable", "fingerprint"))


def _wrong(recorded: Mapping[str, str]) -> list[str]:
    return [name for name, own in crypto.fingerprints().items() if recorded.get(name, own[0]) not in own]


def _wrong_for_rows(recorded: Mapping[str, str]) -> list[str]:
    """Judge a database from before there were fingerprints: its keys name the key that sealed them."""
    if _SEALING in recorded:
        return []
    sealed = KeyPair.objects.order_by("-pk").values_list("private_sealed", flat=True).first()
    return [] if sealed is None or crypto.has_key_of(sealed) else [_SEALING]


def _refuse(variables: list[str]) -> None:
    if variables:
        raise WrongSecrets(variables)
