"""Usage of the devices, and reports of it."""

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from service.contract.problems import FieldError, InvalidInput
from service.contract.schemas.usage import Dimension, UsageReport, UsageRow

KEPT_DAYS = 366
MICROS = 1_000_000
"""In a unit of the currency."""
OUTCOMES = ("succeeded", "failed", "canceled", "expired")


@dataclass(frozen=True)
class Usage:
    """A tenant's usage of a day, of one kind of job and one model with the same adapters.

    `amounts` has `attempts` that ended, `device_ms`, `output_ms`, `output_bytes`, `cost_micros`, and how many jobs
    `succeeded`, `failed`, were `canceled` or `expired`.
    """

    day: date
    tenant: str
    kind: str
    model: str
    amounts: Counter[str]


@dataclass(frozen=True)
class Period:
    """The days from the first to the last, both included, of which there is usage until `today`."""

    first: date
    last: date
    today: date

    @classmethod
    def of(cls, first: date | None, last: date | None, today: date) -> "Period":
        """By default, from the first of the last day's month, and until today.

        Raises:
            InvalidInput: it ends before it begins.
        """
        last = last or today
        first = first or last.replace(day=1)
        if first > last:
            detail = f"must be at most `to`, {last}"
            raise InvalidInput(f"from: {detail}", [FieldError("#/from", detail)])
        return cls(first, last, today)

    @property
    def days(self) -> list[date]:
        """Those whose usage is kept."""
        first, last = max(self.first, self.today - timedelta(days=KEPT_DAYS)), min(self.last, self.today)
        return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def report(found: Iterable[Usage], period: Period, by: Collection[Dimension], currency: str | None) -> UsageReport:
    """Sum up usage by some dimensions; costs are included if there is a currency."""
    total: Counter[str] = Counter()
    groups: dict[tuple[tuple[Dimension, Any], ...], Counter[str]] = {}
    for each in found:
        key = tuple((dimension, getattr(each, dimension)) for dimension in Dimension if dimension in by)
        groups.setdefault(key, Counter()).update(each.amounts)
        total.update(each.amounts)
    return UsageReport(
        first_day=period.first,
        last_day=period.last,
        currency=currency,
        rows=[
            row(amounts, currency, **dict(key)) for key, amounts in sorted(groups.items(), key=lambda group: group[0])
        ],
        total=row(total, currency),
    )


def row(amounts: Counter[str], currency: str | None, **dimensions: Any) -> UsageRow:
    return UsageRow(
        **dict.fromkeys(Dimension) | dimensions,
        **{outcome: amounts[outcome] for outcome in OUTCOMES},
        attempts=amounts["attempts"],
        device_seconds=amounts["device_ms"] / 1000,
        output_seconds=amounts["output_ms"] / 1000,
        output_bytes=amounts["output_bytes"],
        cost=amounts["cost_micros"] / MICROS if currency else None,
    )


def csv_of(usage: UsageReport, by: Collection[Dimension]) -> str:
    """The rows of a report as CSV (RFC 4180), with a header."""
    left_out = {dimension for dimension in Dimension if dimension not in by}
    names = [name for name in UsageRow.model_fields if name not in left_out]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*names, "currency"])
    for each in usage.rows:
        fields = each.model_dump(mode="json")
        writer.writerow([*(fields[name] for name in names), usage.currency])
    return text.getvalue()
