import logging
from typing import Final

LOGGER_NAME: Final = "pico_ioc"
LOGGER: Final[logging.Logger]
PICO_INFRA: Final = "_pico_infra"
PICO_NAME: Final = "_pico_name"
PICO_KEY: Final = "_pico_key"
PICO_META: Final = "_pico_meta"
SCOPE_SINGLETON: Final = "singleton"
SCOPE_PROTOTYPE: Final = "prototype"
