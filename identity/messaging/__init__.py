"""Messages that carry codes: numbers, gateways, limits and texts.

Owns: telephone numbers, a tenant's gateways and the record of what was sent; `senders` has the gateways' wire.
Entry points: `messages`, `gateways`, `phone`, `countries`.
Must not know: what a code allows, nor who asks for it.
"""
