"""The operators' pages over identity's rows. Writes go through services; reads are scoped to the operator's tenant."""

from identity.admin import applications, keys, messages, organizations, sign_ins, tenants, trail, upstreams, users

__all__ = ["applications", "keys", "messages", "organizations", "sign_ins", "tenants", "trail", "upstreams", "users"]
