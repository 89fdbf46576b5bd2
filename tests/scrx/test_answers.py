"""How the answers of a receiver end, for whoever reads them. No sockets; how they are gathered is in
`test_receiver_outcomes.py`."""

import threading
from contextlib import nullcontext

import pytest

from common.errors import ModelError
from common.protocol.messages import Result, Status
from scrx.answers import KEPT, Answers

ONE = Result(bytes(16), 7, 0, Status.FAILED, *5 * (None,), 0, 0.0, 0, 0, 1, {}), dict[str, object]()


@pytest.mark.parametrize("most", [1, 64])
def test_the_end_of_the_answers_is_the_end_for_whoever_reads_and_however_often(most: int) -> None:
    """Also for who left at the last answer before it, with which the end was taken out; and an error is one."""
    answers = Answers()
    read = [threading.Thread(target=lambda: list(answers._taken(None, most)), daemon=True) for _ in range(2)]
    for reader in read:
        reader.start()
    answers.put(None)
    for reader in read:
        reader.join(5)
        assert not reader.is_alive()
    assert [list(answers._taken(0.0, most)) for _ in range(2)] == [[], []]
    for end in (ModelError("broken"), None):
        answers = Answers()
        answers.put(ONE)
        answers.put(end)
        assert len(next(answers._taken(5.0, most))) == 1
        for _ in range(2):
            with pytest.raises(ModelError, match="broken") if end else nullcontext():
                assert list(answers._taken(5.0, most)) == []


def test_no_number_of_answers_drives_the_error_out_that_ended_them() -> None:
    answers = Answers()
    answers.put(ModelError("broken"))
    for _ in range(KEPT + 1):
        answers.put(ONE)
    with pytest.raises(ModelError, match="broken"):
        list(answers.together(0.0))
