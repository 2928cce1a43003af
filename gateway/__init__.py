"""Consentry: a FHIR gateway that answers a read only under a consent, and records it before it answers.

Read `pipeline` first, then `core.decide`. `core` is pure; `tokens`, `upstream`, `ledger` and `consents` are
its edges; `web` is HTTP, `app` puts it together, `cli` starts it. `sandbox` is a FHIR server to try it on.
"""

__version__ = "0.1.0"
