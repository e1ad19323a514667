"""A stand-in for the part of W&B's service that ``wandb sweep`` and ``wandb agent`` talk to, on this machine alone."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

ENTITY, SWEEP = "somebody", "sweep123"

Runs = Callable[[dict[str, Any]], Sequence[dict[str, Any]]]
"""Which runs a sweep has: of its content, the parameters of each."""


class WandbServer:
    """Answers six GraphQL operations: Viewer, UpsertSweep, SweepWithRuns, CreateAgent, Heartbeat and UpsertView2.

    Args:
        runs_of: Chooses the runs, which the service does by itself.

    Attributes:
        config: The sweep file that came, as the service gets it.
        project: The project that it named.
        view: The workspace that came.
        operations: What was asked, in this order.
        unknown: Operations that it has no answer to.
    """

    def __init__(self, runs_of: Runs) -> None:
        self._runs_of = runs_of
        self._left: list[tuple[str, dict[str, Any]]] = []
        self.config, self.project = "", ""
        self.view: dict[str, Any] = {}
        self.operations: list[str] = []
        self.unknown: list[str] = []

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """What an operation gets back."""
        found = re.search(r"(?:query|mutation)\s+(\w+)", query)
        name = found[1] if found else query
        self.operations.append(name)
        answers = {
            "Viewer": self._viewer,
            "UpsertSweep": self._upsert_sweep,
            "SweepWithRuns": self._sweep_with_runs,
            "CreateAgent": lambda _: {"createAgent": {"agent": {"id": "agent"}}},
            "Heartbeat": self._heartbeat,
            "UpsertView2": self._upsert_view,
        }
        if name not in answers:
            self.unknown.append(name)
            return {}
        return answers[name](variables)

    def _viewer(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"viewer": {"id": "1", "entity": ENTITY, "username": ENTITY, "flags": "{}", "teams": {"edges": []}}}

    def _upsert_sweep(self, variables: dict[str, Any]) -> dict[str, Any]:
        self.config, self.project = variables["config"], variables["projectName"]
        runs = self._runs_of(yaml.safe_load(self.config))
        self._left = [(f"run{number:05}", parameters) for number, parameters in enumerate(runs)]
        project = {"id": "1", "name": self.project, "entity": {"id": "1", "name": ENTITY}}
        return {"upsertSweep": {"sweep": {"name": SWEEP, "project": project}, "configValidationWarnings": []}}

    def _upsert_view(self, variables: dict[str, Any]) -> dict[str, Any]:
        self.view = {**variables, "spec": json.loads(variables["spec"])}
        return {"upsertView": {"view": {"id": "1", "name": variables["name"]}, "inserted": True}}

    def _sweep_with_runs(self, _: dict[str, Any]) -> dict[str, Any]:
        sweep = {"id": SWEEP, "name": SWEEP, "config": self.config, "state": "RUNNING", "runs": {"edges": []}}
        return {"project": {"sweep": sweep}}

    def _heartbeat(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The next run, once none is under way; in the end, that there are no more."""
        commands: list[dict[str, Any]] = []
        if not json.loads(variables["runState"]):
            program = yaml.safe_load(self.config)["program"]
            commands.append({"type": "exit"})
            if self._left:
                run_id, parameters = self._left.pop(0)
                args = {name: {"value": value} for name, value in parameters.items()}
                commands = [{"type": "run", "run_id": run_id, "program": program, "args": args}]
        return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(commands)}}


@contextmanager
def wandb_server(runs_of: Runs) -> Iterator[tuple[WandbServer, str]]:
    """Runs a server; gives it, and its address."""
    server = WandbServer(runs_of)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            content = json.dumps({"data": server.answer(asked["query"], asked.get("variables") or {})}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield server, f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()
