"""``corpproxy report``: a day, a week or a month as a page, as tables or as text."""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import date
from pathlib import Path

from corpproxy.backends.reports.make import ReportOrder, make_report
from corpproxy.backends.state_folder import put_file
from corpproxy.backends.store.interface import StoreError
from corpproxy.cli.audit import positive
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.site import Site, add_site_arguments, site_of
from corpproxy.config.nearest import did_you_mean
from corpproxy.net.caller import who_we_are
from corpproxy.reports.period import Every, Period, days_of_reports, last_over, period_with

DESCRIPTION = (
    "Show what was asked for in a day, a week or a month, beside the one before: people, groups, hosts, "
    "categories, what was refused most, and what may have been blocked by mistake."
)
FORMATS = ("text", "html", "csv", "json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    add_site_arguments(parser)
    parser.add_argument(
        "--per", choices=[every.value for every in Every], default="week", help="how long (default: week)"
    )
    parser.add_argument(
        "--day",
        metavar="DAY",
        help="the one with this day: 2026-11-23, today, yesterday (default: the last that is over)",
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--group", metavar="NAME", default="", help="people of this group alone")
    only.add_argument("--user", metavar="NAME", default="", help="this person alone, from the record itself")
    only.add_argument(
        "--send", metavar="NAME", default="", help="make this report of the policy now, write and send it"
    )
    parser.add_argument("--top", type=positive, default=20, metavar="N", help="rows of a table (default: 20)")
    parser.add_argument("--format", choices=FORMATS, help="text (default), html, csv or json")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write it here, for you alone; its ending says the format"
    )


def run(options: argparse.Namespace) -> int:
    """Make the report; gives the exit status."""
    if options.send:
        return _send(options)
    site = site_of(options, needed=True)
    now = time.time()
    order = ReportOrder(
        site=site.name,
        state=site.state,
        period=_period(options, site, now, Every(options.per)),
        group=options.group,
        user=options.user,
        top=options.top,
        format=_format(options),
        store=site.address,
    )
    try:
        text = make_report(order, now, lambda sentence: print(sentence, file=sys.stderr))
    except StoreError as error:
        raise CommandFailed(error.message) from error
    except FileNotFoundError as error:
        raise CommandFailed(f"{error.filename}: there are no records; the service makes them") from error
    if options.out is None:
        sys.stdout.write(text)
        return 0
    put_file(options.out, text.encode("utf-8", "replace"), 0o600)
    print(f"{os.fspath(options.out)}: {order.period.words}")
    return 0


def _send(options: argparse.Namespace) -> int:
    """Make a report as the service does, whether it is due or not."""
    from corpproxy.backends.policies.files import DISK
    from corpproxy.backends.reports.errand import Came, ReportErrand
    from corpproxy.config.load import load_policy

    loaded = load_policy(options.policy, DISK, forgiving=True)
    if loaded.configuration is None:
        raise CommandFailed(f"{options.policy} cannot be loaded; 'corpproxy check' says why")
    policy, now = loaded.configuration, time.time()
    reports = {one.name: one for one in policy.reports}
    report = reports.get(options.send)
    if report is None:
        raise CommandFailed(f"the policy has no report '{options.send}'{did_you_mean(options.send, reports)}")
    period = _period(
        options, Site(policy.state, policy.time_zone, day_begins=policy.day_begins), now, report.every
    )
    came = Came(period.name)
    errand = ReportErrand(policy.state, policy.site, policy.mail, now, store=policy.store)
    failed = errand.deliver(report, period, came)
    if came.is_written or came.sent:
        errand.record(report, period, came, who_we_are(), "command")
    if came.is_written:
        print(f"{report.folder}: {period.words}")
    for address in came.sent:
        print(f"sent to {address}: {period.words}")
    if failed:
        raise CommandFailed("\n".join(failed))
    return 0


def _format(options: argparse.Namespace) -> str:
    if options.format:
        return str(options.format)
    ending = options.out.suffix.removeprefix(".") if options.out is not None else ""
    if options.out is not None and ending not in (*FORMATS, "txt"):
        said = f"{options.out}: its ending says no format; end it in .html, .csv, .json or .txt"
        raise CommandFailed(said, WRONG_USAGE)
    return ending if ending in FORMATS else "text"


def _period(options: argparse.Namespace, site: Site, now: float, every: Every) -> Period:
    days = days_of_reports(site.zone, site.day_begins)
    if options.day is None:
        return last_over(every, now, days)
    today = days.day(now)
    try:
        day = {"today": today, "yesterday": date.fromordinal(today.toordinal() - 1)}.get(
            options.day
        ) or date.fromisoformat(options.day)
        return period_with(every, day, days)
    except (ValueError, OverflowError):
        raise CommandFailed(
            f"'{options.day}' is no day; write 2026-11-23, today or yesterday", WRONG_USAGE
        ) from None
