"""Settings of a device, by netlink."""

import errno
import select
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.host.firewalled import sysctl
from tests.host.machine import wire
from ztlink.errors import HostError
from ztlink.host.addresses import AddressWatch
from ztlink.host.linkconf import LOOSE, Ipv4Conf, ensure_ipv4_conf, read_ipv4_conf

pytestmark = [pytest.mark.netadmin, pytest.mark.usefixtures("own_network")]

WANTED = {Ipv4Conf.FORWARDING: 1, Ipv4Conf.RP_FILTER: LOOSE}
QUIET = 1.2
"""Seconds; the kernel gathers the news of a new link's carrier for one."""
READ_ONLY = (
    "mount -o bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys"
    " && ! echo 1 2>/dev/null >/proc/sys/net/ipv4/conf/zttest0/forwarding"
    ' && exec "$0" -c "$1"'
)
SCRIPT = """
from ztlink.host.linkconf import Ipv4Conf, ensure_ipv4_conf
ensure_ipv4_conf("zttest0", {Ipv4Conf.FORWARDING: 1, Ipv4Conf.RP_FILTER: 2})
"""
SOURCE = Path(sys.modules[ensure_ipv4_conf.__module__].__file__ or "").parents[2]
ENVIRONMENT = {"PYTHONPATH": str(SOURCE), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def conf() -> dict[Ipv4Conf, int | None]:
    return {kind: read_ipv4_conf("zttest0", kind) for kind in Ipv4Conf}


def has_news(watch: AddressWatch, seconds: float) -> bool:
    """Tell whether something changes within some time."""
    return bool(select.select([watch.fileno()], [], [], seconds)[0])


def test_settings_of_a_device_are_changed() -> None:
    wire("zttest0")
    ensure_ipv4_conf("zttest0", WANTED)
    assert conf() == WANTED


def test_settings_of_a_device_are_changed_while_proc_is_read_only() -> None:
    wire("zttest0")
    done = subprocess.run(
        ("unshare", "--mount", "sh", "-c", READ_ONLY, sys.executable, SCRIPT),
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    assert conf() == WANTED


def test_a_process_without_rights_says_what_it_cannot_do() -> None:
    wire("zttest0")
    without = ("setpriv", "--bounding-set=-net_admin", sys.executable, "-c", SCRIPT)
    done = subprocess.run(without, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert "cannot set up IPv4 of zttest0: Operation not permitted" in done.stderr


def test_other_devices_stay_as_they_are() -> None:
    wire("zttest0")
    before = [read_ipv4_conf("zttest0x", kind) for kind in Ipv4Conf]
    ensure_ipv4_conf("zttest0", WANTED)
    assert [read_ipv4_conf("zttest0x", kind) for kind in Ipv4Conf] == before


def test_what_fits_is_left_alone() -> None:
    sysctl("net.ipv6.conf.default.disable_ipv6", 1)  # whose addresses come later, with events
    wire("zttest0")
    ensure_ipv4_conf("zttest0", WANTED)
    with closing(AddressWatch()) as watch:
        while has_news(watch, QUIET):
            watch.drain()
        ensure_ipv4_conf("zttest0", WANTED)
        assert not has_news(watch, 0.1)


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(HostError, match="there is no device zttest0") as caught:
        ensure_ipv4_conf("zttest0", WANTED)
    assert caught.value.errno == errno.ENODEV


def test_a_setting_of_a_device_that_is_not_there_is_none() -> None:
    assert read_ipv4_conf("zttest0", Ipv4Conf.FORWARDING) is None
