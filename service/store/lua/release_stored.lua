-- Record that a stored item has been deleted.
-- uses: quota
-- keys: kept
-- args: `item`
release(keys.kept, args.item)
