"""What the demo shows: the lines to copy, and the same three steps taken by the program itself.

The lines read the token and the operator's secret from files, so that they stay short and no secret ends
up in a shell's history.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

import click
import httpx

from gateway.cli.common import PACKAGE, Finding

TEXT = """\
consentry demo: a gateway in front of a record server with synthetic patients

  gateway        {public_url}/fhir
  record server  {upstream_url}  (answers anybody; the gateway does not)
  ledger         {public_url}/ledger/checkpoint
  settings       {config}
  token of app-1, for {patient}, under consent {consent_id}:

{token}

Try, in another terminal:

  1  A permitted read. Its Ledger-Entry header is the receipt.
{read}

  2  Withdraw the consent, and read again: 403.
{revoke} && {read}

  3  Verify the whole record, from the entries up.
{verify}
"""


@dataclass(frozen=True, slots=True)
class Steps:
    """One prepared demo. `config` is the path of its settings; `token` and `keys` lie beside it."""

    public_url: str
    upstream_url: str
    patient: str
    consent_id: str
    token: str = field(repr=False)
    operator_secret: str = field(repr=False)
    config: Path

    @property
    def read_url(self) -> str:
        return f"{self.public_url}/fhir/Patient/{self.patient}"

    @property
    def revoke_url(self) -> str:
        return f"{self.public_url}/admin/consents/{self.consent_id}/revoke"

    def text(self) -> str:
        """The addresses, the token and the lines."""
        bearer = '-H "Authorization: Bearer $(cat {})"'
        token, operator = (
            bearer.format(shlex.quote(str(self.config.parent / name)))
            for name in ("token", "keys/operator.key")
        )
        return TEXT.format(
            public_url=self.public_url,
            upstream_url=self.upstream_url,
            config=self.config,
            patient=self.patient,
            consent_id=self.consent_id,
            token=self.token,
            read=f"curl -i {token} {self.read_url}",
            revoke=f"curl -X POST {operator} {self.revoke_url}",
            verify=shlex.join([*_command(), "ledger", "verify", "--config", str(self.config)]),
        )


async def try_steps(steps: Steps) -> None:
    """Takes the three steps and prints what came back. Raises Finding if it is not what was promised."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        await _expect(client, "GET", steps.read_url, steps.token, 200)
        await _expect(client, "POST", steps.revoke_url, steps.operator_secret, 200)
        await _expect(client, "GET", steps.read_url, steps.token, 403)
    verifying = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "ledger", "verify", "--config", str(steps.config)
    )
    if await verifying.wait() != 0:
        raise Finding("the ledger of the demo does not verify")


async def _expect(client: httpx.AsyncClient, method: str, url: str, bearer: str, status: int) -> None:
    answer = await client.request(method, url, headers={"Authorization": f"Bearer {bearer}"})
    click.echo(f"{method} {url}\n{answer.status_code} {answer.reason_phrase}")
    for receipt in answer.headers.get_list("ledger-entry"):
        click.echo(f"ledger-entry: {receipt}")
    click.echo(answer.text[:500] + "\n")
    if answer.status_code != status:
        raise Finding(f"{method} {url} was to answer {status}, not {answer.status_code}")


def _command() -> list[str]:
    """This program, however it was called, as it can be called from any folder."""
    called = Path(sys.argv[0])
    if called.name == "consentry" and called.is_file():
        return [str(called.absolute())]
    return ["env", f"PYTHONPATH={PACKAGE.parent}", sys.executable, "-m", "gateway"]
