"""A result that the report wants: the command that measures it, of which pairs. Knows nothing about which there are."""

from dataclasses import dataclass

STREAM = "stdout"
"""Where a command prints its JSON, a line each."""


@dataclass(frozen=True, slots=True)
class Order:
    """words: after `python`; writes: the option by which the command says where its JSON goes, STREAM, or `--out/FILE`
    for a file in the folder that --out names; seed: its option for other channels, None where nothing is drawn;
    trains: the command that makes its pair, where that does not ship."""

    words: str
    pairs: tuple[str, ...]
    writes: str = "--json"
    seed: str | None = "--seed"
    training_seeds: tuple[int, ...] = (0,)
    trains: str = ""

    @property
    def command(self) -> str:
        """As people type it, without the place of the output."""
        return f"python {self.words}"
