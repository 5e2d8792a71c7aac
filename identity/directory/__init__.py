"""The directory: people, organizations, applications, their accounts and roles, tenants.

Owns: every write to these rows, with its checks, its transaction and its audit event; and the lists of them.
Entry points: one module for each noun, as `users.create(...)`; `lists` and `profiles` read for others.
Must not know: sign-ins, requests, wire names, protocols.
"""
