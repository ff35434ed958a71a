"""The client's side: one attribute for each task that a service calls. Imports contracts, no worker."""

from pico_celery import CeleryClient, celery, send_task
from shop_contracts import Notifications, Orders, OrdersV2, Reminders


@celery
class OrdersClient(CeleryClient):
    """Calls of the orders contract."""

    place = send_task(Orders.place)
    place_and_mail = send_task(OrdersV2.place)
    cancel = send_task(Orders.cancel)
    status = send_task(Orders.status)


@celery
class NotificationsClient(CeleryClient):
    """Calls of the notification contracts. Options that stand here hold for all calls of this client."""

    send_email = send_task(Notifications.send_email, ignore_result=True)
    remind = send_task(Reminders.remind)
