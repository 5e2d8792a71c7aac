"""The facts of one request that rules may know: in which tenant and dialect it came, and who we are to the client."""

from __future__ import annotations

from dataclasses import dataclass

from identity import origins
from identity.context import RequestContext
from identity.models import Tenant
from oidc_provider.dialects.base import Dialect, EndpointName


@dataclass(frozen=True)
class Facts:
    """The facts of one request."""

    tenant: Tenant
    dialect: Dialect
    request: RequestContext
    issuer: str
    app_code: str = ""  # of a dialect whose applications have an issuer each

    @classmethod
    def of(cls, context: RequestContext, dialect: Dialect, *, app_code: str = "") -> Facts:
        """Return the facts of a request on a tenant's own host. Raises LookupError on the host that all share."""
        if context.tenant is None:
            raise LookupError("The host that all tenants share has no issuer (decision 10).")
        issuer = dialect.issuer(origins.base(context), app_code=app_code)
        return cls(context.tenant, dialect, context, issuer, app_code)

    @property
    def assertion_audiences(self) -> tuple[str, ...]:
        """What a client assertion may be addressed to (RFC7523-3)."""
        base = self.issuer.removesuffix(self.dialect.issuer("", app_code=self.app_code))
        return (self.issuer, self.dialect.address(EndpointName.TOKEN, base, app_code=self.app_code))
