"""What the tests of `identity` share."""

from tests.support.tls import authority, trusted

__all__ = ["authority", "trusted"]
