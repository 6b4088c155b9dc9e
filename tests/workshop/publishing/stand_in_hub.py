"""A Hugging Face hub on loopback with the endpoints of an upload, which keeps what was uploaded."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_secret_of_the_test"


class StandInHub:
    """A hub that runs inside ``with``.

    Attributes:
        files: the content of each repository, by repository and path.
        commits: the messages of the commits.
        large: suffixes of the files that must be sent by git LFS.
        refuse: status codes by the text in a path that gets them.
    """

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.commits: list[str] = []
        self.large: tuple[str, ...] = ()
        self.refuse: dict[str, int] = {}
        self.stored: dict[str, bytes] = {}
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "StandInHub":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def commit(self, repo_id: str, lines: list[dict]) -> None:
        """Apply a commit, whole."""
        files = dict(self.files[repo_id])
        message = ""
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                message = value["summary"]
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.stored[value["oid"]]
            else:
                assert line["key"] == "deletedFile"
                del files[value["path"]]
        self.files[repo_id] = files
        self.commits.append(message)


class _Handler(BaseHTTPRequestHandler):
    hub: StandInHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        body = self._body()
        path = self.path.partition("?")[0]
        if self._refused():
            return
        owner_name = "/".join(path.split("/")[3:5])
        if "/tree/" in path and owner_name in self.hub.files:
            files = self.hub.files[owner_name]
            listed = [{"type": "file", "path": p, "size": len(c), "oid": "0" * 40} for p, c in files.items()]
            self._answer(listed)
        else:
            self._answer({"error": f"{path} {body!r}"}, 404)

    def do_PUT(self) -> None:
        content = self._body()
        oid = self.path.rpartition("/")[2]
        if hashlib.sha256(content).hexdigest() == oid:
            self.hub.stored[oid] = content
        self._answer({}, 200 if oid in self.hub.stored else 400)

    def do_POST(self) -> None:
        body = self._body()
        path, parts = self.path, self.path.split("/")
        if self._refused():
            return
        if path == "/api/repos/create":
            asked = json.loads(body)
            repo_id = f"{asked['organization']}/{asked['name']}"
            status = 409 if repo_id in self.hub.files else 200
            self.hub.files.setdefault(repo_id, {})
            self._answer({"url": f"{self.hub.url}/{repo_id}"}, status)
        elif path == "/api/validate-yaml":
            valid = json.loads(body)["content"].startswith("---\n")
            self._answer({"errors": [], "warnings": []}, 200 if valid else 400)
        elif "/preupload/" in path:
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(self.hub.large or ("?",)) else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self._answer({"files": modes})
        elif path.endswith(".git/info/lfs/objects/batch"):
            objects = [
                {**file, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{file['oid']}"}}}
                for file in json.loads(body)["objects"]
            ]
            self._answer({"transfer": "basic", "objects": objects})
        elif "/commit/" in path:
            repo_id = "/".join(parts[3:5])
            self.hub.commit(repo_id, [json.loads(line) for line in body.splitlines()])
            oid = f"{len(self.hub.commits):040x}"
            self._answer({"commitUrl": f"{self.hub.url}/{repo_id}/commit/{oid}", "commitOid": oid})
        else:
            self._answer({"error": path}, 404)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _refused(self) -> bool:
        statuses = [status for text, status in self.hub.refuse.items() if text in self.path]
        if not statuses and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            statuses = [401]
        if statuses:
            self._answer({"error": "refused"}, statuses[0])
        return bool(statuses)

    def _answer(self, content: object, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
