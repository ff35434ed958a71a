"""JSON Schemas of contracts: normalized, validated against, sampled and described."""
