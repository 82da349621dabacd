"""A site folder with a small policy, for commands to be tried on."""

from __future__ import annotations

from pathlib import Path

POLICY = """\
site: Hillside
time_zone: Europe/London
state: state
listen:
  - {name: rooms, forward: 127.0.0.1:3128}
  - {name: office, forward: 127.0.0.1:3129}
identity:
  realm: Hillside
  methods: [{basic: {htpasswd: users.htpasswd}}]
  groups: {pupils: [amir], staff: [carol]}
  groups_file: users.groups
categories:
  own: {games: [miniclip.com]}
calendars:
  lessons: {days: mon-fri, hours: "08:30-15:30"}
rules:
  - name: games wait
    who: {group: pupils}
    what: {category: games}
    when: lessons
    do: block
    say: Games open again after lessons.
  - {name: everything else, do: allow}
safe_search: [{who: {group: pupils}, engines: [bing]}]
tests:
"""
TEST = '  - {user: amir, at: 2026-11-23T10:00, get: "http://miniclip.com", expect: block, rule: games wait}\n'
FAILING = '  - {user: amir, at: 2026-11-23T16:00, get: "http://www.miniclip.com/", expect: block}\n'


def site_folder(folder: str, policy: str) -> Path:
    """Make a site folder; gives the path of its policy."""
    root = Path(folder)
    root.mkdir()
    (root / "users.htpasswd").write_text("")
    (root / "users.htpasswd").chmod(0o600)
    (root / "users.groups").write_text("dora: pupils\n")
    path = root / "policy.yaml"
    path.write_text(policy)
    return path
