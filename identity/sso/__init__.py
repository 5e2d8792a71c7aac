"""Single sign-on: sessions, whether one still counts, and their end.

Owns: SSO sessions, the devices of apps, the one gate (`access`), and the round of sign-outs.
Entry points: the modules' functions, as `sessions.start(...)`; arguments by keyword, refusals raised as
`identity.errors`.
Must not know: how a person proves who they are; requests, wire names, protocols.
"""
