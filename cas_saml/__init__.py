"""CAS 1.0 to 3.0, and SAML 2.0 as identity provider.

Owns: services, service tickets; service providers and their sessions; released attributes.
Entry points: `urls`; `config` applies its sections of a configuration file.
Must not know: OAuth (its sibling oidc_provider has it), the apps above it, how a user signs in.
"""
