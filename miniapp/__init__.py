"""Mini programs inside a mobile app (Pactera guide, chapter 2).

Owns: the proof that a caller is the host app signed in as that user; the consent page of the app's web view. No models.
Entry points: `urls`.
Must not know: models of oidc_provider (it calls `oidc_provider.public`), its siblings tenant_api and sdk_api.
"""
