"""The only signals we send (house plan, section 3): news for the protocol apps above.

session_ended: kwargs session (SSOSession), reason (SessionEndReason). Sent inside the transaction that ends it.
user_disabled: kwargs user (User). Sent inside the transaction that disables or deletes the user, or ends all of a
user's tokens after a password change.
"""

from django.dispatch import Signal

session_ended = Signal()
user_disabled = Signal()
