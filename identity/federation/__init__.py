"""Accounts elsewhere: upstream providers, and who somebody there is here.

Owns: upstreams and external identities; `connectors` has the providers' protocols.
Entry points: `upstreams`, `external_identities`.
Must not know: the steps of a sign-in, requests, protocols of ours.
"""
