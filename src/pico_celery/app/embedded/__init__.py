"""The embedded broker: a private Redis server that belongs to a directory.

It is a real ``redis-server`` without a TCP port, reached through a Unix socket. Every process that opens the directory
shares it: the first one starts it, the last one that leaves stops it, and the queues stay in the directory until the
next start. The setting that selects it is a URL:

==============================  =====================================================================
``embedded``                    ``.pico-celery`` below the current directory
``embedded:///var/lib/orders``  an absolute directory
``embedded://var/orders``       a directory relative to the current one (``~`` is the home directory)
==============================  =====================================================================

Only a process that calls :meth:`EmbeddedBroker.start` is a user. A child that it forks may talk to the server, but
does not keep it alive and never stops it, unless it calls ``start`` itself. A process that ends without running its
exit handlers (a signal that it does not handle, ``os._exit``, a pool's child) is not a user any more, but leaves the
server running for the next one that joins. At the normal end of a last user, the server stops a moment after it, so
that whatever Python still tears down can talk to it.

The directory has to be on a local file system. ``python -m pico_celery.app.embedded status`` and ``stop`` look after
a server by hand.

The modules, from the top: ``__main__`` (the command), ``broker`` (the public class), ``after_exit`` (stopping after the
last user), ``place`` (which processes use a directory), ``server`` (its server), ``launch`` and ``probe`` (running and
asking one), ``directory`` and ``locks`` (files).
"""

from pico_celery.app.embedded.broker import EmbeddedBroker
from pico_celery.app.embedded.directory import DEFAULT_DIRECTORY, directory_of, is_embedded

__all__ = ["DEFAULT_DIRECTORY", "EmbeddedBroker", "directory_of", "is_embedded"]
