-- What was stored is gone.
-- uses: quota
-- keys: kept
-- args: `item`
release(keys.kept, args.item)
