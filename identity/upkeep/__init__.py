"""Upkeep: what is done by the clock or by an administrator's command, and not for a request.

Owns: purging of rows, the worker's round, export and removal of a tenant, an operator's rescue.
Entry points: `upkeep`, `purgers`, `tenant_data`, `rescue`.
Must not know: requests, protocols (they register what they have to purge in `identity.registry`).
"""
