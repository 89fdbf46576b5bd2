"""A Hub on this host: as much of its HTTP as huggingface_hub needs to look, fetch and publish. Asks for no token."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub(ThreadingHTTPServer):
    """repositories: OWNER/NAME -> its commits, oldest first, each name -> bytes. asked: the requests, in order.

    forbids: whether nobody may write.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.repositories: dict[str, list[dict[str, bytes]]] = {}
        self.asked: list[str] = []
        self.forbids = False
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def publish(self, repository: str, files: dict[str, bytes]) -> str:
        """A commit that adds or replaces files; its name."""
        commits = self.repositories.setdefault(repository, [])
        commits.append((commits[-1] if commits else {}) | files)
        return commit_name(repository, len(commits) - 1)

    def at(self, repository: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Name and files of the commit that a revision names; None where there is none."""
        commits = self.repositories.get(repository, [])
        named = {commit_name(repository, k): k for k in range(len(commits))} | {"main": len(commits) - 1}
        at = named.get(revision, -1)
        return (commit_name(repository, at), commits[at]) if at >= 0 else None


def commit_name(repository: str, number: int) -> str:
    return hashlib.sha1(f"{repository} {number}".encode()).hexdigest()


def blob_name(raw: bytes) -> str:
    return hashlib.sha1(f"blob {len(raw)}\0".encode() + raw).hexdigest()


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].strip("/").split("/")
        self.server.asked.append(self.path)
        if path[:2] == ["api", "models"]:
            repository, what, revision = (
                "/".join(path[2:4]),
                (path[4:5] or ["revision"])[0],
                "".join(path[5:6]) or "main",
            )
        else:
            repository, what, revision = "/".join(path[:2]), "".join(path[2:3]), "".join(path[3:4])
        found = self.server.at(repository, revision)
        if found is None:
            missing = "RevisionNotFound" if repository in self.server.repositories else "RepoNotFound"
            return self._send(404, b"{}", {"X-Error-Code": missing})
        commit, files = found
        if what == "revision":
            siblings = [{"rfilename": name, "size": len(raw)} for name, raw in files.items()]
            return self._json({"id": repository, "modelId": repository, "sha": commit, "siblings": siblings})
        if what == "tree":
            return self._json([{"type": "file", "path": name, "size": len(raw), "oid": blob_name(raw)}
                               for name, raw in files.items()])  # fmt: skip
        raw = files.get("/".join(path[4:]))
        if raw is None:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        return self._send(200, raw, {"ETag": f'"{blob_name(raw)}"', "X-Repo-Commit": commit})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        path = self.path.strip("/").split("/")
        self.server.asked.append(self.path)
        if self.server.forbids:
            return self._send(403, b"{}", {})
        if path[:3] == ["api", "repos", "create"]:
            wanted = json.loads(body)
            repository = "/".join(filter(None, (wanted.get("organization"), wanted["name"])))
            self.server.repositories.setdefault(repository, [])
            return self._json({"url": f"{self.server.url}/{repository}", "id": repository})
        if path == ["api", "validate-yaml"]:
            return self._json({"errors": [], "warnings": []})
        repository, what = "/".join(path[2:4]), path[4]
        if what == "preupload":
            asked = json.loads(body)["files"]
            return self._json({"files": [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                                         for one in asked]})  # fmt: skip
        lines = [json.loads(line) for line in body.splitlines()]
        added = {
            one["value"]["path"]: base64.b64decode(one["value"]["content"]) for one in lines if one["key"] == "file"
        }
        name = self.server.publish(repository, added)
        return self._json(
            {"commitOid": name, "commitUrl": f"{self.server.url}/{repository}/commit/{name}", "success": True}
        )

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def imitated() -> Iterator[Hub]:
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()
