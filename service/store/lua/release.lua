-- Record that an upload has been deleted.
-- uses: quota
-- keys: uploads kept
-- args: `key` in the storage, `item` that is kept
-- Returns 1, or 0 if that was recorded before.
release(keys.kept, args.item)
return redis.call('ZREM', keys.uploads, args.key)
