"""Connectors: ask an upstream provider who somebody is.

Owns: the protocols of the providers, one module each.
Entry points: base (what a connector is, and the table of them).
Must not know: rows, sign-ins, HTTP requests of ours.
A module put here is a connector that can be chosen; nothing else names it.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
