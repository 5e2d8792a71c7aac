"""Sign-in for native apps (/api/v2/sdk/*).

Owns: the wire form of the login service: headers, signatures, statuses. No models. Built so far: clock, key, sign-in
by password with its password steps, profile, sign-out.
Entry points: `urls`.
Must not know: rules of signing in (identity.services.login has them), its siblings tenant_api and miniapp.
"""
