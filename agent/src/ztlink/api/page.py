"""`/zerotier/` for people: one page without anything from elsewhere, with and without JavaScript.

All text that comes from others (names of networks, reasons, endpoints) is escaped by `_text`, also
what would turn the direction of a line; what is put together of it is `Html`, which is escaped no
more. The browser runs no script and takes no style but ours: the policy names their hashes.
"""

import html
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import Final, NewType

from ztlink.api.judgement import Judgement, rfc3339
from ztlink.api.link_views import VERSION, network_name, peer_version, row_json
from ztlink.api.observe import Membership, Observation, Report
from ztlink.conditions import Status
from ztlink.host.dns.entries import coredns_stub, name_servers
from ztlink.ids import format_address, format_network_id
from ztlink.node.status import PeerRole, PeerView
from ztlink.printable import printable_lines
from ztlink.settings import Settings

Html = NewType("Html", str)

MAX_ROWS: Final = 500
"""Of one table: a page is for reading, the status JSON has all."""
WITHOUT_SCRIPT: Final = 10
"""Seconds after which a browser without JavaScript loads the page again."""

_STYLE: Final = files("ztlink.api").joinpath("page.css").read_text(encoding="utf-8")
_SCRIPT: Final = files("ztlink.api").joinpath("page.js").read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_ROLES: Final = {PeerRole.PLANET: "root", PeerRole.MOON: "moon", PeerRole.LEAF: "peer"}
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def page(seen: Observation | None, judged: Judgement, settings: Settings) -> str:
    """Return the whole page; `seen` is None for a node that does not answer."""
    word = "ready" if judged.is_ready else "not ready"
    address = format_address(seen.node.identity.address) if seen else ""
    name = settings.node_name or address or "node"
    sections = [_conditions(judged)]
    if seen is not None:
        sections = [
            _summary(seen),
            *sections,
            _networks(seen.memberships),
            *_name_servers(seen.memberships),
            _routes(seen.memberships),
            *(_report(report) for report in seen.reports if report.rows),
            _peers(seen.peers),
        ]
    main = "\n".join(
        [
            f"<header><h1>{_text(name)}</h1>"
            f"<p>{_badge('ok' if judged.is_ready else 'fault', word)} "
            f"{_text(settings.role.value)} <code>{_text(address)}</code></p></header>",
            *sections,
        ]
    )
    return _DOCUMENT.format(
        title=_text(f"{name}: {word}"),
        style=_STYLE,
        script=_SCRIPT,
        seconds=WITHOUT_SCRIPT,
        main=main,
    )


_DOCUMENT: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<noscript><meta http-equiv="refresh" content="{seconds}"></noscript>
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{main}
</main>
<footer class="soft"><span id="alive" role="status"></span></footer>
<script>{script}</script>
</body>
</html>
"""

# -- sections --------------------------------------------------------------------------------------


def _summary(seen: Observation) -> Html:
    node = seen.node
    facts = (
        ("ztlink", version("ztlink")),
        ("speaks as", VERSION),
        ("roots", "in reach" if node.online else "none answers"),
        ("world", f"{node.planet_id:016x}"),
        ("world of", rfc3339(node.planet_timestamp / 1000)),
        ("engine", node.engine),
        ("sockets", ", ".join(str(one) for one in seen.sockets) or "none"),
        ("seen from outside as", ", ".join(str(one) for one in node.surface) or "not known yet"),
    )
    terms = "".join(f"<div><dt>{_text(k)}</dt><dd>{_text(v)}</dd></div>" for k, v in facts)
    return Html(f'<section aria-label="node"><dl>{terms}</dl></section>')


def _conditions(judged: Judgement) -> Html:
    rows = []
    found = zip(judged.conditions, judged.since, strict=True)
    for one, since in sorted(found, key=lambda pair: pair[0].status is Status.OK):
        remedy = f'<br><span class="remedy">{_text(one.remedy)}</span>' if one.remedy else ""
        optional = "" if one.is_required else '<span class="soft">optional</span>'
        rows.append(
            (
                _badge(one.status.value, one.status.value),
                _text(one.kind),
                _code(one.subject),
                Html(_text(one.cause) + remedy),
                Html(optional),
                _moment(since),
            )
        )
    heads = ("", "condition", "of", "cause and remedy", "", "since")
    return _section("Conditions", _table(heads, rows))


def _networks(memberships: Sequence[Membership]) -> Html:
    rows = []
    for one in memberships:
        view, config, device = one.view, one.view.config, one.device
        rows.append(
            (
                _code(format_network_id(view.network_id)),
                _text(network_name(one)),
                _badge("ok" if view.status.name == "OK" else "fault", view.status.name),
                _code(", ".join(str(ip) for ip in config.addresses) if config else ""),
                _code(device.name),
                _octets(device.counters.get("rx_bytes")),
                _octets(device.counters.get("tx_bytes")),
            )
        )
    heads = ("network", "name", "status", "addresses", "device", "received", "sent")
    return _section("Networks", _table(heads, rows, none="no network was joined"))


def _name_servers(memberships: Sequence[Membership]) -> Iterator[Html]:
    """Show them where a network has any, with what has a cluster's CoreDNS ask them."""
    rows = []
    for one in memberships:
        config = one.view.config
        if config is None or not config.dns.servers:
            continue
        block = coredns_stub(name_servers(config))
        rows.append(
            (
                _code(format_network_id(one.view.network_id)),
                _text(config.dns.domain.decode(errors="replace")),
                _code(", ".join(str(ip) for ip in config.dns.servers)),
                Html(f"<pre>{html.escape(block)}</pre>")
                if block
                else _soft("of no domain: nobody asks"),
            )
        )
    if rows:
        heads = ("network", "domain", "servers", "for the CoreDNS of a cluster")
        yield _section("Name servers", _table(heads, rows))


def _routes(memberships: Sequence[Membership]) -> Html:
    rows = [
        (
            _code(str(route.target.network)),
            _code(str(route.via)) if route.via else _soft("directly"),
            _code(format_network_id(one.view.network_id)),
            _code(one.device.name),
        )
        for one in memberships
        for route in (one.view.config.routes if one.view.config else ())
    ]
    heads = ("target", "via", "network", "device")
    return _section(
        "Routes of the controllers", _table(heads, rows, none="the controllers offer no route")
    )


def _report(report: Report) -> Html:
    """Show what a manager lists, under the names of its fields."""
    found = [row_json(row) for row in report.rows[:MAX_ROWS]]
    heads = tuple(dict.fromkeys(key for row in found for key in row))
    rows = [tuple(_cell(row.get(key)) for key in heads) for row in found]
    shown = _table([head.replace("_", " ") for head in heads], rows, total=len(report.rows))
    return _section(report.name.capitalize(), shown)


def _peers(peers: Sequence[PeerView]) -> Html:
    order = sorted(peers, key=lambda peer: (peer.role is PeerRole.LEAF, peer.identity.address))
    rows = []
    for peer in order[:MAX_ROWS]:
        is_direct = any(path.active for path in peer.paths)
        rows.append(
            (
                _code(format_address(peer.identity.address)),
                _text(_ROLES[peer.role]),
                _text(peer_version(peer)),
                _badge("ok" if is_direct else "waiting", "direct" if is_direct else "by a root"),
                _paths(peer),
                _milliseconds(peer.latency_ms),
            )
        )
    heads = ("peer", "role", "version", "reached", "paths", "latency")
    return _section("Peers", _table(heads, rows, total=len(peers), none="no peer is known"))


def _paths(peer: PeerView) -> Html:
    shown = [
        Html(
            f"<code>{_text(str(path.endpoint))}</code> "
            f'<span class="soft">{"preferred" if path.preferred else ""}'
            f"{'' if path.active else ' silent'}</span>"
        )
        for path in peer.paths
    ]
    return Html("<br>".join(shown))


# -- parts -----------------------------------------------------------------------------------------


def _section(title: str, body: Html) -> Html:
    return Html(f"<section><h2>{_text(title)}</h2>{body}</section>")


def _table(
    heads: Iterable[str],
    rows: Sequence[Sequence[Html]],
    *,
    total: int | None = None,
    none: str = "nothing",
) -> Html:
    if not rows:
        return Html(f'<p class="soft">{_text(none)}</p>')
    shown = rows[:MAX_ROWS]
    count = len(rows) if total is None else total
    more = ""
    if count > len(shown):
        more = f"<caption>the first {len(shown)} of {count}; the status JSON has all</caption>"
    head = "".join(f'<th scope="col">{_text(one)}</th>' for one in heads)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in shown)
    return Html(f"<table>{more}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def _text(value: str) -> Html:
    return Html(html.escape(printable_lines(value)))


def _code(value: str) -> Html:
    return Html(f"<code>{_text(value)}</code>") if value else Html("")


def _soft(value: str) -> Html:
    return Html(f'<span class="soft">{_text(value)}</span>')


def _moment(unix: float) -> Html:
    day, _, time = rfc3339(unix).rstrip("Z").partition("T")
    return Html(f'<span class="soft number">{day} {time} UTC</span>')


def _badge(kind: str, word: str) -> Html:
    return Html(f'<span class="badge {_text(kind)}">{_text(word)}</span>')


def _cell(value: object) -> Html:
    if value is None:
        return Html("")
    if isinstance(value, list):
        return _text(", ".join(map(str, value)))
    return _text(str(value))


def _milliseconds(latency: int) -> Html:
    return Html(f'<span class="number">{latency} ms</span>') if latency >= 0 else _soft("unknown")


def _octets(count: int | None) -> Html:
    if count is None:
        return Html("")
    power = min((count.bit_length() - 1) // 10, len(_UNITS) - 1) if count else 0
    return Html(f'<span class="number">{count / 1024**power:.0f} {_UNITS[power]}</span>')
