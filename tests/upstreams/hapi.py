"""HAPI FHIR JPA server as an upstream: JDK 17 and Maven, nothing else.

The first use takes about 290 MB from Maven's repository. On its way out the first server writes a
class archive beside the list of jars, which makes later starts faster. One server takes 600 to 750 MB.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tests.upstreams.base import Missing, Process, Upstream

HERE = Path(__file__).resolve().parent.parent / "hapi"
TARGET = HERE / "target"
START_S = 300  # 15 s on an idle machine, R5 up to a minute on a busy one

_EXPUNGE = b'{"resourceType":"Parameters","parameter":[{"name":"expungeEverything","valueBoolean":true}]}'


@contextmanager
def hapi(version: str = "R4", *, page_size: int = 20) -> Iterator[Upstream]:
    """A server of FHIR `version`, empty. Raises Missing without Java or Maven."""
    if missing := [tool for tool in ("java", "mvn") if shutil.which(tool) is None]:
        raise Missing(f"HAPI needs {' and '.join(missing)} (JDK 17, Maven)")
    jars = classpath()
    with ExitStack() as stack:
        command = [
            "java",
            *("-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            *_class_archive(stack),
            "-Dlogback.configurationFile=logback.xml",
            *(f"-Dfhir={version}", f"-Dpagesize={page_size}"),
            *("-cp", jars, "HapiServer.java"),
        ]
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "hapi.log"
        process = stack.enter_context(Process(command, HERE, log, START_S))
        upstream = Upstream(f"hapi-{version}", process.base_url, _wipe)
        stack.callback(upstream.close)
        yield upstream


def classpath() -> str:
    """The jars, from Maven; asked again only when the pom is newer or a jar is gone."""
    out, pom = TARGET / "classpath.txt", HERE / "pom.xml"
    if out.exists() and out.stat().st_mtime >= pom.stat().st_mtime:
        jars = out.read_text().strip()
        if all(map(os.path.exists, jars.split(os.pathsep))):
            return jars
    TARGET.mkdir(exist_ok=True)
    command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:build-classpath", f"-Dmdep.outputFile={out}"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    out.touch()
    (TARGET / "classes.jsa").unlink(missing_ok=True)  # made of other jars, perhaps
    return out.read_text().strip()


def _class_archive(stack: ExitStack) -> list[str]:
    """The JVM's options to use the archive, or to make it; the JVM ignores one of other jars."""
    archive = TARGET / "classes.jsa"
    if archive.exists():
        return [f"-XX:SharedArchiveFile={archive}"]
    new = TARGET / f"classes.{os.getpid()}.jsa"
    stack.callback(lambda: new.exists() and new.replace(archive))  # runs after the process has ended
    return [f"-XX:ArchiveClassesAtExit={new}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]


def _wipe(client: httpx.Client, base_url: str) -> httpx.Response:
    return client.post(f"{base_url}/$expunge", content=_EXPUNGE)
