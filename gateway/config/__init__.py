"""The operator's settings: one TOML file, each value overridable by environment.

`load` reads both and returns frozen `Settings`, or raises one `ConfigError` that lists everything
wrong with its place and what to do. Each setting is declared once, in `settings`; the reference in
`docs/configuration.md` is made from it. Only `cli` and `app` import this package.
"""

from gateway.config.kinds import Secret
from gateway.config.load import load
from gateway.config.settings import Auth, Issuer, Ledger, Server, Settings, Upstream

__all__ = ["Auth", "Issuer", "Ledger", "Secret", "Server", "Settings", "Upstream", "load"]
