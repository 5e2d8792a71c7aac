"""Measure what a request costs: requests per second, CPU milliseconds and statements.

Entry point: python -m bench (make bench). It starts its own server, database and load; nothing here is part of
the product, and it knows the product by its documented endpoints only.
"""
