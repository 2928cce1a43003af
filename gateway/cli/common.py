"""What every command shares: the configuration option, the open house, and errors as one line.

No command prints a traceback. A failure that has a name says what to do; one that has none is a defect
and says where it was.
"""

from __future__ import annotations

import asyncio
import json
import os
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from gateway.config import Settings, load
from gateway.core.canon import Json
from gateway.errors import ConfigError, ConsentryError, VerificationFailed
from gateway.house import OpenHouse, open_house

FINDING, WRONG, INTERRUPTED = 1, 2, 130
PACKAGE = Path(__file__).parents[1]
T = TypeVar("T")

config_option = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("consentry.toml"),
    show_default=True,
    envvar="CONSENTRY_CONFIG",
    show_envvar=True,
    help="The settings, a TOML file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def settings_of(config: Path) -> Settings:
    """The settings of the file, and of the environment over it. Raises ConfigError."""
    return load(config, os.environ)


def in_house(settings: Settings, work: Callable[[OpenHouse], Awaitable[T]]) -> T:
    """What `work` comes to on the open ledger, with the consents as they are at its head."""

    async def whole() -> T:
        async with open_house(settings) as house:
            house.consents.at_head()
            return await work(house)

    return asyncio.run(whole())


def print_json(value: Json) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


class Failure(click.ClickException):
    """The one line that a failed command ends with."""

    exit_code = WRONG

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.split()))

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"consentry: {self.message}", file=file, err=file is None)


class Finding(Failure):
    """What was verified does not hold."""

    exit_code = FINDING


class Commands(click.Group):
    """The top of the command tree, where every error becomes a `Failure`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _named_failures():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with _named_failures():
            return super().invoke(ctx)


@contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except (click.exceptions.NoArgsIsHelpError, click.exceptions.Exit, click.Abort, Failure):
        raise
    except click.UsageError as error:
        raise Failure(_usage(error)) from error
    except VerificationFailed as error:
        raise Finding(error.text) from error
    except ConfigError as error:
        raise Failure(_configuration(error)) from error
    except ConsentryError as error:
        raise Failure(error.text) from error
    except BrokenPipeError:
        raise  # click ends quietly when nobody reads on
    except KeyboardInterrupt as error:
        raise click.exceptions.Exit(INTERRUPTED) from error
    except OSError as error:
        raise Failure(f"{error.filename or 'the system'}: {error.strerror or error}") from error
    except Exception as error:
        raise Failure(f"a defect, {type(error).__name__} at {_place(error)}; please report it.") from error


def _usage(error: click.UsageError) -> str:
    text = error.format_message().rstrip(".")
    return text if error.ctx is None else f"{text}; see `{error.ctx.command_path} --help`."


def _configuration(error: ConfigError) -> str:
    """One line of an error that lists problems; `check-config` prints them all."""
    first, *problems = error.text.splitlines()
    if len(problems) == 1:
        return problems[0]
    return f"{first}; `consentry check-config` lists them." if problems else first


def _place(error: Exception) -> str:
    """The last line of ours that the error passed, after those of this module, which everything passes.
    The error's text stays unsaid: it may quote stored data."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}"
