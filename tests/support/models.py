"""Models that contracts of several tests have in common."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, Field


class Line(BaseModel):
    sku: str
    quantity: int = Field(gt=0)
    price: Decimal


class Order(BaseModel):
    number: int
    lines: list[Line]


class Receipt(BaseModel):
    number: int
    total: Decimal
    dry_run: bool = False
