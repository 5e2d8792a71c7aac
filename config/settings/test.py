"""Tests: known secrets, cheap password hashes, mail in memory, and a database file for each process."""

import base64
import os
from typing import Any

from config.env import VAR_DIR, read
from config.settings.base import build


def test_key(letter: str) -> str:
    """Return a 32-byte key that is the same in every test run."""
    return base64.urlsafe_b64encode(letter.encode() * 32).decode()


env = read(
    debug=False,
    overrides={
        "DEBUG": "",
        "SECRET_KEY": "a key of the test suite, which is public and protects nothing",
        "KEY_ENCRYPTION_KEYS": f"{test_key('k')},{test_key('o')}",
        "HASH_PEPPERS": f"{test_key('p')},{test_key('q')}",
        "BLIND_INDEX_KEY": test_key("b"),
        "TRUSTED_PROXIES": "",
        "FORWARDED_HOST_HEADER": "",
        "REQUEST_ID_HEADER": "",
        "SCRIPT_NAME": "",
        "REDIS_URL": "",  # the database cache rolls back with each test and is never somebody else's
        "SHARED_HOST": "api.monban.example",
        "EMAIL_URL": "memorymail://",
        "STATIC_ROOT": str(VAR_DIR / "static-test"),
        "LOG_LEVEL": "INFO",
        "LOG_FORMAT": "json",
    },
)

built: dict[str, Any] = build(env)
built["PASSWORD_HASHERS"] = ["tests.support.hashers.CheapArgon2id", *built["PASSWORD_HASHERS"]]
# Tests speak plain http to the handler unless they say `secure=True`, so nothing may redirect them away.
built["SECURE_SSL_REDIRECT"] = False
# A thread of its own would wait for what the test's transaction holds, and outlive the test.
built["IDENTITY"]["send_beside_answer"] = False
built["STORAGES"]["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
built["WHITENOISE_USE_FINDERS"] = True
built["WHITENOISE_AUTOREFRESH"] = True
if not env.database_url:
    # A file, not memory: threads and child processes must see one database. The process id keeps two runs
    # in one checkout apart.
    (VAR_DIR / "test").mkdir(parents=True, exist_ok=True)
    built["DATABASES"]["default"]["TEST"] = {"NAME": VAR_DIR / "test" / f"monban-{os.getpid()}.sqlite3"}

globals().update(built)
