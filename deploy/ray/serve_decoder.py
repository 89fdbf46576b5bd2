"""A receiver whose decoder is served by Ray, on this host or on those of a cluster. Knows no transmitter or channel.

    pip install 'ray[serve]'                                      # beside semlink, on every host of the cluster
    python deploy/ray/serve_decoder.py 5555 --replicas 2               # a Ray of this host; --cluster ADDRESS: that one
    sctx --peer 127.0.0.1:5555

Sessions, estimation and equalisation stay here. A batch of soft symbols goes to a replica, whichever is free, and its
answers come back; a replica that dies is started again by Ray, and its batch is tried once more.
"""

import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

# Read once, when Ray is imported. How often it asks for a Ray that is not there, 40 s each time; for how long it waits
# for a part of its own.
os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")
os.environ.setdefault("RAY_DASHBOARD_STARTUP_TIMEOUT_S", "300")
try:
    import ray
    from ray import serve
    from ray.exceptions import AuthenticationError, RayError
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
    """A decoder for `scrx.Receiver`, that asks one of so many replicas. cluster: address of a Ray, "" for a new one.

    wait_s: how long Ray and the replicas may take to come up, together.
    """

    def __init__(self, model: str, replicas: int, cluster: str = "", wait_s: float = 300.0) -> None:
        manifest, until = find_pair(model), time.monotonic() + wait_s
        join(cluster) if cluster else begin(until)
        app = Decoder.options(num_replicas=replicas).bind(model, manifest.id)
        try:
            if not cluster:  # nobody else serves there, so nothing has to listen for HTTP
                serve.start(proxy_location="Disabled")
            target = serve.RunTarget(target=app, name=NAME, route_prefix=None)
            (self._handle,) = serve.run_many([target], wait_for_applications_running=False)
            await_replicas(replicas, until)
        except BaseException:
            self.close()
            raise

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
        with suppress(Exception):  # Serve may not have come up, or have gone first
            serve.delete(NAME)
        ray.shutdown()


def join(cluster: str) -> None:
    """Connect to a Ray that runs. Raises SemlinkError where there is none, or where it takes nobody without a token."""
    say(f"waiting for the Ray at {cluster}")
    host, _, port = cluster.rpartition(":")
    try:
        if host and port.isdecimal() and "/" not in host:  # told at once
            socket.create_connection((host.strip("[]"), int(port)), 10).close()
        ray.init(address=cluster, log_to_driver=False, logging_level="WARNING")
    except Exception as error:  # it raises bare ones, too
        asks = isinstance(error.__cause__, AuthenticationError)
        told = "it asks for a token: `export RAY_AUTH_MODE=token` here too, with its file" if asks else one_line(error)
        raise SemlinkError(f"no Ray can be reached at {cluster}: {told}; `ray status` tells more") from error


def begin(until: float) -> None:
    """Start a Ray on this host, again and again until that time of the monotonic clock. Raises SemlinkError.

    Ray gives up on agents of its own that are not there after 15 s, which nothing sets (ray-project/ray issue 65983).
    On a machine with other work they are not; the next time they are quicker, as what they read is in memory.
    """
    say(f"waiting for a Ray to come up on this host, {max(0.0, until - time.monotonic()):.0f} s at most")
    while True:
        try:
            ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="WARNING")
            return
        except Exception as error:  # it raises bare ones, too
            ray.shutdown()
            end_what_is_left()
            if time.monotonic() >= until:
                raise SemlinkError(
                    f"Ray did not come up on this host: {one_line(error)}; where other work keeps the processors, "
                    "start it when they are free (`ray start --head --port 6379`), and give `--cluster auto`"
                ) from error
            say(f"Ray did not come up ({one_line(error)}); trying again")


def end_what_is_left() -> None:
    """End the processes of a Ray that came up by half, which Ray leaves to run beside the next one."""
    for path in Path("/proc/self/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


def await_replicas(replicas: int, until: float) -> None:
    """Until all can answer. Raises SemlinkError where they cannot, or not in time."""
    say(f"waiting for {replicas} replicas")
    while (app := serve.status().applications[NAME]).status != "RUNNING":
        if app.status == "DEPLOY_FAILED":
            raise SemlinkError(f"no replica can answer: {one_line(app.message)}; mend that on its host")
        if time.monotonic() >= until:
            up = app.deployments["decoder"].replica_states.get("RUNNING", 0) if app.deployments else 0
            processors = int(ray.cluster_resources().get("CPU", 0))
            raise SemlinkError(
                f"{up} of {replicas} replicas came up in time; each takes one processor, and Ray has {processors}: "
                "give `--replicas` as many as that, or `--wait` longer"
            )
        time.sleep(0.2)


def say(what: str) -> None:
    """To standard error, at once."""
    print(what, file=sys.stderr, flush=True)


def one_line(error: object) -> str:
    """What an error says, without its full stop."""
    return " ".join(str(error).split())[:300].rstrip(".")


@click.command()
@click.argument("listen", default="5555")
@click.option("--model", default="digits", show_default=True, help="Model pair, the same on every host of the cluster.")
@click.option("--replicas", type=click.IntRange(1), default=1, show_default=True, help="Decoders that are served.")
@click.option("--cluster", default="", metavar="ADDRESS", help="A Ray that runs, such as HOST:6379 or auto.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="How long Ray and the replicas may take to come up.",
)
def command(listen: str, model: str, replicas: int, cluster: str, wait_s: float) -> None:
    """Answer transmitters until SIGTERM or Ctrl-C."""
    over = threading.Event()
    decoder = Served(model, replicas, cluster, wait_s)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with scrx.Receiver(listen, model, decoder=decoder) as rx:
        say(f"listening on {rx.address}, {replicas} replicas")
        for _ in rx.answers(timeout_s=0.2):
            if over.is_set():
                rx.close()
            elif rx.unanswered > 1:  # one may have been the batch's fault; Ray as a whole does not come back by itself
                raise SemlinkError(f"no replica answers: {one_line(rx.fault)}; start this again when Ray is up")
    decoder.close()


if __name__ == "__main__":
    invoke(command, "SERVE_DECODER", name="python deploy/ray/serve_decoder.py")
