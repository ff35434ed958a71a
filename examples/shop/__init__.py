"""A shop: a worker, clients and an HTTP endpoint of the contracts in ``shop_contracts``.

Read in this order: ``workers``, ``services``, ``app``, ``clients``, ``workflows``, ``api``.
"""
