"""The contracts of a shop: what its services may ask of each other.

Workers and clients both install this package and nothing of each other. It imports pydantic and pico_celery, no worker
and no client, so a service that only sends an order never loads the code that books one.

- `shop_contracts.orders`: nested models, a discriminated union, task options, a declared error, a second version.
- `shop_contracts.notifications`: plain parameters, and a contract that inherits another.
"""

from shop_contracts.notifications import Delivery, Notifications, Recipient, Reminders
from shop_contracts.orders import (
    Address,
    BankTransfer,
    Card,
    Line,
    Order,
    Orders,
    OrdersV2,
    PaymentDeclined,
    PaymentMethod,
    Placement,
    Receipt,
    Status,
    Voucher,
)

__all__ = [
    "Address",
    "BankTransfer",
    "Card",
    "Delivery",
    "Line",
    "Notifications",
    "Order",
    "Orders",
    "OrdersV2",
    "PaymentDeclined",
    "PaymentMethod",
    "Placement",
    "Receipt",
    "Recipient",
    "Reminders",
    "Status",
    "Voucher",
]
