"""The command line: `consentry COMMAND`. What a command does lies below; here it is asked for and printed.

Exit status 0 is good, 1 a finding (something that was verified does not hold), 2 a mistake in usage,
configuration or operation. An error is one line on standard error that says what to do.
"""

from __future__ import annotations

import click

from gateway import __version__
from gateway.bench.command import bench
from gateway.cli import (
    break_glass,
    client,
    config,
    consent,
    consent_fhir,
    demo,
    keys,
    ledger,
    preview,
    serve,
    token,
    user,
    user_link,
)
from gateway.cli.common import Commands


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """A FHIR gateway that answers a read only under a consent, and leaves a record you can check.

    To see it work: consentry demo. To set it up: write consentry.toml, then consentry check-config,
    consentry keys init, consentry serve.
    """


for command in (
    demo.demo,
    serve.serve,
    config.check_config,
    keys.keys,
    consent.consent,
    token.token,
    preview.simulate,
    client.client,
    user.user,
    break_glass.break_glass,
    ledger.ledger,
    bench,
):
    main.add_command(command)
for as_fhir in (consent_fhir.take, consent_fhir.export, consent_fhir.sync):
    consent.consent.add_command(as_fhir)
for previewing in (preview.preview, preview.compare):
    consent.consent.add_command(previewing)
for linking in (user_link.link, user_link.unlink, user_link.reset_passkeys):
    user.user.add_command(linking)
