"""The provider and the person of the SAML tests."""

from tests.specs.saml_fixtures import browser, new_provider, person, provider, tenant

__all__ = ["browser", "new_provider", "person", "provider", "tenant"]
