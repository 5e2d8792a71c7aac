"""Sign-in for native apps (/api/v2/sdk/*), and its hand-over to web applications (/api/v2/tenant/sso/*).

Owns: the wire form of the login service and of what a session is good for: headers, signatures, statuses. No models.
Entry points: `urls`.
Must not know: rules of signing in (identity.sign_in.login has them), its siblings tenant_api and miniapp.
"""
