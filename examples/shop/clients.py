"""The clients: one attribute for each task that a service calls. Imports the contracts, but no worker."""

from pico_celery import CeleryClient, celery, send_task
from shop_contracts import Notifications, Orders, OrdersV2, Reminders


@celery
class OrdersClient(CeleryClient):
    """Calls tasks of the orders contracts."""

    place = send_task(Orders.place)
    place_and_mail = send_task(OrdersV2.place)
    cancel = send_task(Orders.cancel)
    status = send_task(Orders.status)


@celery
class NotificationsClient(CeleryClient):
    """Calls tasks of the notification contracts. Options given here apply to all calls of this client."""

    send_email = send_task(Notifications.send_email, ignore_result=True)
    remind = send_task(Reminders.remind)
