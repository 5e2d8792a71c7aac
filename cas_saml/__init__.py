"""CAS 1.0 to 3.0 and SAML 2.0.

Owns: services, service tickets, service providers and their sessions. No models and no routes yet.
Entry points: `urls`, once its endpoints are built.
Must not know: OAuth (its sibling oidc_provider has it), the apps above it, how a user signs in.
"""
