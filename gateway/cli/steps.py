"""What the demo shows: the lines to copy, and the same three steps taken by the program itself.

The lines read the token and the operator's secret from files, so that they stay short and no secret ends
up in a shell's history.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gateway.cli.common import PACKAGE, Finding
from gateway.core.canon import Json

TEXT = """\
consentry demo: a gateway in front of a record server with synthetic patients

  gateway        {public_url}/fhir
  record server  {upstream_url}  (answers anybody; the gateway does not)
  ledger         {public_url}/ledger/checkpoint
  settings       {config}
  token of {client}, for {patient}, under consent {consent_id}:

{token}

Try, in a browser:

  {app_url}
     An app that asks for {patient}'s records. Log in as {login}, password {password}
  {public_url}/auth/manage
     What apps may have of them, to be withdrawn.

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
    """One prepared demo. `config` is the path of its settings; `token` and `keys` lie beside it. `login` is
    the patient's."""

    public_url: str
    upstream_url: str
    client: str
    patient: str
    consent_id: str
    token: str = field(repr=False)
    operator_secret: str = field(repr=False)
    app_url: str
    login: str
    password: str = field(repr=False)
    config: Path

    @property
    def read_url(self) -> str:
        return f"{self.public_url}/fhir/Patient/{self.patient}"

    @property
    def revoke_url(self) -> str:
        return f"{self.public_url}/admin/consents/{self.consent_id}/revoke"

    def text(self) -> str:
        """The addresses, the token and the lines, for people."""
        return TEXT.format(
            public_url=self.public_url,
            upstream_url=self.upstream_url,
            config=self.config,
            client=self.client,
            patient=self.patient,
            consent_id=self.consent_id,
            token=self.token,
            app_url=self.app_url,
            login=self.login,
            password=self.password,
            **self._lines(),
        )

    def described(self) -> dict[str, Json]:
        """The same for programs."""
        return {
            "url": self.public_url,
            "fhir": ["/fhir"],
            "upstream": self.upstream_url,
            "ledger": f"{self.public_url}/ledger/checkpoint",
            "config": str(self.config),
            "client": self.client,
            "patient": self.patient,
            "consent": self.consent_id,
            "token": self.token,
            "app": self.app_url,
            "login": self.login,
            "password": self.password,
            "try": {**self._lines()},
        }

    def _lines(self) -> dict[str, str]:
        bearer = '-H "Authorization: Bearer $(cat {})"'
        token, operator = (
            bearer.format(shlex.quote(str(self.config.parent / name)))
            for name in ("token", "keys/operator.key")
        )
        return {
            "read": f"curl -i {token} {self.read_url}",
            "revoke": f"curl -X POST {operator} {self.revoke_url}",
            "verify": shlex.join([*_command(), "ledger", "verify", "--config", str(self.config)]),
        }


@dataclass(frozen=True, slots=True)
class Tried:
    """One request of the three steps, and what came back."""

    method: str
    url: str
    answer: httpx.Response

    def text(self) -> str:
        receipts = [f"ledger-entry: {receipt}" for receipt in self._receipts()]
        status = f"{self.answer.status_code} {self.answer.reason_phrase}"
        return "\n".join([f"{self.method} {self.url}", status, *receipts, self.answer.text[:500], ""])

    def described(self) -> dict[str, Json]:
        entries: list[Json] = [*self._receipts()]
        return {
            "method": self.method,
            "url": self.url,
            "status": self.answer.status_code,
            "ledger-entry": entries,
        }

    def _receipts(self) -> list[str]:
        return self.answer.headers.get_list("ledger-entry")


async def tried(steps: Steps) -> AsyncIterator[Tried]:
    """Takes the steps up to verifying. Raises Finding after an answer that is not what was promised."""
    wanted = (
        ("GET", steps.read_url, steps.token, 200),
        ("POST", steps.revoke_url, steps.operator_secret, 200),
        ("GET", steps.read_url, steps.token, 403),
    )
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        for method, url, bearer, status in wanted:
            answer = await client.request(method, url, headers={"Authorization": f"Bearer {bearer}"})
            yield Tried(method, url, answer)
            if answer.status_code != status:
                raise Finding(f"{method} {url} was to answer {status}, not {answer.status_code}")


async def verified(steps: Steps, *options: str) -> str:
    """What `ledger verify` prints with `options`. Raises Finding if the ledger does not verify."""
    command = [sys.executable, "-m", "gateway", "ledger", "verify", "--config", str(steps.config), *options]
    verifying = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await verifying.communicate()
    if verifying.returncode != 0:
        raise Finding("the ledger of the demo does not verify")
    return said.decode()


def _command() -> list[str]:
    """This program, however it was called, as it can be called from any folder."""
    called = Path(sys.argv[0])
    if called.name == "consentry" and called.is_file():
        return [str(called.absolute())]
    return ["env", f"PYTHONPATH={PACKAGE.parent}", sys.executable, "-m", "gateway"]
