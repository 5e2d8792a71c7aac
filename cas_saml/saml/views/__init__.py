"""The endpoints of the identity provider (OneAccess-3.3.3), and what their answers have in common."""
