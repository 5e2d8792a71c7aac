"""SAML 2.0: we are the identity provider.

Owns: service providers, their sessions with us, assertions, single logout, the metadata of both sides.
Entry points: `views`; `xml`, `signatures`, `redirect`, `encryption` and `certificates` are the security core below.
Must not know: OAuth, CAS (beside it), how a user signs in.
"""
