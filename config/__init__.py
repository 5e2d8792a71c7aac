"""The composition root: settings, routes, logging and server entry points.

Owns: reading the environment (`env`), the settings modules, where each app is mounted.
Entry points: `config.settings.{dev,test,prod}`, `config.urls`, `config.wsgi`, `config.asgi`.
Must not know: any rule of any protocol. It is the only package that may name every app.
"""
