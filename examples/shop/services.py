"""What the workers depend on. The container builds these and passes them to constructors."""

from decimal import Decimal

from pico_ioc import cleanup, component

from shop_contracts import Order, PaymentDeclined, Status, Voucher


@component
class Ledger:
    """Orders by number, one object for the whole process. In a real shop this is a database pool."""

    def __init__(self) -> None:
        self._statuses: dict[int, Status] = {}

    async def book(self, order_id: int, status: Status) -> None:
        self._statuses[order_id] = status

    async def status(self, order_id: int) -> Status:
        return self._statuses.get(order_id, Status.UNKNOWN)


@component(scope="request")
class Payment:
    """One for each task (scope ``request``): created when the task starts, cleaned up however it ends."""

    def __init__(self) -> None:
        self.charged = Decimal(0)

    async def charge(self, order: Order) -> Decimal:
        total = sum((line.quantity * line.price for line in order.lines), Decimal(0))
        if isinstance(order.payment, Voucher) and order.payment.value < total:
            raise PaymentDeclined(reason="the voucher is worth less", missing=total - order.payment.value)
        self.charged = total
        return total

    @cleanup
    async def close(self) -> None:
        self.charged = Decimal(0)


@component
class Mailer:
    """Prints mails instead of sending them."""

    async def send(self, address: str, subject: str) -> None:
        print(f"mail to {address}: {subject}", flush=True)
