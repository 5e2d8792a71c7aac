"""CAS 1.0, 2.0 and 3.0 (OneAccess-3.3.2, CAS protocol 3.0).

Owns: the services that may ask, their tickets, the answers in three forms, single logout by back channel.
Entry points: `views`, mounted by cas_saml/urls.py; `config` applies `cas_services` of a configuration file.
Must not know: SAML 2.0 (its sibling), OAuth, how a user signs in.
"""
