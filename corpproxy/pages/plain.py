"""Sheets as plain text and as JSON: for programs, and for people on a command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from corpproxy.pages.sheet import Card, Chart, Fact, Form, Section, Sheet
from corpproxy.pages.site import Site


def as_text(sheet: Sheet, site: Site) -> str:
    """Write a sheet as lines of text, ending in a line break."""
    return "\n".join([*_text(sheet, site), ""])


def _text(sheet: Sheet, site: Site) -> Iterator[str]:
    yield f"{site.name}: {sheet.title}"
    yield from sheet.lead
    if sheet.quote:
        yield f"> {sheet.quote}"
    yield from _fact_lines((*sheet.facts, *sheet.small))
    if sheet.form is not None:
        yield sheet.form.note or sheet.form.button
    for section in sheet.sections:
        yield from _section_lines(section)
    for link in sheet.links:
        yield f"{link.text}: {link.uri}"
    if sheet.ask and site.contact:
        yield f"{sheet.ask} {', '.join(part for part in _contact(site) if part)}"


def _contact(site: Site) -> tuple[str, str, str]:
    return site.contact.name, site.contact.mail, site.contact.telephone


def _fact_lines(facts: tuple[Fact, ...]) -> Iterator[str]:
    return (f"{fact.label}: {fact.value}" for fact in facts)


def _section_lines(section: Section) -> Iterator[str]:
    yield ""
    yield f"{section.title}"
    yield from section.text
    yield from _fact_lines(section.facts)
    if section.chart is not None:
        yield from _chart_lines(section.chart)
    for number, step in enumerate(section.steps, 1):
        yield f"{number}. {step}"
    for card in section.cards:
        yield ""
        yield f"* {card.title}{f' ({card.lead})' if card.lead else ''}"
        if card.quote:
            yield f"  > {card.quote}"
        yield from (f"  {line}" for line in card.text)
        yield from (f"  {line}" for line in _fact_lines(card.facts))
        yield from (f"  {link.text}: {link.uri}" for link in card.links)
    for link in section.links:
        yield f"{link.text}: {link.uri}"


def _chart_lines(chart: Chart) -> Iterator[str]:
    for row in chart.rows:
        cells = (f"{column}: {cell}" for column, cell in zip(chart.columns[1:], row.cells, strict=True))
        yield f"{row.title}: {', '.join(cells)}"


def as_json(sheet: Sheet, site: Site) -> str:
    """Write a sheet as one JSON object; facts are members under their own names."""
    value: dict[str, Any] = {
        "kind": sheet.kind,
        "status": sheet.status,
        "title": sheet.title,
        "detail": " ".join(sheet.lead),
        "site": site.name,
    }
    if sheet.code:
        value["code"] = sheet.code
    if sheet.quote:
        value["say"] = sheet.quote
    value |= _members((*sheet.facts, *sheet.small))
    if sheet.links:
        value["links"] = {link.name: link.uri for link in sheet.links}
    if sheet.form is not None:
        value["form"] = _form(sheet.form)
    if sheet.sections:
        value["sections"] = [_section(section) for section in sheet.sections]
    if sheet.ask and site.contact:
        value["contact"] = dict(zip(("name", "mail", "telephone"), _contact(site), strict=True))
    return json.dumps(value, ensure_ascii=False) + "\n"


def _members(facts: tuple[Fact, ...]) -> dict[str, str]:
    return {fact.name: fact.value for fact in facts}


def _form(form: Form) -> dict[str, Any]:
    fields = dict(form.hidden) | {line.name: "" for line in form.inputs}
    value: dict[str, Any] = {"action": form.action, "fields": fields}
    if form.choices:
        fields |= {choice.name: choice.options[0][0] for choice in form.choices}
        value["choices"] = {choice.name: dict(choice.options) for choice in form.choices}
    return value


def _section(section: Section) -> dict[str, Any]:
    value: dict[str, Any] = {"title": section.title, "text": [*section.text, *section.steps]}
    value |= _members(section.facts)
    if section.chart is not None:
        value[section.chart.name] = _rows(section.chart)
    if section.cards:
        value["entries"] = [_card(card) for card in section.cards]
    if section.form is not None:
        value["form"] = _form(section.form)
    if section.links:
        value["links"] = {link.name: link.uri for link in section.links}
    return value


def _rows(chart: Chart) -> list[dict[str, Any]]:
    return [
        {chart.names[0]: row.name, **dict(zip(chart.names[1:], row.values, strict=True))}
        for row in chart.rows
    ]


def _card(card: Card) -> dict[str, Any]:
    value: dict[str, Any] = {
        "title": card.title,
        "effect": card.lead,
        "say": card.quote,
        **({"text": " ".join(card.text)} if card.text else {}),
        **_members(card.facts),
    }
    value["links"] = {link.name: link.uri for link in card.links}
    if card.form is not None:
        value["form"] = _form(card.form)
    return value
