"""How a proxy may choose a replica: the deployed files with another line for it, and two ways to tell a proxy of load.

HAProxy asks an agent every 200 ms, which answers with a weight made of the gauges at `/metrics`. A script in HAProxy
makes the weight of the header `Server-Timing` of each answer: how long its images waited in the queue.
"""

import re
import socketserver
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import haproxy, nginx
from benchmarks.haproxy import HAProxy
from benchmarks.nginx import Nginx
from benchmarks.server import Address, Endpoint, free_port

AGENT_EVERY = "200ms"
GAUGES = ("topfive_queue_items", "topfive_slots_busy", "topfive_prepare_waiting")

# HAProxy 2.6's `srv_name` names the server that answered. 20 ms in the queue halve a weight.
SCRIPT = """
local queued = {}
core.register_action("weigh", {"http-res"}, function(txn)
    local timing = txn.http:res_get_headers()["server-timing"]
    local name = txn.sf:srv_name()
    local took = timing and timing[0]:match("queue;dur=([%d.]+)")
    if not took or not name then return end
    queued[name] = 0.7 * (queued[name] or 0) + 0.3 * tonumber(took)
    local weight = math.max(1, math.floor(100 * 20 / (20 + queued[name])))
    core.backends["topfive"].servers[name]:set_weight(weight .. "%")
end)
"""


@dataclass(frozen=True, slots=True)
class Policy:
    """`instead`: the line in the place of the deployed one. `agents`, `script`: what else tells HAProxy of load.

    `buffer`: bytes of HAProxy's buffer, where it is another than the deployed one.
    """

    proxy: str
    instead: str
    agents: bool = False
    script: bool = False
    buffer: int = 0


POLICIES: Mapping[str, Policy] = {
    "nginx round robin": Policy("nginx", ""),
    "nginx random two": Policy("nginx", "random two least_conn;"),
    "nginx least_conn": Policy("nginx", "least_conn;"),
    "HAProxy round robin": Policy("haproxy", "balance roundrobin"),
    "HAProxy random two": Policy("haproxy", "balance random(2)"),
    "HAProxy leastconn": Policy("haproxy", "balance leastconn"),
    "HAProxy agents": Policy("haproxy", "balance roundrobin", agents=True),
    "HAProxy header": Policy("haproxy", "balance roundrobin", script=True),
    "HAProxy leastconn and agents": Policy("haproxy", "balance leastconn", agents=True),
    "HAProxy leastconn 256 KiB": Policy("haproxy", "balance leastconn", buffer=256 << 10),
    "HAProxy leastconn 4 MiB": Policy("haproxy", "balance leastconn", buffer=4 << 20),
}
"""The deployed ones among them are `least_conn` and `leastconn`."""


class Agent(socketserver.ThreadingTCPServer):
    """Tells HAProxy how much of its weight a replica is to have; it is asked by a connection, and answers a line."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, replica: Endpoint) -> None:
        self._replica = replica
        super().__init__(("127.0.0.1", 0), _Asked)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def weight(self) -> int:
        """In percent: 100 where nothing waits or runs."""
        reading = self._replica.metrics()
        return max(1, round(100 / (1 + sum(reading.sum(name) or 0.0 for name in GAUGES))))

    def close(self) -> None:
        """Answer no more."""
        self.shutdown()
        self.server_close()


class _Asked(socketserver.StreamRequestHandler):
    server: Agent

    def handle(self) -> None:
        self.wfile.write(b"%d%%\n" % self.server.weight())


def start(
    name: str, folder: Path, *, replicas: Sequence[Address], undo: Callable[[Callable[[], object]], object]
) -> Nginx | HAProxy:
    """The deployed proxy with this policy before the replicas; `undo` is given what ends all of it."""
    policy = POLICIES[name]
    folder.mkdir()
    if policy.proxy == "nginx":
        text = nginx.DEPLOYED.read_text()
        deployed = _once(text, "least_conn;", policy.instead)
        front: Nginx | HAProxy = Nginx.before(folder, replicas=replicas, port=free_port(), deployed=deployed)
    else:
        text = haproxy.DEPLOYED.read_text()
        if policy.script:
            (folder / "weigh.lua").write_text(SCRIPT)
            text = _once(text, "\nglobal\n", f"\nglobal\n    lua-load {folder}/weigh.lua\n")
            text += "    http-response lua.weigh\n"
        if policy.buffer:
            text = re.sub(r"(?m)^( *tune\.bufsize) \d+$", rf"\1 {policy.buffer}", text)
        port = free_port()
        text = haproxy.with_addresses(_once(text, "balance leastconn", policy.instead), replicas=replicas, port=port)
        if policy.agents or policy.script:
            text = re.sub(r"(?m)^( *server replica.*)$", r"\1 weight 100", text)  # of 1, any less is none
        if policy.agents:
            text = _with_agents(text, replicas, undo)
        front = HAProxy(folder, configuration=text, port=port)
    undo(front.close)
    return front


def _with_agents(text: str, replicas: Sequence[Address], undo: Callable[[Callable[[], object]], object]) -> str:
    for number, replica in enumerate(replicas, 1):
        agent = Agent(Endpoint(*replica))
        undo(agent.close)
        more = rf"\g<0> agent-check agent-addr 127.0.0.1 agent-port {agent.server_address[1]} agent-inter {AGENT_EVERY}"
        text = re.sub(rf"(?m)^ *server replica{number} .*$", more, text)
    return text


def _once(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise SystemExit(f"the deployed file has {text.count(old)} times '{old.strip()}', not once")
    return text.replace(old, new)
