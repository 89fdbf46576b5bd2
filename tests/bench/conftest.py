"""What all benches share: printing past pytest's capture, and one record of figures that is written at the end."""

from collections.abc import Callable, Iterator

import pytest

from tests.bench.results import BUILD, Recorder

Tell = Callable[[str], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Print now, whatever pytest captures."""

    def say(text: str) -> None:
        with capsys.disabled():
            print(text)

    return say


@pytest.fixture(scope="session")
def figures() -> Iterator[Recorder]:
    """Where benches note what they measured; `build/bench` has it after the last one, of failed ones as well."""
    recorder = Recorder()
    yield recorder
    if recorder.figures:
        run = recorder.finish()
        place = BUILD / f"{run.date.replace(':', '')[:17]}-{run.name}"
        run.write(place)
        print(f"\n{len(run.figures)} figures in {place}")
