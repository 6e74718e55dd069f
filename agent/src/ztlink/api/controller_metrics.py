"""What `/metrics` says of a controller: the original's series, with what they mean here.

Where the original counts calls of its database, ours counts what was asked that needs the same:
records are in memory, and only changes are written.
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics_core import Metric

from ztlink.controller.service import ControllerService

_THREADS: Final = 1
"""Requests are handled one after the other."""


def controller_families(controller: ControllerService) -> Iterator[Metric]:
    """Yield the series of a controller."""
    for name, text, gauge in _gauges(controller):
        yield _family(name, text, "gauge", gauge)
    for name, text, count in _counters(controller):
        yield _family(name, text, "counter", count)


def _gauges(controller: ControllerService) -> Iterator[tuple[str, str, int]]:
    members = sum(len(of_network) for of_network in controller.members.values())
    yield "network_count", "Networks that are served.", len(controller.networks)
    yield "member_count", "Members of these networks.", members
    waiting = "Members that wait for a configuration to be sent."
    yield "network_config_request_queue", waiting, controller.waiting()
    yield "network_config_request_threads", "Threads that handle requests.", _THREADS


def _counters(controller: ControllerService) -> Iterator[tuple[str, str, int]]:
    tally = controller.tally
    yield "network_change_count", "Changes of networks.", tally.network_changes
    yield "member_change_count", "Changes of members.", tally.member_changes
    yield "member_auth_count", "Members that were let in.", tally.authorizations
    yield "member_deauth_count", "Members that were shut out.", tally.deauthorizations
    yield "network_config_request", "Requests of members that were answered.", tally.requests
    yield "sso_expiration_checks", "There is no single sign-on here.", 0
    yield "sso_timeouts", "There is no single sign-on here.", 0
    yield "db_get_network", "Networks that were read.", tally.networks_read
    both = tally.requests + tally.members_read
    yield "db_get_network_and_member", "Members that were read.", both
    summaries = "Lists of whole members that were read."
    yield "db_get_networK_and_member_summary", summaries, tally.summaries  # spelled by the original
    yield "db_get_member_list", "Lists of members that were read.", tally.members_listed
    yield "db_get_network_list", "Lists of networks that were read.", tally.networks_listed
    yield "db_member_change", "Members that were written.", tally.member_changes
    yield "db_network_change", "Networks that were written.", tally.network_changes


def _family(name: str, text: str, kind: str, value: int) -> Metric:
    family = Metric(f"controller_{name}", text, kind)
    family.add_sample(family.name, {}, value)
    return family
