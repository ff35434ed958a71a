"""The configuration of the shop's processes."""

from pico_ioc import ContextConfig, DictSource, EnvSource, configuration


def shop_config() -> ContextConfig:
    """Return the configuration for every process of the shop.

    Environment variables with this prefix, such as ``SHOP_CELERY_BROKER_URL``, override the values here.
    """
    return configuration(EnvSource(prefix="SHOP_"), DictSource({"celery": {"broker_url": "embedded"}}))
