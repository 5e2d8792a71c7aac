"""Mini programs inside a mobile app (Pactera guide, chapter 2).

Owns: the proof that a caller is the host app signed in as that user. No models, and no routes yet.
Entry points: `urls`, once its endpoints are built.
Must not know: models of oidc_provider (it calls `oidc_provider.public`), its siblings tenant_api and sdk_api.
"""
