"""How a verification code leaves the house.

Owns the gateways of each channel and the texts of the mails. Entry points: `base.senders_for`, `base.Message`.
Must not know what a code allows, nor who asks for it.
"""
