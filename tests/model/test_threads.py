"""Small networks take one thread by themselves, and leave the number of threads of everything else as it is."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from common.pair.device import FEW, one_thread
from common.pair.manifest import find_pair
from sctx.encoder import ResNet
from sctx.pipeline import TransmitChain

CPU, PAIR = torch.device("cpu"), find_pair("digits")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("rows", "threads"), [(1, 1), (FEW, 1), (FEW + 1, 2)])
def test_an_image_is_encoded_on_one_thread_and_many_on_all(
    monkeypatch: pytest.MonkeyPatch, rows: int, threads: int
) -> None:
    seen, forward = [], ResNet.forward

    def watched(encoder: ResNet, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(torch.get_num_threads())
        return forward(encoder, images)

    monkeypatch.setattr(ResNet, "forward", watched)
    TransmitChain(PAIR).encode(np.zeros((rows, 8, 8, 1), np.uint8))
    assert seen == [threads]
    assert torch.get_num_threads() == 2


def test_what_runs_beside_it_keeps_its_threads_and_an_error_puts_them_back() -> None:
    inside, seen = threading.Event(), []

    def beside() -> None:
        torch.set_num_threads(2)
        seen.append(torch.get_num_threads())
        assert inside.wait(10)
        seen.append(torch.get_num_threads())

    def fail() -> None:
        with one_thread(CPU):
            other.start()
            inside.set()
            other.join(10)
            raise ZeroDivisionError

    other = threading.Thread(target=beside)
    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen == [2, 2]
    assert torch.get_num_threads() == 2
