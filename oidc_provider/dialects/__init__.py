"""The dialects of OAuth 2.0 and OpenID Connect that this server speaks.

Owns: one frozen value for each document, with what it spells otherwise.
Entry points: `ALL`, `get`.
Must not know: rows, endpoints, requests.
"""

from oidc_provider.dialects.base import Dialect
from oidc_provider.dialects.oneaccess import ONEACCESS
from oidc_provider.dialects.pactera import PACTERA
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.dialects.tencent import TENCENT
from oidc_provider.dialects.topiam import TOPIAM

ALL: tuple[Dialect, ...] = (STANDARD, PACTERA, TENCENT, TOPIAM, ONEACCESS)

# The dialect whose clients may be mini programs of a mobile app.
OF_MINI_PROGRAMS: Dialect = next(dialect for dialect in ALL if dialect.has_mini_programs)

_BY_NAME = {dialect.name: dialect for dialect in ALL}


def get(name: str) -> Dialect:
    """Return the dialect of that name. Raises KeyError."""
    return _BY_NAME[name]
