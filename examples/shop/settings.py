"""Where the shop's processes find their broker."""

from pico_ioc import ContextConfig, DictSource, EnvSource, configuration


def shop_config() -> ContextConfig:
    """Return the configuration of every process of the shop.

    ``SHOP_CELERY_BROKER_URL`` and other variables under that prefix win over the values here.
    """
    return configuration(EnvSource(prefix="SHOP_"), DictSource({"celery": {"broker_url": "embedded"}}))
