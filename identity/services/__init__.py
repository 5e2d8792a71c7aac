"""The rules of identity, one module for each noun; called as `sessions.start(...)`.

Owns: every write to identity's rows, with its checks, its transaction and its audit event.
Entry points: the modules' functions; arguments by keyword, refusals raised as `identity.errors`.
Must not know: requests, status codes, wire names, protocols.
"""
