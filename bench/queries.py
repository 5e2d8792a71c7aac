"""Count the statements of a request. Only the counting server of the benchmark has this middleware."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse

from sdk_api import signature

# The budgets leave out transaction control and the audit trail (one INSERT in the same transaction).
TRANSACTION_WORDS = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")


_spent = threading.local()


def _timed(decrypt: Callable[..., Any]) -> Callable[..., Any]:
    """Note the CPU time that the decryption of an X-signature took."""

    def run(*args: Any) -> Any:
        before = time.thread_time()
        try:
            return decrypt(*args)
        finally:
            _spent.ms = (time.thread_time() - before) * 1000

    return run


class CountQueries:
    """Answer with X-Queries and X-Audit-Queries: statements of this request, and those of the audit trail.

    X-Decrypt-Ms is what the RSA decryption of its X-signature took, of the processor's time.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        signature.decrypt = _timed(signature.decrypt)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        statements: list[str] = []

        def record(execute: Callable[..., Any], sql: str, params: Sequence[Any], many: bool, context: Any) -> Any:
            if not sql.lstrip().upper().startswith(TRANSACTION_WORDS):
                statements.append(sql)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(record):
            response = self.get_response(request)
        audit = [sql for sql in statements if "identity_auditevent" in sql.lower()]
        response["X-Queries"] = str(len(statements) - len(audit))
        response["X-Audit-Queries"] = str(len(audit))
        response["X-Decrypt-Ms"] = f"{getattr(_spent, 'ms', 0.0):.3f}"
        _spent.ms = 0.0
        return response
