"""A writer to be killed: appends batches for ever and prints each receipt once it is acknowledged."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from gateway.ledger.keys import load_keys
from gateway.ledger.ledger import open_ledger
from tests.ledger.support import clock_ms, sealed


async def main(folder: Path, seed: int) -> None:
    dice = random.Random(seed)
    ledger = open_ledger(folder / "ledger.db", load_keys(folder / "keys"), clock_ms)
    print("open", flush=True)

    async def client() -> None:
        while True:
            for receipt in await ledger.append([sealed() for _ in range(dice.randrange(1, 9))]):
                print(receipt, flush=True)

    await asyncio.gather(*(client() for _ in range(8)))


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
