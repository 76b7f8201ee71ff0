-- What was stored is gone.
-- uses: usage
-- keys: usage
-- asks: `item`
release(keys.usage, ask.item)
