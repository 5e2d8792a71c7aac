"""Look-ups as a partial index serves them.

An index that leaves rows out (`WHERE user_key <> ''`) serves a statement only where the statement itself says that it
wants none of these. The server must see that in the text: a statement that it keeps is planned once for all values
(PREPARE, "generic plan"), and a value that is sent beside it might be another one the next time.

    User.objects.filter(equals("email_key", email_key), tenant=tenant)
    Delivery.objects.filter(state=Constant(DeliveryState.PENDING))
"""

from __future__ import annotations

from typing import Any

from django.db.models import Expression, Q, TextField


class Constant(Expression):
    """A text that stands in the statement itself. Ours only: what came with a request is a value."""

    def __init__(self, text: str) -> None:
        super().__init__(output_field=TextField())
        if not (text == "" or text.isidentifier()):
            raise ValueError("a word, or nothing")
        self.text = text

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str, ...]]:
        return f"'{self.text}'", ()


def equals(column: str, value: Any) -> Q:
    """Compare a column whose index leaves out what is empty."""
    return Q(**{column: value}) & ~Q(**{column.partition("__")[0]: Constant("")})
