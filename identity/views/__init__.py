"""Pages that every browser protocol shares: signing in and out, the account, passwords; probes and refusals.

Entry points: `identity.urls`. Each view turns HTTP into one call of a service and one answer.
Must not know any protocol, nor the rules that the services keep.
"""
