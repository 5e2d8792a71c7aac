#!/usr/bin/env python
"""Run a management command."""

import sys

from django.core.management import execute_from_command_line

from config.entry import choose_settings
from config.management.commands.init_secrets import Command as InitSecrets


def main() -> None:
    """Hand the command line to Django."""
    choose_settings(can_develop=True)
    if sys.argv[1:2] == ["init_secrets"]:
        # Production settings cannot be read before there are secrets, so what makes them does without.
        InitSecrets().run_from_argv(sys.argv)
        return
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
