"""Races on two nodes over one PostgreSQL: what ends a person's grants, beside whoever is making and using them.

`world.py` has the nodes and what a client of them does, `rounds.py` the races, each a number of tries that are counted.
`make races` runs 100 tries of each and prints a table; `test_races.py` runs a few.
"""
