"""People, organisations, applications, sessions, keys, audit: what is true without any protocol.

Owns: tenants, users, credentials, single sign-on sessions, the login service, the error catalogue, signing keys.
Entry points: `services` (write), `selectors` (read), `events`, `errors`, `registry`, the signals in `signals`.
Must not know: any protocol, any app above it, the toolkit, the REST framework.
"""
