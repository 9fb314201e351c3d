"""Which methods are compared: "clearclip,sclip,gem:blocks=4", or "all"."""

import dataclasses
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rsclip.errors import OptionError
from rsclip.methods import first_block, get_method, method_names, parse_options

__all__ = ["Choice", "parse_choices"]

_REMEDY = "Name methods as in clearclip,sclip,gem:blocks=4, or all."
_ALL = "all"


@dataclass(frozen=True, slots=True)
class Choice:
    """A method with its options.

    Attributes:
        label: As it was named, "gem:blocks=4".
        slug: The label as part of a file's name, "gem-blocks-4"; no other choice has it.
        method: Its name.
        options: As `methods.parse_options` gives them.
    """

    label: str
    slug: str
    method: str
    options: Any

    def check(self, depth: int) -> None:
        """Refuse options that do not fit a model of so many blocks.

        Raises:
            OptionError: They do not.
        """
        # Options beside it stay: they are not repeated.
        give = "{} in it" if ":" in self.label else f"{self.method}:{{}}"
        first_block(self.method, self.options, depth, f"--methods={shlex.quote(self.label)}", give)

    def facts(self) -> dict[str, Any]:
        """Return what a record says of it."""
        return {
            "label": self.label,
            "method": self.method,
            "method_options": dataclasses.asdict(self.options),
        }


def parse_choices(methods: str | Sequence[str]) -> list[Choice]:
    """Return the methods that a text or a sequence of names stands for.

    Args:
        methods: Names, in a text with commas between; each may have options, as in
            "gem:blocks=4:iterations=2". "all" stands for every method that is not named beside it.

    Raises:
        OptionError: A method, an option or a value is unknown, one stands twice, or there is none.
    """
    names = methods.split(",") if isinstance(methods, str) else list(methods)
    names = [name.strip() for name in names if name.strip()]
    if _ALL in names:
        named = {name.partition(":")[0].strip() for name in names}
        at = names.index(_ALL)
        others = [name for name in method_names() if name not in named]
        names[at:] = others + [name for name in names[at:] if name != _ALL]
    choices = [_choice(name) for name in names]
    if not choices:
        raise OptionError("no method is named", where="--methods", remedy=_REMEDY)
    for index, choice in enumerate(choices):
        for other in choices[:index]:
            if (choice.method, choice.options) == (other.method, other.options):
                twice = dict.fromkeys((choice.label, other.label))
                raise OptionError(
                    f"{' and '.join(map(repr, twice))}: the same method with the same options "
                    "stands twice",
                    where="--methods",
                    remedy=_REMEDY,
                )
    return _told_apart(choices)


def _told_apart(choices: Sequence[Choice]) -> list[Choice]:
    """Number slugs that a file system may take for one another."""
    found: list[Choice] = []
    for choice in choices:
        slug, taken = choice.slug, {each.slug.lower() for each in found}
        number = 1
        while slug.lower() in taken:
            number += 1
            slug = f"{choice.slug}-{number}"
        found.append(dataclasses.replace(choice, slug=slug))
    return found


def _choice(text: str) -> Choice:
    name, *pairs = (part.strip() for part in text.split(":"))
    if name.endswith(".py") and pairs:
        name = f"{name}:{pairs.pop(0)}"
    values: dict[str, str] = {}
    for pair in pairs:
        key, sign, value = (part.strip() for part in pair.partition("="))
        if not (key and sign and value):
            raise OptionError(
                f"{pair!r} in {text!r} is no option", where="--methods", remedy=_REMEDY
            )
        if key.replace("-", "_") in (given.replace("-", "_") for given in values):
            raise OptionError(
                f"{key!r} stands twice in {text!r}", where="--methods", remedy="Give it once."
            )
        values[key] = value
    get_method(name, where="--methods")
    options = parse_options(name, values, where=f"--methods={shlex.quote(text)}")
    label = ":".join([name, *(f"{key}={value}" for key, value in values.items())])
    # A minus sign stays: -0.3 is not 0.3.
    slug = re.sub(r"[^A-Za-z0-9._-]", "-", re.sub(r"\s+", "", label))
    return Choice(label, slug, name, options)
