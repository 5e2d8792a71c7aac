"""Count the statements of a request. Only the counting server of the benchmark has this middleware."""

from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse

# The budgets leave out transaction control and the audit trail (one INSERT in the same transaction).
TRANSACTION_WORDS = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")


class CountQueries:
    """Answer with X-Queries and X-Audit-Queries: statements of this request, and those of the audit trail."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

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
        return response
