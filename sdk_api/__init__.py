"""Sign-in for native apps (/api/v2/sdk/*).

Owns: the wire form of the login service: headers, signatures, statuses. No models, and no routes yet.
Entry points: `urls`, once its endpoints are built.
Must not know: rules of signing in (identity.services.login has them), its siblings tenant_api and miniapp.
"""
