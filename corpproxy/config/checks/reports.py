"""The tables ``reports:`` and ``mail:``: names tell reports apart, and each goes somewhere."""

from __future__ import annotations

from corpproxy.config.checks.examined import Examined
from corpproxy.config.checks.files import secret


def check(examined: Examined) -> None:
    """Say which reports go nowhere, and what mail lacks."""
    model = examined.model
    seen: set[str] = set()
    for number, one in enumerate(model.reports):
        path = ("reports", number)
        if examined.shaped.is_damaged(path):
            continue
        if one.name in seen:
            said = f"there is a report '{one.name}' already; one would be written over the other"
            examined.say((*path, "name"), "duplicate-name", said)
        seen.add(one.name)
        if one.folder is None and not one.mail:
            said = f"report '{one.name}' goes nowhere; say 'folder:' or 'mail:'"
            examined.say(path, "report-goes-nowhere", said)
        if one.mail and model.mail is None:
            said = "there is no mail server; write 'mail: {server: smtp.hillside.example:587, sender: ...}'"
            examined.say((*path, "mail"), "no-mail-server", said)
        if one.folder is not None and not examined.files.exists(examined.file(one.folder)):
            said = f"there is no folder '{one.folder}'; make it, for the service to write to"
            examined.say((*path, "folder"), "report-folder-missing", said, "warning")
    _mail(examined)


def _mail(examined: Examined) -> None:
    mail = examined.model.mail
    if mail is None:
        return
    if mail.password is not None:
        make = "write the password into it, readable by the service alone"
        secret(examined, ("mail", "password"), mail.password, make)
    if (mail.user is None) != (mail.password is None):
        said = "'user' and 'password' belong together; the password stands in a file"
        examined.say(("mail",), "half-a-sign-in", said)
