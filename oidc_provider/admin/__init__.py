"""The operators' pages over clients and what they were granted. Writes go through services."""

from oidc_provider.admin import clients, grants, resources

__all__ = ["clients", "grants", "resources"]
