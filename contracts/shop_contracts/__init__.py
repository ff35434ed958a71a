"""The contracts of a shop: the tasks that its services can call.

Workers and clients both install this package, and nothing of each other. It imports only pydantic and pico_celery, so a
service that places an order never loads the code that books it.

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
