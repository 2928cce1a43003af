"""Measures a gateway on the machine at hand: what it adds to a read, and what its parts cost.

Everything that is compared is measured in one run, in turns, because machines drift; ratios of one run
hold where single figures do not. Nothing here is on the path of a request, and no test asserts a time.
"""

from gateway.bench.options import Options
from gateway.bench.report import Report
from gateway.bench.run import run

__all__ = ["Options", "Report", "run"]
