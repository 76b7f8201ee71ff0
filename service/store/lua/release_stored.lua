-- What was stored is gone.
-- uses: usage
-- keys: usage
-- args: `item`
release(keys.usage, args.item)
