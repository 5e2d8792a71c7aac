"""The only signals we send (house plan, section 3): news for the protocol apps above.

session_ended: kwargs session (SSOSession), reason (SessionEndReason). Sent inside the transaction that ends it.
user_disabled: kwargs user (User). Sent inside the transaction that raises the user's epoch: disables or deletes them,
changes the password, or ends everything that they granted.
"""

from django.dispatch import Signal

session_ended = Signal()
user_disabled = Signal()
