"""A receiver whose decoder is served by Ray, on this host or on those of a cluster. Knows no transmitter or channel.

    pip install 'ray[serve]'                                      # beside semlink, on every host of the cluster
    python deploy/ray/serve_decoder.py 5555 --replicas 2               # a Ray of this host; --cluster ADDRESS: that one
    sctx --peer 127.0.0.1:5555

Sessions, estimation and equalisation stay here. A batch of soft symbols goes to a replica, whichever is free, and its
answers come back; a replica that dies is started again by Ray, and its batch is tried once more.
"""

import signal
import sys
import threading
from typing import Any

import click

try:
    import ray
    from ray import serve
    from ray.exceptions import RayError
except ModuleNotFoundError:
    sys.exit("error: this needs Ray, on every host of the cluster: pip install 'ray[serve]'")

import scrx
from common.cli import invoke
from common.errors import SemlinkError
from common.pair.manifest import find_pair
from scrx.demodulation.demodulate import SoftBatch

NAME = "semlink"
PATIENCE_S = 5.0
"""How long a replica may take over a batch, as of `scrx --worker-timeout`."""


@serve.deployment(name="decoder", max_ongoing_requests=4)
class Decoder:
    """One replica: the receiving half of a pair. Keeps nothing from batch to batch."""

    def __init__(self, model: str, model_id: str) -> None:
        from scrx.decoding.answerer import Answerer

        manifest = find_pair(model)
        if manifest.id != model_id:
            raise RuntimeError(f"this host has another pair as {model}: {manifest.id[:12]}, not {model_id[:12]}")
        self._answerer = Answerer(manifest)

    def __call__(self, soft: SoftBatch) -> list[Any]:
        """What the receiver would have asked a decoder of its own."""
        return self._answerer.answer(soft)


class Served:
    """A decoder for `scrx.Receiver`, that asks one of so many replicas. cluster: address of a Ray, "" for a new one."""

    def __init__(self, model: str, replicas: int, cluster: str = "") -> None:
        manifest = find_pair(model)
        try:
            ray.init(address=cluster or "local", include_dashboard=False, log_to_driver=False)
        except Exception as error:  # it raises bare ones, too
            what = f"no Ray can be reached at {cluster}" if cluster else "Ray did not come up on this host"
            raise SemlinkError(f"{what}: {str(error).rstrip('.')}; `ray status` tells more") from error
        app = Decoder.options(num_replicas=replicas).bind(model, manifest.id)
        self._handle = serve.run(app, name=NAME, route_prefix=None)

    def answer(self, soft: SoftBatch) -> list[Any]:
        """Raises what the replica raised, and RayError or TimeoutError where none answered, twice."""
        try:
            return self._ask(soft)
        except (RayError, TimeoutError):
            return self._ask(soft)

    def _ask(self, soft: SoftBatch) -> list[Any]:
        answers: list[Any] = self._handle.remote(soft).result(timeout_s=PATIENCE_S)
        return answers

    def close(self) -> None:
        """Take the decoder out of service; a Ray that was started for it ends."""
        serve.delete(NAME)
        ray.shutdown()


@click.command()
@click.argument("listen", default="5555")
@click.option("--model", default="digits", show_default=True, help="Model pair, the same on every host of the cluster.")
@click.option("--replicas", type=click.IntRange(1), default=1, show_default=True, help="Decoders that are served.")
@click.option("--cluster", default="", metavar="ADDRESS", help="A Ray that runs, such as HOST:6379 or auto.")
def command(listen: str, model: str, replicas: int, cluster: str) -> None:
    """Answer transmitters until SIGTERM or Ctrl-C."""
    over = threading.Event()
    decoder = Served(model, replicas, cluster)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with scrx.Receiver(listen, model, decoder=decoder) as rx:
        print(f"listening on {rx.address}, {replicas} replicas", file=sys.stderr, flush=True)
        for _ in rx.answers(timeout_s=0.2):
            if over.is_set():
                rx.close()
    decoder.close()


if __name__ == "__main__":
    invoke(command, "SERVE_DECODER", name="python deploy/ray/serve_decoder.py")
