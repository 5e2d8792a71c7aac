"""OAuth 2.0 and OpenID Connect, in the standard dialect and those of the vendors.

Owns: clients, authorization codes, tokens, consents; discovery, the published keys and the protocol endpoints.
Entry points: `urls`, and for sibling apps `public`, `dialects` and `errors` only.
Must not know: how a user proves who they are (identity does), the apps above it, SAML or CAS.
"""
