"""The operator's settings: one TOML file, each value overridable by environment.

`load` reads both and returns frozen `Settings`, or raises one `ConfigError` that lists everything
wrong with its place and what to do. Each setting is declared once, in `settings`; the reference in
`docs/configuration.md` is made from it. Only `cli` and `app` import this package.
"""

from gateway.config.consent import Consent
from gateway.config.glass import BreakGlass
from gateway.config.kinds import Secret
from gateway.config.load import load
from gateway.config.settings import Auth, Issuer, Ledger, LoginProvider, Server, Settings, Upstream
from gateway.config.transport import Tls

__all__ = [
    "Auth", "BreakGlass", "Consent", "Issuer", "Ledger", "LoginProvider", "Secret", "Server", "Settings",
    "Tls", "Upstream", "load",
]  # fmt: skip
